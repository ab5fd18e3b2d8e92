import ClusterCore
import Timing
import TunnelWire

/// What processes want done.
extension World {
    mutating func perform(_ action: ClusterAction, _ place: Int) {
        self.digest.add(action.kind)
        self.note { "\($0.places[place].name)   → \(action.text)" }
        switch action {
        case .send(let message, let name): self.send(message, place, name)
        case .store(let state, let ticket):
            self.digest.add(state.term)
            self.violate(.monotonic, self.checks.disks.storing(self.places[place], state))
            self.hold(place, state)
            self.checks.registry.publishes(place, generation: state.generation)
            self.store(state, ticket, place)
        case .dial(let name):
            if let peer = self.indices[name], self.slot(place, peer) < 0 { self.planDial(place, peer, after: 0) }
        case .memberChanged(let view): self.memberChanged(view, place)
        case .entryChanged(let owner, let key, let record): self.entryChanged(owner, key, record, place)
        case .leadershipChanged(let leadership): self.leadershipChanged(leadership, place)
        case .portsChanged(let ports): self.bind(place, ports)
        case .unbind(let port, let token): self.unbind(place, port, token)
        case .answered(let id, let outcome): self.answered(id, outcome, place)
        // Clients that are asked to go, or to show that they live: no matter of agreement.
        case .challenge, .spread: break
        }
    }

    private mutating func send(_ message: ClusterMessage, _ place: Int, _ name: ServerName) {
        guard let peer = self.indices[name] else {
            return self.violate(.registry, "\(self.places[place].name) sends to \(name), which does not exist")
        }
        self.digest.add(peer << 8 | message.kind)
        self.coverage.count(message)
        switch message {
        case .election(.voteReply), .election(.voteRequest), .assignments(.written): self.checkPromise(message, place, name)
        default: break
        }
        self.transmit(message, from: place, to: peer)
    }

    private mutating func checkPromise(_ message: ClusterMessage, _ place: Int, _ name: ServerName) {
        switch message {
        case .election(let message):
            self.violate(.oneVote, self.checks.votes.sent(message, by: self.places[place].voter, to: name))
            self.violate(.monotonic, self.checks.disks.promises(message, self.places[place], to: name))
        case .assignments(let message): self.violate(.monotonic, self.checks.disks.promises(message, self.places[place]))
        case .membership, .registry, .duty: break
        }
    }

    // MARK: Members

    private mutating func memberChanged(_ view: MemberView, _ place: Int) {
        self.digest.add(view.incarnation.generation << 16 ^ view.incarnation.counter)
        guard let subject = self.indices[view.name] else {
            return self.violate(.registry, "\(self.places[place].name) knows a member \(view.name), which does not exist")
        }
        self.checks.registry.member(view.state, subject, seenBy: place)
        let isWell = self.places[subject].isRunning && !self.places[subject].isLeaving
        switch view.state {
        case .suspect: if isWell { self.coverage.falseSuspicions += 1 } else { self.coverage.suspicions += 1 }
        case .dead:
            if isWell { self.coverage.falseDeaths += 1 } else { self.coverage.deaths += 1 }
            if isWell {
                self.violate(.convergence, self.checks.convergence.dead(view.name, saidBy: self.places[place].name, at: self.now))
            }
        case .alive, .left, .restarting: break
        }
    }

    // MARK: Registry

    private mutating func entryChanged(_ owner: ServerName, _ key: RegistryKey, _ record: RegistryRecord?, _ place: Int) {
        guard let index = self.indices[owner] else {
            return self.violate(.registry, "\(self.places[place].name) has an entry of \(owner), which does not exist")
        }
        self.coverage.entryChanges += 1
        self.violate(.registry, self.checks.registry.changed(index, key, record, seenBy: self.places[place].name, place))
    }

    /// A server's own entry is another one now.
    mutating func set(_ key: RegistryKey, _ record: RegistryRecord?, at place: Int) {
        guard self.places[place].isRunning else { return }
        self.checks.registry.set(place, key, record)
        self.feed(.set(key, record), to: place)
    }

    // MARK: Leadership

    private mutating func leadershipChanged(_ leadership: Leadership, _ place: Int) {
        self.digest.add(leadership.term)
        self.coverage.count(leadership.role)
        self.coverage.terms = max(self.coverage.terms, leadership.term)
    }

    private mutating func lead(_ leadership: Leadership, _ place: Int) {
        guard leadership.role == .leader else { return }
        let server = self.places[place]
        self.violate(.oneLeader, self.checks.leaders.leads(place, life: server.life, name: server.name, term: leadership.term))
    }

    // MARK: Agreement

    /// What was agreed on in this step is looked at before anybody is told of it: a leader commits and answers at once.
    mutating func agree(_ actions: [ClusterAction], _ place: Int) {
        var isSettled = false
        for action in actions {
            switch action {
            case .store(let state, _): self.violate(.agreement, self.checks.ballots.holds(place, state))
            case .leadershipChanged(let leadership): self.lead(leadership, place)
            case .portsChanged: isSettled = true
            default: break
            }
        }
        if isSettled { self.settled(place) }
    }

    /// What is known to be kept by a quorum is another state now; the leader knows it first.
    private mutating func settled(_ place: Int) {
        guard let ballot = self.places[place].process?.node.stored.settled, ballot > .zero,
            let state = self.checks.ballots.state(of: ballot)
        else { return }
        let server = self.places[place]
        if self.checks.leaders.isLeader(place, life: server.life, of: ballot.term), self.checks.commits.isNew(ballot) {
            self.coverage.commits += 1
            self.violate(.quorum, self.checks.voters.hasQuorum(ballot, state.voters, leader: server.name))
            self.violate(.assignments, self.checks.commits.committed(ballot, state, at: self.now))
        } else {
            self.violate(.agreement, self.checks.commits.isKnown(ballot, by: server.name))
        }
    }

    /// A voter set that a server goes by from now on, in memory.
    mutating func hold(_ place: Int, _ state: StoredState) {
        guard self.checks.voters.holds(place, self.places[place].voter, state) else { return }
        self.coverage.voterSets += 1
        self.violate(.voterSets, self.checks.voters.disjoint())
    }

    /// A write has reached the disk.
    mutating func durable(_ place: Int) {
        guard let state = self.places[place].disk.durable else { return }
        self.checks.disks.durable(self.places[place])
        self.checks.voters.durable(self.places[place].voter, state)
    }
}
