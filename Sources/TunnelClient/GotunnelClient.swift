import Admin
import Daemon
import Identity
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Settings
import Synchronization
import Systemd
import TunnelSession
import TunnelTransport
import TunnelWire

/// A running client: one event loop with its session, forwards and exposures, until it is told to stop.
package final class GotunnelClient: Service {
    let settings: Mutex<ClientSettings>
    let startedAt = Timestamp.now()
    let exposures: ExposureBoard
    let links: LinkCounts
    let budget: MemoryBudget
    let totals: TransportTotals
    private let surroundings: Surroundings
    private let configuration: String
    private let logger: Logger
    private let group: MultiThreadedEventLoopGroup
    private let worker: NIOLoopBound<ClientWorker>
    private let party: LocalParty
    private let lock: StateLock
    /// What this process was given at its start.
    private let inherited: Inheritance?
    private let ending = AsyncStream.makeStream(of: String.self)
    private let draining = Atomic<Bool>(false)
    private let running = Atomic<Bool>(false)

    /// How long streams may go on after the client was told to stop.
    private static let drainTime = Duration.seconds(5)

    /// Reads secrets and makes everything; nothing listens or dials yet.
    package static func make(
        _ loaded: LoadedSettings<ClientSettings>, surroundings: Surroundings, inheritance: Inheritance? = nil,
        logger: Logger
    ) async throws -> GotunnelClient {
        let settings = loaded.settings
        guard let lock = try StateLock.acquire(directory: settings.stateDirectory) else {
            throw StartupError(
                "client.state_dir: another process uses \(settings.stateDirectory); stop it, or give each its own state_dir",
                .temporary)
        }
        var rng = SystemRandomNumberGenerator()
        let installation = try InstallationID.loadOrCreate(directory: settings.stateDirectory, using: &rng)
        let instance = inheritance?.handoff.flatMap { WireID($0.header.instance) } ?? WireID.random(using: &rng)
        let party = LocalParty(
            role: .client, name: settings.name, installation: WireID(bytes: installation.bytes) ?? instance, instance: instance,
            software: "gotunnel/\(Version.current)")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let budget = MemoryBudget(limit: settings.memoryBudget)
        let metrics = TransportMetrics()
        let exposures = ExposureBoard(logger: logger)
        exposures.apply(settings.exposures)
        let counts = LinkCounts()
        let servers = LearnedServersFile(directory: settings.stateDirectory)
        let worker = try await loop.submit {
            let dialer = try ClientCredentials.dialer(settings, surroundings, party: party, eventLoop: loop)
            let environment = TransportEnvironment(
                eventLoop: loop, budget: budget, metrics: metrics, isHedging: !Faults.isOn(.hedgingOff))
            LoopLag.watch(environment)
            let worker = ClientWorker(
                settings: settings, dialer: dialer, servers: servers, exposures: exposures, environment: environment,
                counts: counts, inherited: inheritance?.sockets, logger: logger)
            return NIOLoopBound(worker, eventLoop: loop)
        }.get()
        if let handoff = inheritance?.handoff {
            await ClientThaw(handoff: handoff, worker: worker, exposures: exposures, settings: settings, logger: logger).run()
        }
        return GotunnelClient(
            loaded: loaded, surroundings: surroundings, logger: logger, group: group, worker: worker, party: party,
            exposures: exposures, links: counts, budget: budget, totals: metrics.totals,
            lock: lock, inherited: inheritance)
    }

    private init(
        loaded: LoadedSettings<ClientSettings>, surroundings: Surroundings, logger: Logger, group: MultiThreadedEventLoopGroup,
        worker: NIOLoopBound<ClientWorker>, party: LocalParty, exposures: ExposureBoard, links: LinkCounts, budget: MemoryBudget,
        totals: TransportTotals, lock: StateLock, inherited: Inheritance?
    ) {
        self.inherited = inherited
        self.settings = Mutex(loaded.settings)
        self.configuration = loaded.path
        self.surroundings = surroundings
        self.logger = logger
        self.group = group
        self.worker = worker
        self.party = party
        self.exposures = exposures
        self.links = links
        self.budget = budget
        self.totals = totals
        self.lock = lock
    }

    /// How this process took over from the one before.
    var handoff: IncomingHandoff? { self.inherited?.handoff }
    var name: String { self.party.name }
    var instance: WireID { self.party.instance }
    var log: Logger { self.logger }
    /// Its forwards listen.
    var isRunning: Bool { self.running.load(ordering: .relaxed) }
    var eventLoop: any EventLoop { self.worker.eventLoop }
    var isDraining: Bool { self.draining.load(ordering: .relaxed) }

    // MARK: Life

    /// Serves until a graceful shutdown begins, or until it is clear that no server will ever take this client.
    package func run() async throws {
        try await self.begin()
        let checks = Task { await self.checkExposures() }
        let refusal = await self.untilEnd()
        self.draining.store(true, ordering: .relaxed)
        checks.cancel()
        if refusal == nil { await self.drain() }
        try? await self.onLoop { $0.stop() }
        try? await Task.sleep(for: .milliseconds(50))
        await checks.value
        try await self.group.shutdownGracefully()
        self.logger.notice("client has stopped")
        if let refusal {
            self.logger.error("every server refuses this client", metadata: .event(.serversRefuse).with("reason", refusal))
            throw StartupError("no server can be used: \(refusal)", .refused)
        }
    }

    private func begin() async throws {
        let forwards = self.settings.withLock { $0.forwards }
        let continuation = self.ending.continuation
        let worker = self.worker
        let problems = try await worker.eventLoop.flatSubmit {
            worker.value.onRefusal = { continuation.yield($0) }
            return worker.value.forwards.apply(forwards)
        }.get()
        if let problem = problems.first {
            throw StartupError(problem, .unavailable)
        }
        // What the configuration no longer asks for.
        self.inherited?.sockets.closeRest()
        let learned = self.rememberedServers()
        try await self.onLoop { $0.links.start(learned: learned) }
        let (name, servers) = self.settings.withLock { ($0.name, $0.servers.map(\.description).joined(separator: " ")) }
        self.running.store(true, ordering: .relaxed)
        self.logger.notice(
            "client is running", metadata: ["name": "\(name)", "servers": "\(servers)", "version": "\(Version.current)"])
    }

    /// What earlier lives of this client were told of its servers. A file that cannot be used is only a loss of hints.
    private func rememberedServers() -> [LearnedServers] {
        let directory = self.settings.withLock { $0.stateDirectory }
        let (learned, problem) = LearnedServersFile(directory: directory).load(at: Timestamp.now().wholeSeconds)
        if let problem { self.logger.warning("servers learned earlier cannot be used", metadata: ["reason": "\(problem)"]) }
        return learned
    }

    private func checkExposures() async {
        await self.exposures.run(
            interval: { self.settings.withLock { $0.healthCheckInterval } }, group: self.group,
            changed: { self.worker.eventLoop.execute { self.worker.value.register() } })
    }

    /// Nil when told to stop, a reason when refused everywhere.
    private func untilEnd() async -> String? {
        await withGracefulShutdownHandler {
            for await reason in self.ending.stream { return reason }
            return nil
        } onGracefulShutdown: {
            self.ending.continuation.finish()
        }
    }

    /// No new streams; those there are may end by themselves for a moment.
    package func drain() async {
        try? await self.onLoop { $0.drain(deadline: Self.drainTime) }
        let end = ContinuousClock.now + Self.drainTime
        while ContinuousClock.now < end {
            guard let left = try? await self.onLoop({ $0.streamCount }), left > 0 else { return }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Runs `body` on the event loop of the client.
    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (ClientWorker) throws -> Value) async throws -> Value {
        let worker = self.worker
        return try await worker.eventLoop.submit { try body(worker.value) }.get()
    }

    // MARK: Reload

    /// Reads the configuration again and puts in force what can change while running. A bad file changes nothing.
    package func reload() async throws -> [String] {
        let loaded = try SettingsLoader.loadClient(path: self.configuration, in: self.surroundings)
        let old = self.settings.withLock { $0 }
        let change = SettingsChange.between(old, loaded.settings)
        let settings = loaded.settings.keeping(old)
        let (surroundings, party, worker) = (self.surroundings, self.party, self.worker)
        let problems = try await worker.eventLoop.flatSubmit { () -> EventLoopFuture<[String]> in
            do {
                let dialer = try ClientCredentials.dialer(settings, surroundings, party: party, eventLoop: worker.eventLoop)
                worker.value.links.apply(settings, dialer: dialer)
                worker.value.dialTimeout = settings.dialTimeout
                return worker.value.forwards.apply(settings.forwards)
            } catch {
                return worker.eventLoop.makeFailedFuture(error)
            }
        }.get()
        self.settings.withLock { $0 = settings }
        self.exposures.apply(settings.exposures)
        self.budget.setLimit(settings.memoryBudget)
        LogSetup.setLevel(settings.log.level.loggerLevel)
        try await self.onLoop { $0.register() }
        let lines = loaded.notices.map(\.rendered) + change.lines + problems
        for line in lines { self.logger.notice("configuration reloaded", metadata: ["change": "\(line)"]) }
        return lines
    }
}

extension ClientSettings {
    /// These settings, with the values of `running` where a change needs a restart.
    func keeping(_ running: ClientSettings) -> ClientSettings {
        var merged = running
        merged.token = self.token
        merged.servers = self.servers
        merged.links = self.links
        merged.allowWeakToken = self.allowWeakToken
        merged.forwards = self.forwards
        merged.exposures = self.exposures
        merged.healthCheckInterval = self.healthCheckInterval
        merged.log.level = self.log.level
        merged.dialTimeout = self.dialTimeout
        merged.memoryBudget = self.memoryBudget
        return merged
    }
}
