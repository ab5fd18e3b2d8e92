import Timing
import TunnelWire

/// What the machines want done, and what each is told of the others.
extension ClusterNode {
    // MARK: Messages

    mutating func receive(
        _ message: ClusterMessage, from name: ServerName, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        guard self.linked[name] != nil, !self.hasLeft else { return }
        switch message {
        case .membership(let message):
            self.perform(self.membership.received(message, from: name, now: now, rng: &rng), now, &rng)
            self.sync(name, now)
        case .registry(let message):
            guard self.synced.contains(name) else { return }
            self.perform(self.registry.received(message, from: name, peers: self.registryPeers, now: now))
        case .election(let message):
            self.perform(self.election.received(message, from: name, self.electorate, now: now, rng: &rng), now, &rng)
            if case .heartbeat(let heartbeat) = message { self.follow(heartbeat, now, &rng) }
        case .assignments(let message): self.receive(message, from: name, now, &rng)
        case .duty(.challenge(let client, let instance)):
            self.actions.append(.challenge(client: client, instance: instance))
        case .duty(.spread(let count, let target)):
            guard name == self.election.leader else { return }
            self.actions.append(.spread(Int(clamping: count), to: target))
        }
    }

    /// Members are exchanged before the registry is: by then a server that lost its disk knows which generation is its.
    private mutating func sync(_ name: ServerName, _ now: Moment) {
        guard !self.synced.contains(name), self.membership.hasSynced(with: name) else { return }
        self.synced.insert(name)
        self.perform(self.registry.joined(name, now: now))
    }

    private mutating func follow(
        _ heartbeat: LeaderHeartbeat, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        guard heartbeat.term == self.election.term, self.election.leader == heartbeat.leader.name, !self.election.isLeading else {
            return
        }
        self.perform(self.assignments.heard(committed: heartbeat.committed, self.context, now: now), now, &rng)
        self.repeatRequests(now, &rng)
    }

    mutating func receive(
        _ message: AssignmentsMessage, from name: ServerName, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        switch message {
        case .write(_, let ballot, _), .install(let ballot, _):
            self.perform(self.election.heard(term: ballot.term, leader: name, now: now, rng: &rng), now, &rng)
        case .written(let term, _, _), .fetch(let term), .fetched(let term, _, _):
            self.perform(self.election.heard(term: term, leader: nil, now: now, rng: &rng), now, &rng)
        case .answer(let id, let outcome):
            if self.requests.remove(id) { self.actions.append(.answered(id: id, outcome)) }
            return
        case .request(let id, .command(.transfer(let target))): return self.transfer(id, target, askedBy: name, now, &rng)
        case .request(let id, .drain): return self.grantDrain(id, to: name, now, &rng)
        case .request, .unbound: break
        }
        self.perform(self.assignments.received(message, from: name, self.context, now: now), now, &rng)
    }

    /// Sends to a peer, or gives to this server itself.
    private mutating func send(
        _ message: AssignmentsMessage, to name: ServerName, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        guard name == self.configuration.name else { return self.send(.assignments(message), to: name) }
        self.receive(message, from: name, now, &rng)
    }

    func isReachable(_ name: ServerName) -> Bool { self.linked[name] != nil }

    private mutating func send(_ message: ClusterMessage, to name: ServerName) {
        if self.isReachable(name) { self.actions.append(.send(message, to: name)) }
    }

    private mutating func broadcast(_ message: ClusterMessage) {
        for name in self.linked.keys.sorted() { self.actions.append(.send(message, to: name)) }
    }

    // MARK: Membership

    mutating func perform(
        _ actions: [MembershipAction], _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        for action in actions {
            switch action {
            case .send(let message, let name): self.send(.membership(message), to: name)
            case .dial(let name): self.actions.append(.dial(name))
            case .raisedGeneration(let generation):
                self.generation = generation
                self.save()
                self.perform(self.registry.raise(generation: generation, peers: self.registryPeers, now: now))
            case .changed(let view): self.changed(view, now)
            }
        }
    }

    private mutating func changed(_ view: MemberView, _ now: Moment) {
        self.actions.append(.memberChanged(view))
        guard view.name != self.configuration.name else { return }
        switch view.state {
        case .alive, .suspect, .restarting:
            self.perform(self.registry.ownerShown(view.name, generation: view.incarnation.generation, now: now))
        case .dead, .left: self.perform(self.registry.ownerHidden(view.name, now: now))
        }
    }

