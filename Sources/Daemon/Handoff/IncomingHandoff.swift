import Admin
import Foundation
import Logging
import NIOCore
import Synchronization
import Systemd
import Timing
import TunnelTransport
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// What an earlier process left to this one.
package struct IncomingHandoff: Sendable {
    /// How it came here.
    package enum Carrier: String, Sendable {
        /// This process was that process: exec in place.
        case exec
        /// systemd kept it.
        case store
    }

    package let carrier: Carrier
    package let header: HandoffHeader
    package let sockets: SocketPool
    /// What became of it.
    package let outcome = HandoffOutcome()
    private let file: HandoffFile

    /// The variable that names the file's descriptor.
    static let variable = "GOTUNNEL_HANDOFF"
    /// Under which names systemd keeps the file, the connections and the listeners. They are sent once a descriptor.
    static let fileName = "h"
    static let connectionName = "s"
    static let listenerName = "l"

    /// Opens a handoff and looks through all of it: damage is found before anything of it is believed.
    init(_ carrier: Carrier, _ file: HandoffFile, _ sockets: SocketPool, program: String, known: Set<HandoffKind>) throws {
        self.carrier = carrier
        self.file = file
        self.sockets = sockets
        var input = try Self.input(file, known)
        guard let first = try input.next(), first.kind == .header else {
            throw WireError(.unexpected, "the handoff does not begin with its header")
        }
        self.header = try first.document(HandoffHeader.self)
        guard self.header.program == program else {
            throw WireError(.unexpected, "the handoff is one of \(PrintableText.clean(self.header.program, limit: 40))")
        }
        try input.check()
    }

    /// Reads it from the beginning; the header comes first.
    package func input(_ known: Set<HandoffKind>) throws -> HandoffInput { try Self.input(self.file, known) }

    private static func input(_ file: HandoffFile, _ known: Set<HandoffKind>) throws -> HandoffInput {
        try file.rewind()
        return HandoffInput(known: known.union([.header])) { try file.read() }
    }

    /// Everything that is to go on goes on: what is left is reset, and nobody reads the file again.
    func finish(_ logger: Logger) {
        self.file.close()
        let left = self.sockets.closeRest()
        // What the process before left out is missing here, and counted again.
        let lost = max(self.header.lost, self.outcome.lost)
        let carried = max(0, self.header.carried + self.header.lost - lost)
        let pause = Duration.nanoseconds(max(0, BootTime.nanoseconds - self.header.frozenAt))
        logger.notice(
            "taken over from the process before",
            metadata: .event(.handoffDone).merging([
                "carrier": "\(self.carrier.rawValue)", "streams": "\(carried)", "reset": "\(lost)",
                "sockets_left": "\(left)", "pause_seconds": "\(pause.inSeconds)",
            ]) { $1 })
        self.outcome.set(
            HandoffStatus(
                carrier: self.carrier.rawValue, carried: carried, lost: lost, pauseSeconds: pause.inSeconds, at: .now()))
    }
}

/// What became of a handoff, for status.
package final class HandoffOutcome: Sendable {
    private let state = Mutex<(lost: Int, status: HandoffStatus?)>((0, nil))

    init() {}

    /// Nil until everything is in its place.
    package var status: HandoffStatus? { self.state.withLock { $0.status } }
    var lost: Int { self.state.withLock { $0.lost } }

    /// So many streams could not go on here.
    package func lose(_ count: Int) { self.state.withLock { $0.lost += count } }
    func set(_ status: HandoffStatus) { self.state.withLock { $0.status = status } }
}

/// CLOCK_BOOTTIME: the same clock in both processes.
package enum BootTime {
    package static var nanoseconds: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_BOOTTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}

