import Timing
import TunnelWire

extension Assignments {
    package var isServing: Bool { self.leading?.isServing ?? false }

    // MARK: Winning and losing

    /// This server leads `context.term` now. It takes over the highest state among those who voted for it.
    /// - Parameter cluster: the cluster's id, if the state that is found has none: it is founded then.
    package mutating func won(
        _ grants: [VoteGrant], cluster: WireID, _ context: AssignmentsContext, now: Moment
    ) -> [AssignmentsAction] {
        self.leading = LeadingAssignments(
            term: context.term, phase: .idle, givesUpAt: now + self.configuration.patience,
            sweepAt: now + self.configuration.sweep)
        self.leading?.electors = grants.map(\.voter)
        let highest = max(self.ballot, grants.map(\.ballot).max() ?? self.ballot)
        let holders = grants.filter { $0.ballot == highest && $0.voter != self.own }.map(\.voter)
        guard highest > self.ballot, !self.mutation(.skipFetch) else {
            let isFounded = self.state.voters.epoch > 0
            let founding = AssignmentChange.found(cluster, VoterSet(epoch: 1, voters: grants.map(\.voter)))
            return self.begin(isFounded ? [] : [founding], answers: [], at: Ballot(term: context.term, sequence: 0))
        }
        return self.fetch(highest, from: holders, turn: 0, context, now)
    }

    package mutating func lost() { self.leading = nil }

    private mutating func fetch(
        _ ballot: Ballot, from holders: [Voter], turn: Int, _ context: AssignmentsContext, _ now: Moment
    ) -> [AssignmentsAction] {
        self.leading?.phase = .fetching(ballot: ballot, from: holders, turn: turn, askAgainAt: now + self.configuration.retry)
        return [.send(.fetch(term: context.term), to: holders[turn % holders.count].name)]
    }

    mutating func fetched(
        _ ballot: Ballot, _ state: AssignmentState, from name: ServerName, _ context: AssignmentsContext, _ now: Moment
    ) -> [AssignmentsAction] {
        guard case .fetching(let wanted, let holders, _, _) = self.leading?.phase, ballot >= wanted,
            holders.contains(where: { $0.name == name })
        else { return [] }
        self.state = state
        self.ballot = ballot
        // Elected by a set of voters that never came into force: those of the latest state have to have elected it.
        let electors = self.leading?.electors ?? []
        guard electors.count(where: { state.voters.contains($0) }) >= state.voters.quorum else { return [.keep, .abdicate] }
        return self.begin([], answers: [], at: Ballot(term: context.term, sequence: 0))
    }

    // MARK: Writing

    mutating func begin(
        _ changes: [AssignmentChange], answers: [(ServerName, UInt64, RequestOutcome)], at ballot: Ballot
    ) -> [AssignmentsAction] {
        let write = LeadingAssignments.Write(
            base: self.ballot, ballot: ballot, changes: changes, answers: answers.map { (to: $0.0, id: $0.1, $0.2) })
        for change in changes { self.state.apply(change, ballot: ballot, mutation: self.mutation) }
        self.ballot = ballot
        self.leading?.phase = .writing(write)
        var actions: [AssignmentsAction] = [.broadcast(write.message), .persist, .ownStored(ballot)]
        if self.mutation(.answerEarly) { actions += self.answers(of: write) }
        return actions
    }

    /// The write of this ballot is on this server's own disk.
    package mutating func ownStored(_ ballot: Ballot, _ context: AssignmentsContext, now: Moment) -> [AssignmentsAction] {
        guard self.leading?.term == context.term else { return [] }
        return self.count(self.own, ballot, context, now)
    }

    mutating func written(
        _ voter: Voter, _ ballot: Ballot, from name: ServerName, _ context: AssignmentsContext, _ now: Moment
    ) -> [AssignmentsAction] {
        guard self.leading?.term == context.term else { return [] }
        if ballot < self.ballot { return self.help(name, holding: ballot, now) }
        return self.count(voter, ballot, context, now)
    }

