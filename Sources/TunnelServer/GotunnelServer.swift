import Admin
import Daemon
import Foundation
import Identity
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Settings
import Synchronization
import Systemd
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// A running server: its event loops, its link port, its services, until it is told to stop.
package final class GotunnelServer: Service {
    let context: ServerContext
    let settings: Mutex<ServerSettings>
    let startedAt = Timestamp.now()
    private let surroundings: Surroundings
    private let configuration: String
    private let group: MultiThreadedEventLoopGroup
    private let loops: [HostedLoop]
    private let links: LinkServer
    private let cluster: ServerCluster
    private let lock: StateLock
    private let state = Mutex(Lifecycle())
    private let drainRequests = AsyncStream.makeStream(of: Void.self)

    /// How long the mapped ports of the process before are kept for clients that have not come back.
    private static let portPatience = TimeAmount.seconds(30)

    private struct Lifecycle {
        var listener: (any Channel)?
        /// The listener's socket is a socket unit's.
        var isActivated = false
        var isServing = false
        var isEnding = false
        /// The drain under way, if there is one; gives the count of streams left.
        var draining: Task<Int, Never>?
        /// Why the server has to end.
        var trouble: IdentityProblem?
        var publishedServices: Set<String> = []
    }

    /// Reads secrets and certificates and makes everything; nothing listens yet.
    package static func make(
        _ loaded: LoadedSettings<ServerSettings>, surroundings: Surroundings, inheritance: Inheritance? = nil,
        logger: Logger, threads: Int = System.coreCount
    ) async throws -> GotunnelServer {
        let settings = loaded.settings
        guard let lock = try StateLock.acquire(directory: settings.stateDirectory) else {
            throw StartupError(
                "server.state_dir: another process uses \(settings.stateDirectory); stop it, or give each its own state_dir",
                .temporary)
        }
        let credentials = try ServerCredentials.load(settings, surroundings, now: Date())
        var rng = SystemRandomNumberGenerator()
        let instance = inheritance?.handoff.flatMap { WireID($0.header.instance) } ?? WireID.random(using: &rng)
        let context = ServerContext(
            name: settings.name, instance: instance, logger: logger,
            services: ServiceBoard(settings.services, logger: logger), budget: MemoryBudget(limit: settings.limits.memoryBudget),
            metrics: TransportMetrics(), rules: try ServerRules(settings), servers: settings.announcedServers([]),
            inherited: inheritance)
        let installation = try InstallationID.loadOrCreate(directory: settings.stateDirectory, using: &rng)
        var party = LocalParty(
            role: .server, name: settings.name, installation: WireID(bytes: installation.bytes) ?? context.instance,
            instance: context.instance, software: "gotunnel/\(Version.current)")
        let plan = try ClusterPlan.load(
            settings, installation: party.installation, instance: context.instance, software: party.software, using: &rng)
        party.cluster = settings.cluster == nil ? "" : plan.stored?.cluster?.description ?? ""
        let proof = PeerProof(party: party, tls: credentials.peerTLS, credential: credentials.peer)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        let loops = try await HostedLoop.make(group, context, proof)
        let server = WeakServer()
        let cluster = try await ServerCluster.make(
            plan, settings: settings, context: context, proof: proof, group: MultiThreadedEventLoopGroup(numberOfThreads: 1),
            orders: ClusterEffects.Orders(
                announceServers: { server.value?.announceServers() }, founded: { server.value?.founded($0) }),
            failed: { server.value?.fail($0) })
        let links = LinkServer(
            party: party, credentials: credentials.links, gate: HandshakeGate(limit: settings.limits.handshakes),
            loops: loops.map(\.eventLoop), hosts: loops.map(\.host), observer: HandshakeLog(logger: logger),
            metrics: context.metrics, peers: PeerEntrance(control: cluster.door, hosts: loops.map(\.peers)))
        links.setPeerAddresses(Set(settings.otherPeers.map(\.host)))
        Self.announce(credentials, logger)
        plan.announce(logger)
        let made = GotunnelServer(
            loaded: loaded, surroundings: surroundings, context: context, group: group, loops: loops, links: links,
            cluster: cluster, lock: lock)
        server.set(made)
        if let handoff = inheritance?.handoff { await ServerThaw(handoff: handoff, context: context, loops: loops).run() }
        return made
    }

    /// Lets the control plane, which is made first, speak of the server.
    private final class WeakServer: Sendable {
        private struct Box: Sendable { weak var server: GotunnelServer? }
        private let box = Mutex(Box())

        var value: GotunnelServer? { self.box.withLock { $0.server } }

        func set(_ server: GotunnelServer) { self.box.withLock { $0.server = server } }
    }

    private init(
        loaded: LoadedSettings<ServerSettings>, surroundings: Surroundings, context: ServerContext,
        group: MultiThreadedEventLoopGroup, loops: [HostedLoop], links: LinkServer, cluster: ServerCluster, lock: StateLock
    ) {
        self.cluster = cluster
        self.settings = Mutex(loaded.settings)
        self.configuration = loaded.path
        self.surroundings = surroundings
        self.context = context
        self.group = group
        self.loops = loops
        self.links = links
        self.lock = lock
    }

    private static func announce(_ credentials: ServerCredentials, _ logger: Logger) {
        logger.info("server certificate", metadata: ["sha256": "\(credentials.certificate.fingerprint)"])
        for id in credentials.ring.sharedIDs {
            logger.warning(
                "token is bound to no client names: whoever holds it can pose as any client",
                metadata: ["token": "\(id)", "mend": "tokens: [{id, token_file, clients: [names]}]"])
        }
    }

    // MARK: Life

    /// Serves until a graceful shutdown begins, then drains and ends.
    package func run() async throws {
        try await self.cluster.start(peers: self.settings.withLock { $0.otherPeers })
        self.publishServer()
        try await self.listen()
        let board = self.context.services
        let checks = Task { await board.run(group: self.group) }
        let inherited = self.context.inherited?.sockets
        self.group.next().scheduleTask(in: Self.portPatience) { inherited?.closeRest() }
        self.context.services.onChange { [weak self] in self?.servicesChanged() }
        self.servicesChanged()
        await self.untilShutdown()
        self.state.withLock { $0.isEnding = true }
        let trouble = self.state.withLock { $0.trouble }
        if trouble == nil { _ = await self.drain(wait: true) }
        checks.cancel()
        await self.stop()
        await checks.value
        try await self.group.shutdownGracefully()
        await self.cluster.end()
        if let trouble { throw StartupError("\(trouble)", .unavailable) }
    }

    /// The state of the cluster cannot be written any more. What the disk holds is unknown, so this process promises nothing
    /// any longer: it ends.
    private func fail(_ problem: IdentityProblem) {
        self.context.logger.critical(
            "cluster state cannot be written; the server ends",
            metadata: .event(.stateNotWritten).with("reason", "\(problem)"))
        self.state.withLock { $0.trouble = problem }
        self.drainRequests.continuation.finish()
    }

    // MARK: Other servers

    private func announceServers() {
        let others = self.context.directory.otherServers
        let servers = self.settings.withLock { $0.announcedServers(others) }
        if self.context.replacePeers(servers) { self.eachLoopNow { $0.announcePeers() } }
    }

    /// The cluster has an id: from now on peers of another one are strangers.
    private func founded(_ cluster: WireID) {
        guard self.settings.withLock({ $0.cluster != nil }) else { return }
        self.cluster.proof.replace(cluster: cluster.description)
        self.links.replace(self.cluster.proof.party)
        self.context.logger.notice("cluster", metadata: ["id": "\(cluster)"])
    }

    private func publishServer() {
        self.context.directory.publish(server: self.settings.withLock { $0.record(isDraining: self.context.isDraining) })
    }

    private func servicesChanged() {
        self.eachLoopNow { $0.announceServices() }
        let services = self.context.services.snapshot
        let names = Set(services.map(\.settings.name))
        let gone = self.state.withLock { state in
            defer { state.publishedServices = names }
            return state.publishedServices.subtracting(names)
        }
        for name in gone.sorted() { self.context.directory.publish(service: name, nil) }
        for service in services {
            self.context.directory.publish(
                service: service.settings.name,
                ServiceRecord(isHealthy: service.isHealthy, mayHedgeDial: service.settings.hedgeDial))
        }
    }

    private func listen() async throws {
        let address = self.settings.withLock { $0.address }
        let inherited = self.context.inherited?.sockets.take(.link)
        do {
            let listener = try await self.links.bind(
                host: address.host.description, port: address.port,
                inherited: inherited?.descriptor, group: self.group
            ).get()
            self.state.withLock { state in
                state.listener = listener
                state.isActivated = inherited?.isActivated ?? false
                state.isServing = true
            }
        } catch {
            let reason = ConnectFailure(error).reason
            throw StartupError(
                "server.addr: cannot listen on \(address): \(reason); free the port or choose another", .unavailable)
        }
        self.context.logger.notice(
            "server is listening",
            metadata: ["name": "\(self.context.name)", "addr": "\(address)", "version": "\(Version.current)"])
    }

    private func untilShutdown() async {
        await withGracefulShutdownHandler {
            for await _ in self.drainRequests.stream { break }
        } onGracefulShutdown: {
            self.drainRequests.continuation.finish()
        }
    }

    private func stop() async {
        let listener = self.state.withLock { state in
            defer {
                state = Lifecycle()
                state.isEnding = true
            }
            return state.listener
        }
        await self.cluster.stop()
        try? await listener?.close().get()
        await self.eachLoop { loop in
            for session in loop.sessions { session.driver.end(.closedHere(.shutdown, "the server stops")) }
            for session in loop.inbound.values { session.driver.end(.closedHere(.shutdown, "the server stops")) }
            loop.lanes.stop()
            loop.ports.closeAll()
        }
        // The good-byes are on their way; a moment lets them leave before the loops end.
        try? await Task.sleep(for: .milliseconds(50))
        self.context.logger.notice("server has stopped")
    }

    // MARK: From process to process

    /// Another process goes on: the other servers wait for it.
    func pauseCluster(within span: Duration) async { await self.cluster.pause(within: span) }

    /// Accepts no more links; what comes now waits in the kernel. Gives the socket for the next process.
    func freezeListener() async -> HandoffListener? {
        let (found, isActivated) = self.state.withLock { ($0.listener, $0.isActivated) }
        guard let listener = found else { return nil }
        let descriptor = try? await listener.eventLoop.submit { ListeningSocket.duplicate(listener) }.get()
        try? await listener.close().get()
        return (descriptor ?? nil).map { HandoffListener(.link, $0, isActivated: isActivated) }
    }

    /// It was told to stop.
    var isEnding: Bool { self.state.withLock { $0.isEnding } }

    var isServing: Bool { self.state.withLock { $0.isServing } }

    // MARK: Loops

    /// Runs `body` on every event loop and gathers the results.
    @discardableResult
    func eachLoop<Value: Sendable>(_ body: @escaping @Sendable (ServerLoop) -> Value) async -> [Value] {
        var values: [Value] = []
        for loop in self.loops {
            if let value = try? await loop.eventLoop.submit({ body(loop.loop.value) }).get() { values.append(value) }
        }
        return values
    }

    private func eachLoopNow(_ body: @escaping @Sendable (ServerLoop) -> Void) {
        for loop in self.loops { loop.eventLoop.execute { body(loop.loop.value) } }
    }

    // MARK: Drain

    /// Takes no new streams. Those there are may end by themselves until the deadline; what is left then is reset. Returns
    /// how many are left: at once, or with `wait` when the drain is over.
    func drain(wait: Bool) async -> Int {
        let deadline = self.settings.withLock { $0.drainTimeout }
        let ending = self.state.withLock { state in
            let task = state.draining ?? Task { await self.finishDrain(within: deadline) }
            state.draining = task
            return task
        }
        return wait ? await ending.value : await self.streamCount()
    }

    /// One server drains at a time: waits until it is this one's turn. Without a leader nobody says so, and it is at once.
    func waitForDrainTurn() async {
        guard self.settings.withLock({ $0.cluster != nil }) else { return }
        while !self.context.isDraining {
            let hasLeader = self.context.directory.leadership?.leader != nil
            guard hasLeader else {
                return self.context.logger.warning("there is no leader to say whose turn it is to drain; draining now")
            }
            if (try? await self.context.cluster.ask { .requestDrain(id: $0) }) != nil { return }
            if Task.isCancelled { return }
            self.context.logger.notice("another server drains; waiting for it")
        }
    }

    private func finishDrain(within deadline: Duration) async -> Int {
        self.context.setDraining(true)
        self.publishServer()
        self.context.logger.notice(
            "server drains", metadata: .event(.drainBegan).with("deadline_seconds", "\(deadline.inSeconds)"))
        await self.eachLoop { $0.drain(deadline: deadline) }
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end, self.context.isDraining {
            if await self.streamCount() == 0 { return 0 }
            try? await Task.sleep(for: .milliseconds(50))
        }
        let left = await self.streamCount()
        guard left > 0, self.context.isDraining else { return left }
        self.context.logger.warning(
            "drain deadline reached; the streams left are reset",
            metadata: .event(.drainCutShort).with("streams", "\(left)"))
        await self.eachLoop { loop in
            for session in loop.sessions { session.driver.resetStreams(.drained) }
        }
        return 0
    }

    func undrain() async {
        self.state.withLock { $0.draining = nil }
        self.context.setDraining(false)
        self.publishServer()
        await self.eachLoop { $0.undrain() }
        self.context.logger.notice("server serves again")
    }

    func streamCount() async -> Int {
        await self.eachLoop { $0.sessions.reduce(0) { $0 + $1.driver.streamCount } }.reduce(0, +)
    }

    /// Whether a new stream or session would be taken.
    var readinessProblem: String? {
        if !self.isServing { return "not listening yet" }
        return self.context.isDraining ? "draining" : nil
    }

    // MARK: Reload

    /// Reads the configuration again and puts in force what can change while running. A bad file changes nothing.
    package func reload() async throws -> [String] {
        let loaded = try SettingsLoader.loadServer(path: self.configuration, in: self.surroundings)
        let old = self.settings.withLock { $0 }
        let change = SettingsChange.between(old, loaded.settings)
        let settings = loaded.settings.keeping(old)
        let credentials = try ServerCredentials.load(settings, self.surroundings, now: Date())
        let rules = try ServerRules(settings)
        self.settings.withLock { $0 = settings }
        self.links.replace(credentials.links)
        self.links.setHandshakeLimit(settings.limits.handshakes)
        self.context.budget.setLimit(settings.limits.memoryBudget)
        self.context.replaceRules(rules)
        self.context.services.replace(settings.services)
        LogSetup.setLevel(settings.log.level.loggerLevel)
        let ring = credentials.ring
        self.cluster.proof.replace(tls: credentials.peerTLS, credential: credentials.peer)
        self.cluster.setPeers(settings.otherPeers)
        self.links.setPeerAddresses(Set(settings.otherPeers.map(\.host)))
        self.publishServer()
        self.announceServers()
        await self.eachLoop { loop in
            loop.applyRules { token, client in ring.stillPermits(tokenID: token, client: client) }
        }
        let lines = loaded.notices.map(\.rendered) + change.lines
        for line in lines { self.context.logger.notice("configuration reloaded", metadata: ["change": "\(line)"]) }
        return lines
    }
}
