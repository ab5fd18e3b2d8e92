import Timing
import TunnelWire

extension Election {
    // MARK: As a candidate

    /// Asks whether it would be elected: nothing is promised, so a server that merely lost its links disturbs nobody.
    mutating func prevote(
        _ electorate: Electorate, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        self.timerAt = now + randomSpan(self.configuration.patience..<self.configuration.patience * 2, using: &rng)
        guard electorate.includes(self.own) else {
            self.role = .follower(leader: nil)
            self.wait(now, &rng)
            return []
        }
        self.role = .prevoting(grants: [self.own])
        if electorate.isEnough([self.own]) { return self.stand(electorate, isTransfer: false, now, &rng) }
        return [.broadcast(.voteRequest(self.request(electorate, isPrevote: true)))]
    }

    /// Stands soon, whoever may be patient.
    package mutating func hurry(
        _ electorate: Electorate, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        self.isLeading ? [] : self.prevote(electorate, now, &rng)
    }

    /// Stands for the next term. Its own vote counts when it is on disk.
    mutating func stand(
        _ electorate: Electorate, isTransfer: Bool, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        self.beginTerm()
        self.role = .standing(grants: [], isTransfer: isTransfer)
        self.timerAt = now + randomSpan(self.configuration.patience..<self.configuration.patience * 2, using: &rng)
        let request = self.request(electorate, isPrevote: false, isTransfer: isTransfer)
        return [.persist, .ownVoteStored, .broadcast(.voteRequest(request))]
    }

    private func request(_ electorate: Electorate, isPrevote: Bool, isTransfer: Bool = false) -> VoteRequest {
        VoteRequest(
            term: isPrevote ? self.term + 1 : self.term, candidate: self.own, cluster: electorate.cluster,
            epoch: electorate.voters.epoch, isPrevote: isPrevote, isTransfer: isTransfer,
            founders: electorate.founders?.digest ?? 0)
    }

    package mutating func ownVoteStored(_ electorate: Electorate, now: Moment) -> [ElectionAction] {
        self.count(VoteGrant(voter: self.own, ballot: electorate.ballot), electorate, now)
    }

    private mutating func count(_ grant: VoteGrant, _ electorate: Electorate, _ now: Moment) -> [ElectionAction] {
        guard case .standing(var grants, let isTransfer) = self.role, !grants.contains(where: { $0.voter == grant.voter }) else {
            return []
        }
        grants.append(grant)
        // Its own vote is among those that make it leader: a quorum that has it on disk.
        guard grants.contains(where: { $0.voter == self.own }), electorate.isEnough(grants.map(\.voter)) else {
            self.role = .standing(grants: grants, isTransfer: isTransfer)
            return []
        }
        self.role = .leading(LeaderRounds(now: now))
        self.timerAt = now
        return [.won(grants: grants)]
    }

    mutating func received(
        _ reply: VoteReply, _ electorate: Electorate, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        if reply.term > self.term, !(reply.isPrevote && reply.isGranted) {
            return self.adopt(term: reply.term, leader: nil, now, &rng)
        }
        guard reply.isGranted else { return [] }
        if reply.isPrevote {
            guard reply.term == self.term + 1, case .prevoting(var grants) = self.role, !grants.contains(reply.voter) else {
                return []
            }
            grants.append(reply.voter)
            self.role = .prevoting(grants: grants)
            return electorate.isEnough(grants) ? self.stand(electorate, isTransfer: false, now, &rng) : []
        }
        guard reply.term == self.term else { return [] }
        return self.count(VoteGrant(voter: reply.voter, ballot: reply.ballot), electorate, now)
    }

    // MARK: As a voter

    mutating func received(
        _ request: VoteRequest, from name: ServerName, _ electorate: Electorate, _ now: Moment,
        _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        guard self.mayHear(request, electorate, now) else {
            return [.send(.voteReply(self.refusal(request, electorate)), to: name)]
        }
        if request.isPrevote {
            let isGranted = request.term > self.term && self.agrees(with: request, electorate)
            var reply = self.refusal(request, electorate)
            if isGranted {
                reply.isGranted = true
                reply.term = request.term
            }
            return [.send(.voteReply(reply), to: name)]
        }
        guard request.term >= self.term || self.mutation(.acceptLowerTerm) else {
            return [.send(.voteReply(self.refusal(request, electorate)), to: name)]
        }
        return self.vote(request, name, electorate, now, &rng)
    }

    private mutating func vote(
        _ request: VoteRequest, _ name: ServerName, _ electorate: Electorate, _ now: Moment,
        _ rng: inout some RandomNumberGenerator
    ) -> [ElectionAction] {
        var actions = self.adopt(term: request.term, leader: nil, now, &rng)
        let mayVote = self.votedFor == nil || self.votedFor == request.candidate || self.mutation(.voteTwice)
        guard mayVote, !self.isLeading, self.agrees(with: request, electorate) else {
            return actions + [.send(.voteReply(self.refusal(request, electorate)), to: name)]
        }
        if !actions.contains(.persist) { actions.append(.persist) }
        self.vote(for: request.candidate)
        self.role = .follower(leader: nil)
        self.wait(now, &rng)
        var reply = self.refusal(request, electorate)
        reply.isGranted = true
        if self.mutation(.acceptLowerTerm) { reply.term = request.term }
        return actions + [.send(.voteReply(reply), to: name)]
    }

    /// Not while a leader was heard of lately, nor shortly after boot: before, this server may have promised its patience to
    /// one. And never a stranger.
    private func mayHear(_ request: VoteRequest, _ electorate: Electorate, _ now: Moment) -> Bool {
        guard request.cluster == electorate.cluster || request.cluster == nil || electorate.cluster == nil else { return false }
        if request.isTransfer { return true }
        if case .leading(let rounds) = self.role { return now >= rounds.confirmedSince + self.configuration.timeout }
        return now >= self.stickyUntil || (electorate.isFounded && electorate.voters.voters == [self.own])
    }

    /// Whether the candidate counts by a voter set that is not known to be over, or founds what this server wants founded.
    ///
    /// A set that is later but perhaps never came into force is no reason to refuse: it could keep a majority without a leader.
    /// Nor does it matter whether this server knows itself as a voter, since the candidate counts those that it knows. The
    /// winner makes sure that the voters of the latest state have elected it.
    private func agrees(with request: VoteRequest, _ electorate: Electorate) -> Bool {
        guard request.epoch == 0 else { return request.epoch >= electorate.settledEpoch }
        guard !electorate.isFounded, electorate.includes(self.own) else { return false }
        // The same founders, unless an operator decided them.
        return request.founders == 0 || request.founders == electorate.founders?.digest
    }

    private func refusal(_ request: VoteRequest, _ electorate: Electorate) -> VoteReply {
        VoteReply(
            term: self.term, voter: self.own, isPrevote: request.isPrevote, isGranted: false, ballot: electorate.ballot)
    }
}
