import DequeModule
import TunnelWire

/// The order in which a server's state reaches its disk, and what waits for it.
///
/// Every record is the whole state, so writing the newest one covers all before.
struct StoreQueue: Sendable {
    /// What is done when a record is on disk, if the term is still the same.
    enum Step: Sendable {
        case election([ElectionAction])
        case assignments([AssignmentsAction])
    }

    /// Tells two records apart without comparing them.
    struct Mark: Equatable, Sendable {
        var generation: UInt64
        var term: UInt64
        var votedFor: Voter?
        var ballot: Ballot
        var settled: Ballot
    }

    private(set) var last: UInt64 = 0
    private(set) var done: UInt64 = 0
    private var mark: Mark?
    private var waiting: Deque<(ticket: UInt64, term: UInt64, step: Step)> = []

    /// A ticket for the state of this mark; `isNew` when it has to be written.
    mutating func ticket(_ mark: Mark) -> (number: UInt64, isNew: Bool) {
        guard mark != self.mark else { return (self.last, false) }
        self.mark = mark
        self.last += 1
        return (self.last, true)
    }

    func isStored(_ ticket: UInt64) -> Bool { ticket <= self.done }

    mutating func wait(for ticket: UInt64, term: UInt64, _ step: Step) {
        self.waiting.append((ticket, term, step))
    }

    mutating func stored(_ ticket: UInt64) { self.done = max(self.done, min(ticket, self.last)) }

    /// The next step whose record is on disk, with the term in which it was planned.
    mutating func next() -> (term: UInt64, step: Step)? {
        guard let first = self.waiting.first, first.ticket <= self.done else { return nil }
        self.waiting.removeFirst()
        return (first.term, first.step)
    }
}
