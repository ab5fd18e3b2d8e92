import ClusterCore
import Synchronization
import Timing
import TunnelWire

/// What this server knows of the cluster, for its event loops: who holds which client, who offers which service, which ports
/// to listen on. The control plane keeps it up to date; everybody reads it under a short lock, nobody waits for anything.
final class ClusterDirectory: Sendable {
    /// A client's registration at another server.
    struct Owner: Sendable, Equatable {
        var server: ServerName
        var record: ClientRecord
    }

    /// What an event loop may want to know of. Called on any thread.
    struct Listeners: Sendable {
        /// A client is registered elsewhere, or no longer.
        var client: @Sendable (String) -> Void = { _ in }
        /// Listen on this port, or no longer, or for somebody else.
        var port: @Sendable (UInt16) -> Void = { _ in }
        /// The other servers, or what they say of themselves, have changed.
        var servers: @Sendable () -> Void = {}
    }

    private struct State {
        /// The clients of this server.
        var own: [String: ClientRecord] = [:]
        var owners: [String: [ServerName: ClientRecord]] = [:]
        /// Registrations that led to a server which did not hold the client; of no use for a while.
        var stale: [String: [ServerName: ClientRecord]] = [:]
        var services: [String: [ServerName: ServiceRecord]] = [:]
        var servers: [ServerName: ServerRecord] = [:]
        var members: [ServerName: MemberView] = [:]
        var ports = PortTable()
        var leadership: Leadership?
        var requests: [UInt64: @Sendable (RequestOutcome) -> Void] = [:]
        var lastRequest: UInt64 = 0
        var listeners = Listeners()
        var emit: @Sendable (ClusterEvent) -> Void = { _ in }
    }

    let name: ServerName
    private let state = Mutex(State())

    init(name: ServerName) { self.name = name }

    /// - Parameter emit: takes what this server has to tell the cluster; called on any thread.
    func connect(_ listeners: Listeners, emit: @escaping @Sendable (ClusterEvent) -> Void) {
        self.state.withLock { state in
            state.listeners = listeners
            state.emit = emit
        }
    }

    // MARK: Reading

    /// The other servers that hold a client, the youngest session first.
    func owners(of client: String) -> [Owner] {
        self.state.withLock { state in
            let stale = state.stale[client] ?? [:]
            return (state.owners[client] ?? [:]).filter { stale[$0.key] != $0.value }
                .map { Owner(server: $0.key, record: $0.value) }
                .sorted { ($0.record.since, $1.server) > ($1.record.since, $0.server) }
        }
    }

    /// The other servers that offer a service and say that it is healthy there, by name.
    func servers(offering service: String) -> [ServerName] {
        self.state.withLock { state in
            (state.services[service] ?? [:]).filter { $0.value.isHealthy && state.servers[$0.key]?.isDraining != true }.keys
                .sorted()
        }
    }

    func isDraining(_ server: ServerName) -> Bool { self.state.withLock { $0.servers[server]?.isDraining ?? false } }

    /// The other members that have not left, with what they say of themselves.
    var otherServers: [(member: MemberView, record: ServerRecord?)] {
        self.state.withLock { state in
            state.members.values.filter { $0.name != self.name && $0.state != .left }.sorted { $0.name < $1.name }
                .map { ($0, state.servers[$0.name]) }
        }
    }

    /// Where a server is dialled by its peers.
    func address(of server: ServerName) -> PeerAddress? { self.state.withLock { $0.members[server]?.addresses.first } }

    /// Every client that another server holds, by name.
    var clientsElsewhere: [(client: String, owners: [Owner])] {
        self.state.withLock { state in
            state.owners.keys.sorted().map { client in
                (
                    client,
                    (state.owners[client] ?? [:]).map { Owner(server: $0.key, record: $0.value) }.sorted { $0.server < $1.server }
                )
            }
        }
    }

    var leadership: Leadership? { self.state.withLock { $0.leadership } }

    // MARK: Ports

    /// Who has a port, but for those that went away.
    func firmHolder(of port: UInt16) -> PortHolder? { self.state.withLock { $0.ports.firmHolder(of: port) } }

    /// Whom to listen for on this port; nil: do not.
    func wantedHolder(of port: UInt16) -> PortHolder? {
        self.state.withLock { $0.ports.isWanted(port) ? $0.ports.holder(of: port) : nil }
    }

    var allPorts: [UInt16] { self.state.withLock { $0.ports.all } }

    func assignedPort(of holder: PortHolder) -> UInt16? { self.state.withLock { $0.ports.assignedPort(of: holder) } }

    func claimedAt(_ port: UInt16, by holder: PortHolder) -> UInt64? {
        self.state.withLock { $0.ports.claimedAt(port, by: holder) }
    }

    /// Ports of clients that did not come back are given up. To be called now and then.
    func expirePorts(now: Moment) { self.changePorts { $0.expire(now: now) } }

    /// Asks the leader for a port; `completion` is called on any thread, unless the request is withdrawn.
    func requestPort(_ request: PortRequest, completion: @escaping @Sendable (RequestOutcome) -> Void) -> UInt64 {
        let (id, emit) = self.state.withLock { state in
            state.lastRequest += 1
            state.requests[state.lastRequest] = completion
            return (state.lastRequest, state.emit)
        }
        emit(.request(id: id, request))
        return id
    }

    func withdraw(_ id: UInt64) {
        let emit = self.state.withLock { state in
            state.requests[id] = nil
            return state.emit
        }
        emit(.withdraw(id: id))
    }

