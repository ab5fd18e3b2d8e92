import ClusterCore
import Dispatch
import Identity
import NIOCore
import Synchronization
import TunnelWire

/// Writes a server's cluster state beside its event loop, in order, one record at a time. Each record is the whole state: of
/// those that wait, only the newest is written.
final class ClusterDisk: Sendable {
    private struct Waiting {
        var next: (state: StoredState, ticket: UInt64)?
        var isBusy = false
    }

    private let file: ClusterFile
    private let id: WireID
    private let queue = DispatchQueue(label: "gotunnel.cluster-state")
    private let waiting = Mutex(Waiting())
    /// Called on the queue's thread.
    private let stored: @Sendable (UInt64) -> Void
    private let failed: @Sendable (IdentityProblem) -> Void

    /// - Parameters:
    ///   - stored: told the ticket of what is on disk; it covers all before.
    ///   - failed: told once; nothing is written afterwards. What the disk holds is then unknown, so the process must end.
    init(
        file: ClusterFile, id: WireID, stored: @escaping @Sendable (UInt64) -> Void,
        failed: @escaping @Sendable (IdentityProblem) -> Void
    ) {
        self.file = file
        self.id = id
        self.stored = stored
        self.failed = failed
    }

    func write(_ state: StoredState, ticket: UInt64) {
        let isBusy = self.waiting.withLock { waiting in
            defer { waiting.isBusy = true }
            waiting.next = (state, ticket)
            return waiting.isBusy
        }
        if !isBusy { self.queue.async { self.work() } }
    }

    /// Calls `body` behind what is being written.
    func whenIdle(_ body: @escaping @Sendable () -> Void) { self.queue.async(execute: body) }

    private func work() {
        while let next = self.take() {
            do throws(IdentityProblem) {
                try self.file.write(next.state, id: self.id)
            } catch {
                return self.failed(error)
            }
            self.stored(next.ticket)
        }
    }

    private func take() -> (state: StoredState, ticket: UInt64)? {
        self.waiting.withLock { waiting in
            defer { waiting.next = nil }
            if waiting.next == nil { waiting.isBusy = false }
            return waiting.next
        }
    }
}
