import Timing
import TunnelWire

/// The heartbeats of a leader in its term, and which of them a quorum has answered.
struct LeaderRounds: Equatable, Sendable {
    /// The last one that was sent; 0: none yet.
    private(set) var last: UInt64 = 0
    private(set) var lastSentAt: Moment
    /// The last one that a quorum has answered.
    private(set) var confirmed: UInt64 = 0
    /// When that one was sent; before the first, when the lead was won.
    private(set) var confirmedSince: Moment
    /// A round beyond `last` that somebody waits for.
    private(set) var wanted: UInt64 = 0
    /// Those not confirmed yet, by number.
    private var sentAt: [UInt64: Moment] = [:]
    private var answered: [Voter: UInt64] = [:]

    init(now: Moment) {
        self.lastSentAt = now
        self.confirmedSince = now
    }

    var isWanted: Bool { self.wanted > self.last }

    /// The number of a round that is sent after this call.
    mutating func want() -> UInt64 {
        self.wanted = self.last + 1
        return self.wanted
    }

    mutating func begin(now: Moment) -> UInt64 {
        self.last += 1
        self.lastSentAt = now
        self.sentAt[self.last] = now
        return self.last
    }

    /// True when a quorum has now answered a later round than before.
    mutating func answer(_ round: UInt64, by voter: Voter, own: Voter, _ electorate: Electorate) -> Bool {
        guard round <= self.last, round > self.answered[voter] ?? 0 else { return false }
        self.answered[voter] = round
        return self.settle(own, electorate)
    }

    /// The highest round that a quorum has answered; the leader itself has answered all.
    mutating func settle(_ own: Voter, _ electorate: Electorate) -> Bool {
        var rounds = electorate.voters.voters.map { $0 == own ? self.last : self.answered[$0] ?? 0 }
        rounds.sort(by: >)
        let needed = electorate.quorum
        guard rounds.count >= needed, rounds[needed - 1] > self.confirmed else { return false }
        self.confirmed = rounds[needed - 1]
        if let sent = self.sentAt[self.confirmed] { self.confirmedSince = sent }
        self.sentAt = self.sentAt.filter { $0.key > self.confirmed }
        return true
    }
}