    private mutating func count(
        _ voter: Voter, _ ballot: Ballot, _ context: AssignmentsContext, _ now: Moment
    ) -> [AssignmentsAction] {
        let known = self.leading?.stored[voter] ?? .zero
        self.leading?.stored[voter] = max(ballot, known)
        guard let leading = self.leading, case .writing(let write) = leading.phase else { return [] }
        let holders = self.state.voters.voters.count { leading.stored[$0].map { $0 >= write.ballot } ?? false }
        let needed = self.mutation(.quorumOfLiveView) ? 1 : self.state.voters.quorum
        guard holders >= needed else { return [] }
        return self.commit(write, context, now)
    }

    private mutating func commit(
        _ write: LeadingAssignments.Write, _ context: AssignmentsContext, _ now: Moment
    ) -> [AssignmentsAction] {
        let isFirst = self.leading?.isServing == false
        self.settle(at: write.ballot)
        self.leading?.phase = .idle
        self.leading?.givesUpAt = nil
        var actions: [AssignmentsAction] = self.answers(of: write) + [.keep, .settled, .wantRound]
        if isFirst { actions.append(.serving) }
        guard self.state.voters.contains(self.own) else { return actions + [.abdicate] }
        actions += self.leave(now)
        return actions + self.proceed(context, now)
    }

    private func answers(of write: LeadingAssignments.Write) -> [AssignmentsAction] {
        write.answers.map { .send(.answer(id: $0.id, $0.2), to: $0.to) }
    }

    /// Brings a server up to date that holds an older state, or another.
    private mutating func help(_ name: ServerName, holding ballot: Ballot, _ now: Moment) -> [AssignmentsAction] {
        switch self.leading?.phase {
        case nil, .fetching: return []
        case .writing(let write) where write.base == ballot: return [.send(write.message, to: name)]
        case .writing, .idle: return self.install(at: name, now)
        }
    }

    private mutating func install(at name: ServerName, _ now: Moment) -> [AssignmentsAction] {
        if let last = self.leading?.installedAt[name], now < last + self.configuration.installSpacing { return [] }
        self.leading?.installedAt[name] = now
        return [.send(.install(ballot: self.ballot, self.state), to: name)]
    }

    /// A server answered a heartbeat and told what it holds, on disk or not.
    package mutating func heard(
        _ name: ServerName, ballot: Ballot, _ context: AssignmentsContext, now: Moment
    ) -> [AssignmentsAction] {
        guard let leading = self.leading, leading.term == context.term else { return [] }
        if ballot < self.ballot { return self.help(name, holding: ballot, now) }
        // It holds the write, but has not said that it is on disk: the answer may have been lost.
        guard case .writing(let write) = leading.phase, let voter = self.state.voters.voter(named: name),
            leading.stored[voter].map({ $0 < write.ballot }) ?? true
        else { return [] }
        return [.send(write.message, to: name)]
    }

    // MARK: Time

    mutating func leaderTimer(
        _ context: AssignmentsContext, _ now: Moment, _ isRegistered: (String, String) -> Bool
    ) -> [AssignmentsAction] {
        guard let leading = self.leading else { return [] }
        if let end = leading.givesUpAt, now >= end { return [.abdicate] }
        if case .fetching(let ballot, let holders, let turn, let at) = leading.phase, now >= at {
            return self.fetch(ballot, from: holders, turn: turn + 1, context, now)
        }
        guard now >= leading.sweepAt else { return [] }
        self.leading?.sweepAt = now + self.configuration.sweep
        return self.sweep(context, now, isRegistered)
    }

    /// Takes back the ports whose registration has been gone for long.
    private mutating func sweep(
        _ context: AssignmentsContext, _ now: Moment, _ isRegistered: (String, String) -> Bool
    ) -> [AssignmentsAction] {
        for (port, grant) in self.state.grants.sorted(by: { $0.key < $1.key }) where !grant.isEnding {
            if isRegistered(grant.client, grant.exposure) {
                self.leading?.unusedSince[port] = nil
            } else if let since = self.leading?.unusedSince[port] {
                if now - since >= self.configuration.retention { self.leading?.chores.append(.end(port, token: grant.token)) }
            } else {
                self.leading?.unusedSince[port] = now
            }
        }
        return self.proceed(context, now)
    }
}