    /// This server listens no longer on a port whose grant has ended.
    func hasLeft(_ port: UInt16, token: Ballot) { self.state.withLock { $0.emit }(.unbound(port, token: token)) }

    // MARK: Publishing

    /// A client of this server: what it has registered, nil when its session is over.
    func publish(client: String, _ record: ClientRecord?) {
        let emit = self.state.withLock { state in
            state.own[client] = record
            return state.emit
        }
        self.changePorts { $0.set(PortTable.Source(server: self.name, client: client), record, now: BootClock.now) }
        emit(.set(RegistryKey(.client, client), record.map { .client($0) }))
    }

    func publish(service: String, _ record: ServiceRecord?) {
        self.state.withLock { $0.emit }(.set(RegistryKey(.service, service), record.map { .service($0) }))
    }

    func publish(server record: ServerRecord) {
        self.state.withLock { $0.emit }(.set(RegistryKey(.server, self.name), .server(record)))
    }

    /// A client is registered here with another instance than others list: theirs may be a ghost.
    func reportGhosts(of client: String, installation: WireID, instance: WireID) {
        let (owners, emit) = self.state.withLock { ($0.owners[client] ?? [:], $0.emit) }
        for (server, record) in owners.sorted(by: { $0.key < $1.key })
        where record.installation == installation && record.instance != instance {
            emit(.ghost(client: client, instance: record.instance, owner: server))
        }
    }

    /// Asks again about every client that is here with a younger session than another server's: a question may have been lost
    /// with its link. To be called now and then.
    func challengeGhosts() {
        let (ghosts, emit) = self.state.withLock { state in
            let ghosts = state.own.flatMap { client, own in
                (state.owners[client] ?? [:]).compactMap { server, record in
                    record.isGhost(of: own) ? ClusterEvent.ghost(client: client, instance: record.instance, owner: server) : nil
                }
            }
            return (ghosts, state.emit)
        }
        for ghost in ghosts { emit(ghost) }
    }

    /// A relayed stream came back from `server`: it does not hold the client, whatever the registry says.
    func mislead(_ client: String, by server: ServerName) {
        self.state.withLock { state in
            guard let record = state.owners[client]?[server] else { return }
            state.stale[client, default: [:]][server] = record
        }
    }

    /// Believes the registry again. A server refuses a client also while its link is broken for a moment, and its
    /// registration does not change when the link is back.
    func forgive(_ client: String, by server: ServerName) {
        self.state.withLock { state in
            state.stale[client]?[server] = nil
            if state.stale[client]?.isEmpty == true { state.stale[client] = nil }
        }
    }

    // MARK: What the cluster says

    /// Called on the control plane's event loop.
    func apply(_ action: ClusterAction) {
        switch action {
        case .entryChanged(let owner, let key, let record): self.entryChanged(owner, key, record)
        case .portsChanged(let ports): self.changePorts { $0.assign(ports) }
        case .unbind(let port, let token): self.changePorts { $0.unassign(port, token: token) }
        case .memberChanged(let member):
            let servers = self.state.withLock { state in
                state.members[member.name] = member
                return state.listeners.servers
            }
            servers()
        case .leadershipChanged(let leadership): self.state.withLock { $0.leadership = leadership }
        case .answered(let id, let outcome): self.state.withLock { $0.requests.removeValue(forKey: id) }?(outcome)
        case .send, .store, .dial, .challenge, .spread: break
        }
    }

    private func entryChanged(_ owner: ServerName, _ key: RegistryKey, _ record: RegistryRecord?) {
        switch (key.kind, record) {
        case (.client, .client(let client)?): self.set(owner, key.name, client)
        case (.client, _): self.set(owner, key.name, nil)
        case (.service, .service(let service)?): self.state.withLock { $0.services[key.name, default: [:]][owner] = service }
        case (.service, _): self.state.withLock { $0.services[key.name]?[owner] = nil }
        case (.server, let record):
            let servers = self.state.withLock { state in
                if case .server(let server)? = record { state.servers[owner] = server } else { state.servers[owner] = nil }
                return state.listeners.servers
            }
            servers()
        }
    }

    private func set(_ owner: ServerName, _ client: String, _ record: ClientRecord?) {
        let (listener, emit, own) = self.state.withLock { state in
            state.owners[client, default: [:]][owner] = record
            if state.owners[client]?.isEmpty == true { state.owners[client] = nil }
            state.stale[client]?[owner] = nil
            if state.stale[client]?.isEmpty == true { state.stale[client] = nil }
            return (state.listeners.client, state.emit, state.own[client])
        }
        // Of two instances of a worker the one with the older session may be gone without a word: that server did not know of
        // this one when it came here.
        if let own, let record, record.isGhost(of: own) {
            emit(.ghost(client: client, instance: record.instance, owner: owner))
        }
        self.changePorts { $0.set(PortTable.Source(server: owner, client: client), record, now: BootClock.now) }
        listener(client)
    }

    private func changePorts(_ body: (inout PortTable) -> Void) {
        let (changed, listener) = self.state.withLock { state in
            body(&state.ports)
            return (state.ports.takeChanged(), state.listeners.port)
        }
        for port in changed { listener(port) }
    }
}

extension ClientRecord {
    /// The same worker with another instance and an older session.
    fileprivate func isGhost(of own: ClientRecord) -> Bool {
        self.installation == own.installation && self.instance != own.instance && self.since < own.since
    }
}
