import Timing
import TunnelWire

/// What this server wants of the leader, whoever that is, until it is answered.
struct RequestBook: Sendable {
    private struct Entry: Sendable {
        var request: LeaderRequest
        /// The term in which it was last asked, and when it is asked again.
        var askedIn: UInt64?
        var again: Moment
    }

    private var entries: [UInt64: Entry] = [:]

    /// How long an answer is waited for.
    static let patience = Duration.milliseconds(500)

    var deadline: Moment? { self.entries.values.map(\.again).min() }

    mutating func add(_ id: UInt64, _ request: LeaderRequest, _ now: Moment) {
        self.entries[id] = Entry(request: request, askedIn: nil, again: now)
    }

    /// False when it was not there: answered already, or withdrawn.
    @discardableResult
    mutating func remove(_ id: UInt64) -> Bool { self.entries.removeValue(forKey: id) != nil }

    /// There is no leader: each request has its next turn later.
    mutating func postpone(_ now: Moment) {
        for (id, entry) in self.entries where entry.again <= now { self.entries[id]?.again = now + Self.patience }
    }

    /// What to ask the leader of `term` now, oldest first: what it was not asked yet, and what it does not answer.
    mutating func due(leader: ServerName, term: UInt64, now: Moment) -> [(UInt64, LeaderRequest)] {
        let due = self.entries.filter { $0.value.again <= now || $0.value.askedIn != term }.keys.sorted()
        for id in due {
            self.entries[id]?.askedIn = term
            self.entries[id]?.again = now + Self.patience
        }
        return due.compactMap { id in self.entries[id].map { (id, $0.request) } }
    }
}
