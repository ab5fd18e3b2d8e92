import Timing
import TunnelWire

/// What an `Election` wants done, in this order.
package enum ElectionAction: Equatable, Sendable {
    case send(ElectionMessage, to: ServerName)
    /// To every server that can be reached.
    case broadcast(ElectionMessage)
    /// Term and vote have changed: what comes behind this in the list waits until they are on disk, and is dropped if the term
    /// is another by then.
    case persist
    /// This server's own vote is on disk: call `ownVoteStored`.
    case ownVoteStored
    /// This server leads its term.
    case won(grants: [VoteGrant])
    /// It does not any more.
    case lost
    /// A quorum has acknowledged this round of heartbeats, and all before.
    case confirmed(round: UInt64)
    /// A server that can be reached holds a state of this ballot.
    case heard(ServerName, ballot: Ballot)
}

/// A vote for this server, and what state the voter holds.
package struct VoteGrant: Equatable, Sendable {
    package var voter: Voter
    package var ballot: Ballot
}

/// Agrees with the other voters on one leader for each term. Raft's election with PreVote, CheckQuorum and a lease; there is
/// no log, so a vote does not depend on what the candidate holds: the winner fetches the latest state from its voters.
package struct Election: Sendable {
    /// ```
    /// follower → prevoting → standing → leading → follower
    ///    ↑___________|___________|
    /// ```
    enum Role: Equatable, Sendable {
        /// Can transition to: prevoting, standing (when the leader hands over).
        case follower(leader: ServerName?)
        /// Asks whether it would be elected. Can transition to: follower, standing.
        case prevoting(grants: [Voter])
        /// Can transition to: follower, leading, prevoting.
        case standing(grants: [VoteGrant], isTransfer: Bool)
        /// Can transition to: follower.
        case leading(LeaderRounds)
    }

    package let own: Voter
    package let configuration: ElectionConfiguration
    package private(set) var term: UInt64
    package private(set) var votedFor: Voter?
    var role = Role.follower(leader: nil)
    /// No vote against the leader, or shortly after boot, before this.
    var stickyUntil: Moment
    /// When something is due, whatever the role.
    var timerAt: Moment
    let mutation: Mutation

    /// - Parameters:
    ///   - term: the one kept on disk; so is `votedFor`.
    package init(
        own: Voter, term: UInt64, votedFor: Voter?, configuration: ElectionConfiguration, mutation: Mutation = Mutation(nil),
        now: Moment, rng: inout some RandomNumberGenerator
    ) {
        self.own = own
        self.term = term
        self.votedFor = votedFor
        self.configuration = configuration
        self.mutation = mutation
        self.stickyUntil = now + configuration.timeout
        self.timerAt = now + randomSpan(configuration.timeout..<configuration.timeout * 2, using: &rng)
    }

    package var deadline: Moment { self.timerAt }

    package var isLeading: Bool {
        if case .leading = self.role { true } else { false }
    }

    package var isStanding: Bool {
        switch self.role {
        case .prevoting, .standing: true
        case .follower, .leading: false
        }
    }

    /// Who leads the present term, as far as this server has heard.
    package var leader: ServerName? {
        switch self.role {
        case .follower(let leader): leader
        case .leading: self.own.name
        case .prevoting, .standing: nil
        }
    }

    // MARK: Time

    package mutating func onTimer(
        _ electorate: Electorate, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        guard now >= self.timerAt else { return [] }
        switch self.role {
        case .leading(let rounds): return self.lead(rounds, electorate, now, &rng)
        case .follower, .prevoting, .standing: return self.prevote(electorate, now, &rng)
        }
    }

    /// Waits for a leader from now on.
    mutating func wait(_ now: Moment, _ rng: inout some RandomNumberGenerator) {
        self.timerAt = now + randomSpan(self.configuration.timeout..<self.configuration.timeout * 2, using: &rng)
    }

    // MARK: Terms

    /// Follows a higher term; what this server did in its own is over.
    mutating func adopt(
        term: UInt64, leader: ServerName?, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        let wasLeading = self.isLeading
        let isNew = term > self.term
        if isNew {
            self.term = term
            self.votedFor = nil
        }
        if isNew || leader != nil || wasLeading { self.role = .follower(leader: leader) }
        if isNew || wasLeading { self.wait(now, &rng) }
        return (wasLeading ? [.lost] : []) + (isNew ? [.persist] : [])
    }

    /// Somebody acts in a term, its leader where that is known.
    package mutating func heard(
        term: UInt64, leader: ServerName?, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        guard term > self.term else { return [] }
        return self.adopt(term: term, leader: leader, now, &rng)
    }

    /// Stops leading, for example because the first state could not be committed.
    package mutating func abdicate(now: Moment, rng: inout some RandomNumberGenerator) -> [ElectionAction] {
        guard self.isLeading else { return [] }
        self.role = .follower(leader: nil)
        self.wait(now, &rng)
        return [.lost]
    }

    mutating func vote(for candidate: Voter) { self.votedFor = candidate }

    mutating func beginTerm() {
        self.term += 1
        self.votedFor = self.own
    }

    // MARK: Links

    /// The last link to a server is gone. If it led, and did not merely fall silent, its place is free at once.
    package mutating func unlinked(
        _ name: ServerName, _ ending: LinkEnding, now: Moment, rng: inout some RandomNumberGenerator
    ) {
        guard ending != .silent, case .follower(leader: name) = self.role else { return }
        self.role = .follower(leader: nil)
        self.stickyUntil = now
        self.timerAt = now + randomSpan(.zero..<self.configuration.succession, using: &rng)
    }
}
