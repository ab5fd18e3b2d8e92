import Timing
import TunnelWire

/// One server's part in its cluster: membership, registry, election and assignments put together. None of the four knows of
/// another; what one of them needs to know is passed on here.
///
/// Sans-IO: an event goes in with the time and a source of randomness, actions come out. The same events give the same
/// actions, which is what makes whole clusters reproducible from one seed.
package struct ClusterNode: Sendable {
    package let configuration: ClusterConfiguration
    var membership: Membership
    package internal(set) var registry: Registry
    var election: Election
    /// Of the configuration: costly to compute.
    private let configuredFounders: Electorate.Founders
    var assignments: Assignments
    var generation: UInt64
    var store = StoreQueue()
    /// The peers with a control link.
    var linked: [ServerName: PeerIdentity] = [:]
    /// Those of them with which members were exchanged: the registry may talk to them.
    var synced: Set<ServerName> = []
    var requests = RequestBook()
    var claims = PortClaims()
    var drains = DrainTurn()
    /// When the leader next looks whether a server has far more than its share of the clients.
    var spreadAt: Moment
    /// The founding that an operator asked for: who has to agree, and who asked.
    var founding: (founders: Electorate.Founders, id: UInt64, until: Moment)?
    /// The new generation is on disk: only then does anybody hear of this life.
    var isBorn = false
    var hasLeft = false
    private var announced: Leadership?
    private var announcedPorts: (settled: Ballot, isCurrent: Bool)?
    var actions: [ClusterAction] = []

    /// - Parameter stored: what the life before left on disk; nil: an empty disk.
    package init(
        configuration: ClusterConfiguration, stored: StoredState?, now: Moment, rng: inout some RandomNumberGenerator
    ) {
        let stored = stored ?? StoredState()
        self.configuration = configuration
        self.configuredFounders = configuration.founders
        self.spreadAt = now + Self.spreadInterval
        self.generation = stored.generation + 1
        self.membership = Membership(
            own: configuration.name, addresses: configuration.addresses, id: configuration.id, instance: configuration.instance,
            incarnation: Incarnation(generation: self.generation), configuration: configuration.membership, now: now)
        self.registry = Registry(
            own: configuration.name, generation: self.generation, configuration: configuration.registry, now: now)
        self.election = Election(
            own: configuration.voter, term: stored.term, votedFor: stored.votedFor,
            configuration: ElectionConfiguration(timeout: configuration.electionTimeout), mutation: configuration.mutation,
            now: now, rng: &rng)
        self.assignments = Assignments(
            own: configuration.voter,
            configuration: AssignmentsConfiguration(
                ports: configuration.ports, retention: configuration.portRetention,
                patience: configuration.electionTimeout * 2),
            state: stored.state, ballot: stored.ballot, settledBallot: stored.settled, mutation: configuration.mutation)
    }

    // MARK: Reading

    /// When `timer` is due.
    package var deadline: Moment? {
        guard self.isBorn else { return self.store.last == 0 ? Moment(nanoseconds: .min) : nil }
        var deadline = Moment.earlier(self.membership.deadline, self.registry.deadline)
        deadline = Moment.earlier(deadline, self.hasLeft ? nil : self.election.deadline)
        deadline = Moment.earlier(deadline, self.assignments.deadline)
        deadline = Moment.earlier(deadline, self.founding?.until)
        deadline = Moment.earlier(deadline, self.election.isLeading ? self.spreadAt : nil)
        return Moment.earlier(deadline, self.requests.deadline)
    }

    /// By name, this server included.
    package var members: [MemberView] { self.membership.members }

    /// The mapped ports that were given out, as far as this server knows that a quorum keeps them.
    package var mappedPorts: [MappedPort] { self.assignments.ports }

    /// What belongs on disk at this moment.
    package var stored: StoredState {
        StoredState(
            generation: self.generation, term: self.election.term, votedFor: self.election.votedFor,
            state: self.assignments.state, ballot: self.assignments.ballot, settled: self.assignments.settledBallot)
    }

    package var leadership: Leadership {
        let role: Leadership.Role =
            if self.election.isLeading {
                .leader
            } else if self.election.isStanding {
                .candidate
            } else {
                self.electorate.includes(self.configuration.voter) ? .follower : .learner
            }
        return Leadership(
            role: role, term: self.election.term, leader: self.election.leader, cluster: self.assignments.state.cluster,
            voters: self.assignments.state.voters, isServing: self.assignments.isServing)
    }

    /// Until when this server leads for certain; nil: it does not.
    package var leaseEnds: Moment? { self.election.leaseEnds }

    var electorate: Electorate {
        Electorate(
            voters: self.assignments.state.voters, settledEpoch: self.assignments.settled.voters.epoch,
            cluster: self.assignments.state.cluster, ballot: self.assignments.ballot,
            founders: self.founding?.founders ?? self.configuredFounders, mutation: self.configuration.mutation)
    }

    var context: AssignmentsContext {
        AssignmentsContext(
            term: self.election.term, nextRound: self.election.nextRound,
            servers: Dictionary(
                self.members.map { ($0.name, $0.id) }, uniquingKeysWith: { first, _ in first }),
            claimed: self.claims.ports,
            reachable: Set(self.linked.keys).union([self.configuration.name]))
    }

    /// The peers that the registry may talk to.
    var registryPeers: [ServerName] { self.synced.sorted() }

    // MARK: Events

    package mutating func on(
        _ event: ClusterEvent, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [ClusterAction] {
        if !self.isBorn {
            self.beforeBirth(event, now, &rng)
        } else {
            // Whatever comes after a pause meets clocks that have run out: first things first.
            if self.election.deadline <= now, !self.hasLeft { self.electionTimer(now, &rng) }
            self.handle(event, now, &rng)
        }
        self.announce()
        defer { self.actions = [] }
        return self.actions
    }

    private mutating func handle(_ event: ClusterEvent, _ now: Moment, _ rng: inout some RandomNumberGenerator) {
        switch event {
        case .timer: self.timer(now, &rng)
        case .linked(let peer): self.link(peer, now, &rng)
        case .unlinked(let name, let ending): self.unlink(name, ending, now, &rng)
        case .dialRefused(let name): self.perform(self.membership.dialRefused(name, now: now, rng: &rng), now, &rng)
        case .received(let message, let name): self.receive(message, from: name, now, &rng)
        case .stored(let ticket): self.stored(ticket, now, &rng)
        case .set(let key, let record): self.set(key, record, now)
        case .request(let id, let request): self.request(id, .port(request), now, &rng)
        case .withdraw(let id): self.requests.remove(id)
        case .unbound(let port, let token):
            self.perform(self.assignments.left(port, token: token, leader: self.election.leader, now: now), now, &rng)
        case .administer(let id, let command): self.administer(id, command, now, &rng)
        case .ghost(let client, let instance, let owner):
            if self.isReachable(owner) {
                self.actions.append(.send(.duty(.challenge(client: client, instance: instance)), to: owner))
            }
        case .requestDrain(let id): self.request(id, .drain, now, &rng)
        case .leave: self.leave(now, &rng)
        case .restart(let span): self.restart(within: span, now, &rng)
        }
    }

    /// The new generation has to be on disk before anybody hears of it, or the next life could be taken for this one.
    private mutating func beforeBirth(_ event: ClusterEvent, _ now: Moment, _ rng: inout some RandomNumberGenerator) {
        if self.store.last == 0 { self.save() }
        switch event {
        case .linked(let peer): self.linked[peer.name] = peer
        case .unlinked(let name, _): self.linked[name] = nil
        case .set(let key, let record): self.set(key, record, now)
        case .request(let id, let request): self.requests.add(id, .port(request), now)
        case .administer(let id, .found):
            self.actions.append(.answered(id: id, .refused("this server is only starting: try again")))
        case .administer(let id, let command): self.requests.add(id, .command(self.meant(by: command)), now)
        case .requestDrain(let id): self.requests.add(id, .drain, now)
        case .withdraw(let id): self.requests.remove(id)
        case .stored(let ticket):
            self.store.stored(ticket)
            self.isBorn = true
            for peer in self.linked.values.sorted(by: { $0.name < $1.name }) { self.link(peer, now, &rng) }
            self.perform(self.assignments.leave(now), now, &rng)
        case .timer, .dialRefused, .received, .unbound, .ghost, .leave, .restart: break
        }
    }

    private mutating func timer(_ now: Moment, _ rng: inout some RandomNumberGenerator) {
        if let due = self.membership.deadline, due <= now {
            self.perform(self.membership.onTimer(now: now, rng: &rng), now, &rng)
        }
        if let due = self.registry.deadline, due <= now {
            self.perform(self.registry.onTimer(peers: self.registryPeers, now: now, rng: &rng))
        }
        if let due = self.assignments.deadline, due <= now {
            let registry = self.registry
            let actions = self.assignments.onTimer(self.context, leader: self.election.leader, now: now) { client, exposure in
                registry.owners(of: RegistryKey(.client, client)).contains { $0.record.wantsPort(for: exposure) }
            }
            self.perform(actions, now, &rng)
        }
        if let founding = self.founding, founding.until <= now {
            self.founding = nil
            self.actions.append(.answered(id: founding.id, .refused("not every server that is linked agreed: see their logs")))
        }
        self.spread(now)
        self.repeatRequests(now, &rng)
    }

    // MARK: Telling

    /// Says what is different from what was said last.
    private mutating func announce() {
        let leadership = self.leadership
        if leadership != self.announced {
            self.announced = leadership
            self.actions.append(.leadershipChanged(leadership))
        }
        let ports = (settled: self.assignments.settledBallot, isCurrent: self.assignments.isCurrent)
        if self.announcedPorts.map({ $0 != ports }) ?? true {
            self.announcedPorts = ports
            self.actions.append(.portsChanged(self.assignments.ports))
        }
    }

    /// Has the present state written; the ticket says when it is.
    @discardableResult
    mutating func save() -> UInt64 {
        let mark = StoreQueue.Mark(
            generation: self.generation, term: self.election.term, votedFor: self.election.votedFor,
            ballot: self.assignments.ballot, settled: self.assignments.settledBallot)
        let (ticket, isNew) = self.store.ticket(mark)
        if isNew { self.actions.append(.store(self.stored, ticket: ticket)) }
        return ticket
    }
}

extension RegistryRecord {
    fileprivate func wantsPort(for exposure: String) -> Bool {
        guard case .client(let record) = self else { return false }
        return record.exposures.contains { $0.name == exposure && $0.port == .assigned }
    }
}
