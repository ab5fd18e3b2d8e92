import Timing
import TunnelWire

extension Election {
    // MARK: As leader

    /// Sends the next round, or gives up when no quorum answers.
    mutating func lead(
        _ rounds: LeaderRounds, _ electorate: Electorate, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        guard now < rounds.confirmedSince + self.configuration.lease else { return self.abdicate(now: now, rng: &rng) }
        var rounds = rounds
        let round = rounds.begin(now: now)
        let isConfirmed = rounds.settle(self.own, electorate)
        self.role = .leading(rounds)
        self.timerAt = min(now + self.configuration.heartbeatInterval, rounds.confirmedSince + self.configuration.lease)
        return [.broadcast(.heartbeat(self.heartbeat(round, electorate)))]
            + (isConfirmed ? [.confirmed(round: rounds.confirmed)] : [])
    }

    /// `committed` is put in by whoever sends it: this machine does not know what is committed.
    private func heartbeat(_ round: UInt64, _ electorate: Electorate) -> LeaderHeartbeat {
        LeaderHeartbeat(term: self.term, leader: self.own, cluster: electorate.cluster, round: round, committed: .zero)
    }

    /// Has a round sent soon; `confirmed` tells when a quorum has answered it. Nil when this server does not lead.
    package mutating func wantRound(now: Moment) -> UInt64? {
        guard case .leading(var rounds) = self.role else { return nil }
        let round = rounds.want()
        self.timerAt = min(self.timerAt, max(now, rounds.lastSentAt + self.configuration.roundSpacing))
        self.role = .leading(rounds)
        return round
    }

    /// The number that the next round will have, whoever asks for it.
    package var nextRound: UInt64 {
        if case .leading(let rounds) = self.role { rounds.last + 1 } else { 0 }
    }

    /// Until when no other leader can have been elected, but for servers whose link to this one broke; nil: not leading.
    package var leaseEnds: Moment? {
        guard case .leading(let rounds) = self.role, rounds.confirmed > 0 else { return nil }
        return rounds.confirmedSince + self.configuration.lease
    }

    /// Hands the lead over to a voter that can be reached.
    package func transfer(to name: ServerName) -> [ElectionAction] {
        self.isLeading ? [.send(.timeoutNow(term: self.term), to: name)] : []
    }

    mutating func received(
        _ reply: LeaderHeartbeatReply, from name: ServerName, _ electorate: Electorate, _ now: Moment,
        _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        if reply.term > self.term { return self.adopt(term: reply.term, leader: nil, now, &rng) }
        guard reply.term == self.term, case .leading(var rounds) = self.role else { return [] }
        let isConfirmed = rounds.answer(reply.round, by: reply.voter, own: self.own, electorate)
        self.role = .leading(rounds)
        return [.heard(name, ballot: reply.ballot)] + (isConfirmed ? [.confirmed(round: rounds.confirmed)] : [])
    }

    // MARK: As follower

    mutating func received(
        _ heartbeat: LeaderHeartbeat, from name: ServerName, _ electorate: Electorate, _ now: Moment,
        _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        guard heartbeat.cluster == electorate.cluster || heartbeat.cluster == nil || electorate.cluster == nil else { return [] }
        guard heartbeat.term >= self.term else {
            return [.send(.heartbeatReply(self.reply(heartbeat.round, electorate)), to: name)]
        }
        // Two leaders of one term would be a fault of ours; the one that was first stays.
        if heartbeat.term == self.term, self.isLeading { return [] }
        var actions = self.adopt(term: heartbeat.term, leader: heartbeat.leader.name, now, &rng)
        self.stickyUntil = now + self.configuration.timeout
        self.wait(now, &rng)
        actions.append(.send(.heartbeatReply(self.reply(heartbeat.round, electorate)), to: name))
        return actions
    }

    private func reply(_ round: UInt64, _ electorate: Electorate) -> LeaderHeartbeatReply {
        LeaderHeartbeatReply(term: self.term, voter: self.own, round: round, ballot: electorate.ballot)
    }

    // MARK: Any message

    package mutating func received(
        _ message: ElectionMessage, from name: ServerName, _ electorate: Electorate, now: Moment,
        rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        switch message {
        case .voteRequest(let request): self.received(request, from: name, electorate, now, &rng)
        case .voteReply(let reply): self.received(reply, electorate, now, &rng)
        case .heartbeat(let heartbeat): self.received(heartbeat, from: name, electorate, now, &rng)
        case .heartbeatReply(let reply): self.received(reply, from: name, electorate, now, &rng)
        case .timeoutNow(let term):
            if term == self.term, !self.isLeading, electorate.includes(self.own), electorate.isFounded {
                self.stand(electorate, isTransfer: true, now, &rng)
            } else {
                []
            }
        }
    }
}
