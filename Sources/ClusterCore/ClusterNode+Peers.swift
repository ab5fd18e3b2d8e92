import Timing
import TunnelWire

extension ClusterNode {
    // MARK: Links

    mutating func link(_ peer: PeerIdentity, _ now: Moment, _ rng: inout some RandomNumberGenerator) {
        self.linked[peer.name] = peer
        self.synced.remove(peer.name)
        self.perform(self.membership.linked(peer, now: now, rng: &rng), now, &rng)
    }

    mutating func unlink(
        _ name: ServerName, _ ending: LinkEnding, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        self.linked[name] = nil
        self.synced.remove(name)
        self.election.unlinked(name, ending, now: now, rng: &rng)
        self.perform(self.membership.unlinked(name, ending, now: now, rng: &rng), now, &rng)
    }

    /// Says good-bye: to the members, and to the voters by handing over the lead.
    mutating func leave(_ now: Moment, _ rng: inout some RandomNumberGenerator) {
        if self.election.isLeading, let heir = self.heir(nil) { self.perform(self.election.transfer(to: heir), now, &rng) }
        self.perform(self.membership.leave(now: now), now, &rng)
        self.hasLeft = true
        self.assignments.lost()
    }

    /// Says that another process of this server takes over, and hands over the lead meanwhile.
    mutating func restart(within span: Duration, _ now: Moment, _ rng: inout some RandomNumberGenerator) {
        if self.election.isLeading, let heir = self.heir(nil) { self.perform(self.election.transfer(to: heir), now, &rng) }
        self.perform(self.membership.restarting(until: now + span, now: now), now, &rng)
        self.hasLeft = true
        self.assignments.lost()
    }

    // MARK: Requests

    mutating func request(
        _ id: UInt64, _ request: LeaderRequest, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        self.requests.add(id, request, now)
        self.repeatRequests(now, &rng)
    }

    /// Asks the leader of now what is not answered yet.
    mutating func repeatRequests(_ now: Moment, _ rng: inout some RandomNumberGenerator) {
        guard let leader = self.election.leader else { return self.requests.postpone(now) }
        for (id, request) in self.requests.due(leader: leader, term: self.election.term, now: now) {
            if leader == self.configuration.name {
                self.receive(.request(id: id, request), from: leader, now, &rng)
            } else if self.isReachable(leader) {
                self.actions.append(.send(.assignments(.request(id: id, request)), to: leader))
            }
        }
    }

    mutating func administer(
        _ id: UInt64, _ command: ClusterCommand, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        guard command == .found else { return self.request(id, .command(self.meant(by: command)), now, &rng) }
        guard self.assignments.state.voters.epoch == 0 else {
            return self.actions.append(.answered(id: id, .refused("this server belongs to a cluster already")))
        }
        self.founding = (Electorate.Founders(count: self.linked.count + 1, digest: 0), id, now + .seconds(10))
        self.perform(self.election.hurry(self.electorate, now: now, rng: &rng), now, &rng)
    }

    /// What an operator wants who says that here. To remove a server once more says that it is gone for good; that it is once
    /// more is seen only here and now, for the leader cannot tell a second wish from a request that was repeated.
    func meant(by command: ClusterCommand) -> ClusterCommand {
        let voters = self.assignments.settled.voters
        guard case .removeVoter(let name) = command, voters.epoch > 0, voters.voter(named: name) == nil else { return command }
        return .forgetVoter(name)
    }

    /// Who could take over: a voter that is linked, alive, and not draining.
    func heir(_ wanted: ServerName?) -> ServerName? {
        let candidates = self.assignments.state.voters.voters.filter { voter in
            voter != self.configuration.voter && self.isReachable(voter.name)
                && self.members.contains { $0.name == voter.name && $0.id == voter.id && $0.state == .alive }
        }
        return candidates.map(\.name).first { wanted == nil || $0 == wanted }
    }

    mutating func transfer(
        _ id: UInt64, _ target: ServerName?, askedBy name: ServerName, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        guard self.election.isLeading else { return }
        let outcome: RequestOutcome
        if target == self.configuration.name {
            outcome = .done
        } else if let heir = self.heir(target) {
            self.perform(self.election.transfer(to: heir), now, &rng)
            outcome = .done
        } else {
            outcome = .refused("\(target ?? "no other server") is not a voter that the leader can reach")
        }
        let answer = AssignmentsMessage.answer(id: id, outcome)
        if name == self.configuration.name {
            self.receive(answer, from: name, now, &rng)
        } else if self.isReachable(name) {
            self.actions.append(.send(.assignments(answer), to: name))
        }
    }
}