    // MARK: Registry

    mutating func perform(_ actions: [RegistryAction]) {
        for action in actions {
            switch action {
            case .send(let message, let name): self.send(.registry(message), to: name)
            case .changed(let owner, let key, let record):
                self.claims.set(owner, key, record)
                self.actions.append(.entryChanged(owner: owner, key, record))
            }
        }
    }

    mutating func set(_ key: RegistryKey, _ record: RegistryRecord?, _ now: Moment) {
        self.claims.set(self.configuration.name, key, record)
        self.perform(self.registry.set(key, record, peers: self.registryPeers, now: now))
    }

    // MARK: Election

    mutating func electionTimer(_ now: Moment, _ rng: inout some RandomNumberGenerator) {
        self.perform(self.election.onTimer(self.electorate, now: now, rng: &rng), now, &rng)
    }

    mutating func perform(_ actions: [ElectionAction], _ now: Moment, _ rng: inout some RandomNumberGenerator) {
        for (index, action) in actions.enumerated() {
            switch action {
            case .send(let message, let name): self.send(.election(message), to: name)
            case .broadcast(.heartbeat(var heartbeat)):
                heartbeat.committed = self.assignments.settledBallot
                self.broadcast(.election(.heartbeat(heartbeat)))
            case .broadcast(let message): self.broadcast(.election(message))
            case .persist:
                guard self.mustWait(then: .election(Array(actions[(index + 1)...]))) else { continue }
                return
            case .ownVoteStored:
                self.perform(self.election.ownVoteStored(self.electorate, now: now), now, &rng)
            case .won(let grants):
                let cluster = WireID.random(using: &rng)
                self.perform(self.assignments.won(grants, cluster: cluster, self.context, now: now), now, &rng)
                // The lead is announced before it is served.
                self.electionTimer(now, &rng)
            case .lost: self.assignments.lost()
            case .confirmed(let round):
                self.perform(self.assignments.confirmed(round: round, self.context, now: now), now, &rng)
            case .heard(let name, let ballot):
                self.perform(self.assignments.heard(name, ballot: ballot, self.context, now: now), now, &rng)
            }
        }
    }

    // MARK: Assignments

    mutating func perform(_ actions: [AssignmentsAction], _ now: Moment, _ rng: inout some RandomNumberGenerator) {
        for (index, action) in actions.enumerated() {
            switch action {
            case .send(let message, let name): self.send(message, to: name, now, &rng)
            case .broadcast(let message): self.broadcast(.assignments(message))
            case .persist:
                guard self.mustWait(then: .assignments(Array(actions[(index + 1)...]))) else { continue }
                return
            case .keep: self.save()
            case .ownStored(let ballot):
                self.perform(self.assignments.ownStored(ballot, self.context, now: now), now, &rng)
            case .wantRound: _ = self.election.wantRound(now: now)
            case .settled: self.settled()
            case .serving: break
            case .abdicate:
                // A leader that has removed itself need not keep the others waiting.
                if !self.electorate.includes(self.configuration.voter), let heir = self.heir(nil) {
                    self.perform(self.election.transfer(to: heir), now, &rng)
                }
                self.perform(self.election.abdicate(now: now, rng: &rng), now, &rng)
            case .unbind(let port, let token): self.actions.append(.unbind(port, token: token))
            }
        }
    }

    private mutating func settled() {
        guard let founding = self.founding, self.assignments.settled.cluster != nil else { return }
        self.founding = nil
        self.actions.append(.answered(id: founding.id, .done))
    }

    // MARK: Disk

    /// False when the state is on disk already. Otherwise `step` is done when it is.
    private mutating func mustWait(then step: StoreQueue.Step) -> Bool {
        let ticket = self.save()
        guard !self.store.isStored(ticket), !self.configuration.mutation(.skipFsync) else { return false }
        self.store.wait(for: ticket, term: self.election.term, step)
        return true
    }

    mutating func stored(_ ticket: UInt64, _ now: Moment, _ rng: inout some RandomNumberGenerator) {
        self.store.stored(ticket)
        while let (term, step) = self.store.next() {
            // What was promised in a term that is over interests nobody any more.
            guard term == self.election.term else { continue }
            switch step {
            case .election(let actions): self.perform(actions, now, &rng)
            case .assignments(let actions): self.perform(actions, now, &rng)
            }
        }
    }
}