/// All that a process was given at its start, besides its command line and its configuration.
package struct Inheritance: Sendable {
    package let manager: ServiceEnvironment
    package let sockets: InheritedSockets
    package let handoff: IncomingHandoff?
    /// Why a handoff that was there is of no use: what it spoke of has been reset.
    package let problem: String?

    /// To be called once, before anything else is opened.
    ///
    /// - Parameters:
    ///   - program: whose handoff is expected.
    ///   - known: the records that it may have.
    package static func receive(program: String, known: Set<HandoffKind>) throws(SystemdError) -> Inheritance {
        // A program that was executed in the place of another has its descriptors from that, whatever systemd had said to it.
        if getenv(IncomingHandoff.variable) != nil {
            for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) }
        }
        let manager = try ServiceEnvironment.receive()
        let kept = [IncomingHandoff.fileName, IncomingHandoff.connectionName, IncomingHandoff.listenerName]
        let stored = manager.descriptors.all.filter { kept.contains($0.name) }
        let sockets = InheritedSockets(ListenDescriptors(manager.descriptors.all.filter { !kept.contains($0.name) }))
        var found: (carrier: IncomingHandoff.Carrier, file: HandoffFile, pool: SocketPool)?
        if let file = Self.inheritedFile() {
            found = (.exec, file, SocketPool(OpenDescriptors.inherited(besides: file.descriptor)))
        } else if let file = stored.last(where: { $0.name == IncomingHandoff.fileName }) {
            let others = stored.filter { $0.name != IncomingHandoff.fileName }.map(\.descriptor)
            found = (.store, HandoffFile(descriptor: file.descriptor), SocketPool(others))
        } else if !stored.isEmpty {
            SocketPool(stored.map(\.descriptor)).closeRest()
        }
        if !stored.isEmpty { Self.emptyStore(manager) }
        guard let found else { return Inheritance(manager: manager, sockets: sockets, handoff: nil, problem: nil) }
        do {
            let handoff = try IncomingHandoff(found.carrier, found.file, found.pool, program: program, known: known)
            for listener in handoff.header.listeners {
                guard let socket = found.pool.take(listener.cookie) else { continue }
                sockets.add(SocketRole(rawValue: listener.role), .init(descriptor: socket, isActivated: listener.isActivated))
            }
            return Inheritance(manager: manager, sockets: sockets, handoff: handoff, problem: nil)
        } catch {
            found.file.close()
            let lost = found.pool.closeRest()
            return Inheritance(manager: manager, sockets: sockets, handoff: nil, problem: "\(error); \(lost) sockets were closed")
        }
    }

    /// Says what became of a handoff that is of no use.
    func announce(_ logger: Logger) {
        guard let problem else { return }
        logger.error(
            "the handoff of the process before is of no use; its streams were reset",
            metadata: .event(.handoffFailed).with("reason", problem))
    }

    /// What systemd kept is this process's now. Nothing may move before systemd has let go of it: a second process could be given
    /// the same connections.
    private static func emptyStore(_ manager: ServiceEnvironment) {
        for name in [IncomingHandoff.fileName, IncomingHandoff.connectionName, IncomingHandoff.listenerName] {
            _ = try? manager.manager.remove(name: name, timeout: .seconds(2))
        }
    }

    private static func inheritedFile() -> HandoffFile? {
        guard let value = getenv(IncomingHandoff.variable), let descriptor = CInt(String(cString: value)) else { return nil }
        unsetenv(IncomingHandoff.variable)
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { return nil }
        return HandoffFile(descriptor: descriptor)
    }
}

/// The descriptors that a process was started with.
enum OpenDescriptors {
    /// Those that survived the exec, standard ones left out. They are close-on-exec afterwards.
    static func inherited(besides known: CInt) -> [CInt] {
        let listed = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { CInt($0) }
        return (listed ?? Array(3..<65_536)).sorted().filter { descriptor in
            guard descriptor > 2, descriptor != known else { return false }
            let flags = fcntl(descriptor, F_GETFD)
            guard flags >= 0, flags & FD_CLOEXEC == 0 else { return false }
            return fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) == 0
        }
    }
}
