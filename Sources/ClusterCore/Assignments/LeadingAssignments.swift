import Timing
import TunnelWire

/// What a leader keeps in mind about the assignments, from winning its term to losing it.
struct LeadingAssignments: Sendable {
    /// ```
    /// fetching → writing ⇄ idle
    /// ```
    enum Phase: Sendable {
        /// Asks those who hold the highest state for it, one after the other. Can transition to: writing.
        case fetching(ballot: Ballot, from: [Voter], turn: Int, askAgainAt: Moment)
        /// Waits until a quorum has the write on disk. Can transition to: idle.
        case writing(Write)
        /// Can transition to: writing.
        case idle
    }

    /// A write on its way; there is never a second one.
    struct Write: Sendable {
        var base: Ballot
        var ballot: Ballot
        var changes: [AssignmentChange]
        /// Who is told what when it is committed.
        var answers: [(to: ServerName, id: UInt64, RequestOutcome)]

        var message: AssignmentsMessage { .write(base: self.base, ballot: self.ballot, changes: self.changes) }
    }

    /// A request that is not answered yet.
    struct Waiter: Sendable {
        var asker: ServerName
        var id: UInt64
        var request: LeaderRequest
        /// It may be answered from what is there once a quorum has answered this round; nil: not looked at yet.
        var round: UInt64?
    }

    /// A leader forgets older requests beyond so many: their askers repeat them.
    static let waiterLimit = 4_096

    let term: UInt64
    /// Who voted for this leader.
    var electors: [Voter] = []
    var phase: Phase
    /// When it gives up if its first state is not committed; nil when it is.
    var givesUpAt: Moment?
    var waiters: [Waiter] = []
    var confirmedRound: UInt64 = 0
    /// What each voter has on disk.
    var stored: [Voter: Ballot] = [:]
    /// Changes that nobody asked for: ends and releases.
    var chores: [AssignmentChange] = []
    /// Who has left a port whose grant ends.
    var left: [UInt16: Set<ServerName>] = [:]
    /// When a whole state was last sent to a server.
    var installedAt: [ServerName: Moment] = [:]
    /// Since when nobody is registered for a port.
    var unusedSince: [UInt16: Moment] = [:]
    var sweepAt: Moment

    /// The first state is committed.
    var isServing: Bool { self.givesUpAt == nil }

    var deadline: Moment? {
        var deadline = Moment.earlier(self.givesUpAt, self.sweepAt)
        if case .fetching(_, _, _, let at) = self.phase { deadline = Moment.earlier(deadline, at) }
        return deadline
    }

    /// Takes a request once, however often it is asked.
    mutating func add(_ waiter: Waiter) {
        guard !self.waiters.contains(where: { $0.asker == waiter.asker && $0.id == waiter.id }) else { return }
        if self.waiters.count >= Self.waiterLimit { self.waiters.removeFirst() }
        self.waiters.append(waiter)
    }
}
