import Dispatch
import Foundation
import Synchronization

/// Where a ``JournalLogHandler`` leaves its entries. Must neither fail nor wait: it is called on event loops.
package protocol JournalSink: Sendable {
    func write(_ entry: JournalEntry)
}

/// Hands entries to journald on a thread of its own: a journal that is stuck must not stop the tunnel.
///
/// What does not fit into the queue is dropped, and how many were dropped is said as soon as entries are taken again.
package final class JournalWriter: JournalSink {
    private enum Work: Sendable {
        case entry(JournalEntry)
        /// Signalled once all that was written before has been handed over.
        case mark(DispatchSemaphore)
    }

    private struct State: Sendable {
        var queue: [Work] = []
        var entries = 0
        var dropped = 0
    }

    private let state = Mutex(State())
    private let limit: Int
    private let send: @Sendable (JournalEntry) throws -> Void
    private let wake = DispatchSemaphore(value: 0)

    /// Starts the thread, which runs as long as the process.
    ///
    /// - Parameters:
    ///   - limit: entries that may wait.
    ///   - send: may wait; an entry for which it throws counts as dropped.
    package init(limit: Int = 1024, send: @escaping @Sendable (JournalEntry) throws -> Void = { try Journal.send($0) }) {
        self.limit = limit
        self.send = send
        let thread = Thread { [self] in self.work() }
        thread.name = "journal"
        thread.start()
    }

    package func write(_ entry: JournalEntry) {
        let isTaken = self.state.withLock { state in
            guard state.entries < self.limit else {
                state.dropped += 1
                return false
            }
            state.entries += 1
            state.queue.append(.entry(entry))
            return true
        }
        if isTaken { self.wake.signal() }
    }

    /// Waits until journald has all that was written before. To be called before the process ends or executes another program.
    ///
    /// - Returns: whether it has; `false` after `timeout`.
    @discardableResult
    package func flush(timeout: Duration) -> Bool {
        let done = DispatchSemaphore(value: 0)
        self.state.withLock { $0.queue.append(.mark(done)) }
        self.wake.signal()
        let (seconds, attoseconds) = timeout.components
        return done.wait(timeout: .now() + Double(seconds) + Double(attoseconds) / 1e18) == .success
    }

    private func work() -> Never {
        while true {
            self.wake.wait()
            let (batch, dropped) = self.state.withLock { state in
                defer { state = State() }
                return (state.queue, state.dropped)
            }
            var lost = dropped
            var marks: [DispatchSemaphore] = []
            for work in batch {
                switch work {
                case .entry(let entry): if !self.isSent(entry) { lost += 1 }
                case .mark(let done): marks.append(done)
                }
            }
            if lost > 0 { self.reportLoss(lost) }
            for mark in marks { mark.signal() }
        }
    }

    private func isSent(_ entry: JournalEntry) -> Bool {
        do {
            try self.send(entry)
            return true
        } catch {
            return false
        }
    }

    /// When even this cannot be sent, the count goes on to the next time.
    private func reportLoss(_ count: Int) {
        let text = "log entries dropped because the journal did not take them: \(count)"
        if self.isSent(JournalEntry(message: text, priority: .warning, fields: ["dropped": "\(count)"])) { return }
        self.state.withLock { $0.dropped += count }
    }
}
