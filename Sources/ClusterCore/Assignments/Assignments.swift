import Timing
import TunnelWire

/// The state that the voters agree on, replicated as a state and not as a log: every server holds a copy, the leader writes
/// to all and serves what a quorum has on disk.
///
/// What makes it safe is that any two quorums share a voter: the winner of an election fetches the highest state among its
/// quorum, so nothing that an earlier quorum acknowledged is lost; and a voter refuses whoever's term is over.
package struct Assignments: Sendable {
    package let own: Voter
    package let configuration: AssignmentsConfiguration
    /// The newest state that this server holds; perhaps no quorum has it.
    package internal(set) var state: AssignmentState
    package internal(set) var ballot: Ballot
    /// The newest state of which this server knows that a quorum has it.
    package internal(set) var settled: AssignmentState
    package internal(set) var settledBallot: Ballot
    /// Whether `settled` may be acted on. A voter is waited for before a port goes to somebody else, so what it finds on its disk
    /// holds. Of any other server the voters may know nothing: it listens on nothing until it has heard what holds now.
    private(set) var isCurrent: Bool
    /// What this server does as the leader.
    var leading: LeadingAssignments?
    /// Ports that this server has been asked to leave, with the grant's token; true: it has left.
    private var leaving: [UInt16: (token: Ballot, hasLeft: Bool)] = [:]
    private var repeatAt: Moment?
    let mutation: Mutation

    /// - Parameters:
    ///   - state: as kept on disk, with its ballot.
    ///   - settledBallot: up to where a quorum had it, as far as was known then.
    package init(
        own: Voter, configuration: AssignmentsConfiguration, state: AssignmentState, ballot: Ballot, settledBallot: Ballot,
        mutation: Mutation = Mutation(nil)
    ) {
        self.own = own
        self.configuration = configuration
        self.state = state
        self.ballot = ballot
        self.settledBallot = min(ballot, settledBallot)
        self.settled = state
        self.isCurrent = state.voters.contains(own)
        self.mutation = mutation
        guard settledBallot < ballot else { return }
        self.settled.grants = state.grants.filter { $0.value.token <= settledBallot }
        // The latest voter set may never have come into force.
        self.settled.voters = VoterSet(epoch: 0, voters: [])
    }

    /// The mapped ports that were given out.
    package var ports: [MappedPort] {
        guard self.isCurrent else { return [] }
        return self.settled.grants.sorted { $0.key < $1.key }.filter { !$0.value.isEnding }.map { $0.value.mapped(to: $0.key) }
    }

    package var deadline: Moment? { Moment.earlier(self.leading?.deadline, self.repeatAt) }

    // MARK: As any server

    /// - Parameter from: who says so; of writes, the leader of their term.
    package mutating func received(
        _ message: AssignmentsMessage, from name: ServerName, _ context: AssignmentsContext, now: Moment
    ) -> [AssignmentsAction] {
        switch message {
        case .write(let base, let ballot, let changes):
            return self.write(base, ballot, changes, from: name, context)
        case .install(let ballot, let state):
            return self.install(ballot, state, from: name, context)
        case .fetch(let term):
            guard term == context.term else { return [] }
            return [.send(.fetched(term: term, ballot: self.ballot, self.state), to: name)]
        case .fetched(let term, let ballot, let state):
            guard term == context.term else { return [] }
            return self.fetched(ballot, state, from: name, context, now)
        case .written(let term, let voter, let ballot):
            guard term == context.term else { return [] }
            return self.written(voter, ballot, from: name, context, now)
        case .request(let id, let request): return self.ask(id, request, from: name, context, now)
        case .unbound(let port, let token): return self.unbound(port, token, by: name, context, now)
        case .answer: return []
        }
    }

    private mutating func write(
        _ base: Ballot, _ ballot: Ballot, _ changes: [AssignmentChange], from name: ServerName, _ context: AssignmentsContext
    ) -> [AssignmentsAction] {
        guard ballot.term == context.term else { return self.report(to: name, context) }
        guard base == self.ballot || self.mutation(.ignoreBase), ballot > self.ballot else {
            return self.report(to: name, context)
        }
        // A leader begins a write when the one before is committed.
        if base.term == context.term, base == self.ballot { self.settle(at: base) }
        for change in changes { self.state.apply(change, ballot: ballot, mutation: self.mutation) }
        self.ballot = ballot
        return [.settled] + self.report(to: name, context)
    }

    private mutating func install(
        _ ballot: Ballot, _ state: AssignmentState, from name: ServerName, _ context: AssignmentsContext
    ) -> [AssignmentsAction] {
        guard ballot.term == context.term else { return self.report(to: name, context) }
        guard ballot > self.ballot || self.mutation(.installOlder) else { return self.report(to: name, context) }
        self.state = state
        self.ballot = ballot
        return self.report(to: name, context)
    }

    /// Says what is on disk here, when it is.
    private func report(to name: ServerName, _ context: AssignmentsContext) -> [AssignmentsAction] {
        [.persist, .send(.written(term: context.term, self.own, ballot: self.ballot), to: name)]
    }

    /// The leader of this server's term says up to where a quorum has its state.
    package mutating func heard(committed: Ballot, _ context: AssignmentsContext, now: Moment) -> [AssignmentsAction] {
        // A state of an earlier term may be on a branch that the leader's does not continue.
        guard committed.term == context.term, self.ballot.term == context.term, committed >= self.ballot,
            self.settledBallot < self.ballot || (!self.isCurrent && committed == self.ballot)
        else { return [] }
        // Behind the leader, it may know of grants that are over meanwhile.
        self.settle(at: self.ballot, isLatest: committed == self.ballot)
        return [.keep, .settled] + self.leave(now)
    }

    /// - Parameter isLatest: nothing later was settled when this was said.
    mutating func settle(at ballot: Ballot, isLatest: Bool = true) {
        guard ballot == self.ballot, ballot >= self.settledBallot else { return }
        if isLatest { self.isCurrent = true }
        self.settled = self.state
        self.settledBallot = ballot
    }

    // MARK: Ports that are taken back

    /// Asks for listeners to be closed, once for each grant that ends.
    mutating func leave(_ now: Moment) -> [AssignmentsAction] {
        let ending = self.settled.grants.filter { $0.value.isEnding }
        self.leaving = self.leaving.filter { ending[$0.key]?.token == $0.value.token }
        var actions: [AssignmentsAction] = []
        for (port, grant) in ending.sorted(by: { $0.key < $1.key }) where self.leaving[port] == nil {
            self.leaving[port] = (grant.token, false)
            actions.append(.unbind(port, token: grant.token))
        }
        return actions
    }

    /// This server listens no longer on a port.
    package mutating func left(
        _ port: UInt16, token: Ballot, leader: ServerName?, now: Moment
    ) -> [AssignmentsAction] {
        guard self.leaving[port]?.token == token else { return [] }
        self.leaving[port]?.hasLeft = true
        return self.repeatLeft(leader, now)
    }

    /// Tells the leader, again and again until the grant is gone: it may be another leader meanwhile.
    private mutating func repeatLeft(_ leader: ServerName?, _ now: Moment) -> [AssignmentsAction] {
        let left = self.leaving.filter { $0.value.hasLeft }.sorted { $0.key < $1.key }
        self.repeatAt = left.isEmpty ? nil : now + .seconds(1)
        guard let leader else { return [] }
        let words = left.prefix(AssignmentsMessage.changeLimit).map {
            AssignmentsAction.send(.unbound($0.key, token: $0.value.token), to: leader)
        }
        // On disk first: what this server has forgotten after a crash it would listen on again.
        return words.isEmpty ? [] : [.persist] + words
    }

    // MARK: Time

    /// - Parameter isRegistered: whether a client is registered somewhere with an exposure that wants a port.
    package mutating func onTimer(
        _ context: AssignmentsContext, leader: ServerName?, now: Moment,
        isRegistered: (_ client: String, _ exposure: String) -> Bool
    ) -> [AssignmentsAction] {
        var actions: [AssignmentsAction] = []
        if let repeatAt = self.repeatAt, now >= repeatAt { actions += self.repeatLeft(leader, now) }
        return actions + self.leaderTimer(context, now, isRegistered)
    }
}
