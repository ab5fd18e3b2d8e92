import Admin
import Daemon
import Logging
import NIOCore
import Settings
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// What the rest of the client learns from its servers. Called on the event loop.
protocol ServerLinksDelegate: AnyObject {
    /// A session stands; what is sent now is the first that the server hears.
    func sessionBegan(_ session: SessionDriver)
    func sessionEnded(server: String)
    func registered(_ registered: Registered, by server: String)
    func session(_ session: SessionDriver, asks id: StreamID, for open: Open)
    /// Every server refused this client and none ever took it.
    func refusedEverywhere(_ reason: String)
}

/// The client's links: keeps sessions with as many servers as configured and tells the opener what becomes of them.
///
/// Which server is dialled when is decided by `LinkPlan`, which addresses there are by `ServerDirectory`; this carries it
/// out. Bound to its event loop.
final class ServerLinks {
    weak var delegate: (any ServerLinksDelegate)?
    let opener: StreamOpener
    let environment: TransportEnvironment
    let logger: Logger
    var plan: LinkPlan
    var directory: ServerDirectory
    private(set) var settings: ClientSettings
    private(set) var table: [Endpoint: ServerConnection] = [:]
    /// Why the last dial of an endpoint came to nothing, and since when that is so.
    var failures: [Endpoint: (reason: String, since: Timestamp)] = [:]
    /// The server that an operator wants new streams to go to, while it is looked for.
    var wanted: String?
    /// The wish that is followed after the present pause, and the timers of pause and search.
    var nextMove: Move?
    var movePause: Scheduled<Void>?
    var moveEnd: Scheduled<Void>?
    /// How many links are in which state, for whoever asks from another thread.
    let counts: LinkCounts
    var rng = SystemRandomNumberGenerator()
    private var dialer: LinkDialer
    /// Where what was learned is kept; nil: nowhere.
    private let file: LearnedServersFile?
    private let resolver = NameResolver()
    private var timer: Scheduled<Void>?
    private var upkeep: Scheduled<Void>?
    private static let upkeepInterval = TimeAmount.hours(1)
    private var isPlanning = false
    private var isStopped = false
    private let failureLog = OncePer(interval: .seconds(60))
    /// A drain and its end are worth a line each; a server that sends thousands of them is not.
    let drainLog = OncePer(interval: .seconds(1))
    let moveLog = OncePer(interval: .seconds(10))
    private var savePause: Scheduled<Void>?
    private var isSaveDue = false

    init(
        settings: ClientSettings, dialer: LinkDialer, file: LearnedServersFile?, opener: StreamOpener,
        environment: TransportEnvironment, counts: LinkCounts, logger: Logger
    ) {
        self.settings = settings
        self.counts = counts
        self.dialer = dialer
        self.file = file
        self.opener = opener
        self.environment = environment
        self.logger = logger
        self.directory = ServerDirectory(configured: settings.servers)
        self.plan = LinkPlan(links: settings.links)
    }

    /// The connections that stand or are being made, in the order of their endpoints.
    var connections: [ServerConnection] {
        self.table.values.sorted { $0.endpoint.description < $1.endpoint.description }
    }

    var now: Moment { self.environment.now }

    // MARK: Life

    /// Begins to dial. `learned`: what earlier lives of this client were told.
    func start(learned: [LearnedServers]) {
        self.directory.restore(learned, at: Timestamp.now().wholeSeconds)
        self.entriesChanged()
        self.planUpkeep()
    }

    private func planUpkeep() {
        self.upkeep = self.environment.eventLoop.assumeIsolated().scheduleTask(in: Self.upkeepInterval) { [weak self] in
            self?.keepDirectory()
            self?.planUpkeep()
        }
    }

    /// What a server announced stays good while there is a session with it, and for a week longer.
    private func keepDirectory() {
        let now = Timestamp.now().wholeSeconds
        for connection in self.connections where connection.isUp {
            if let server = connection.peer?.name { self.directory.heard(from: server, at: now) }
        }
        if self.directory.expire(at: now) { self.entriesChanged() }
        if !self.directory.learned.isEmpty { self.remember() }
    }

    /// Uses other settings from the next dial on.
    func apply(_ settings: ClientSettings, dialer: LinkDialer) {
        self.settings = settings
        self.dialer = dialer
        self.directory.replaceConfigured(settings.servers)
        self.plan.setLinks(settings.links)
        self.entriesChanged()
    }

    /// Takes no new streams from servers.
    func drain(deadline: Duration) {
        for connection in self.connections { connection.session?.drain(deadline: deadline, reason: "the client stops") }
    }

    /// Says good-bye to every server and dials no more.
    func stop() {
        self.isStopped = true
        self.timer?.cancel()
        self.upkeep?.cancel()
        self.movePause?.cancel()
        self.moveEnd?.cancel()
        self.savePause?.cancel()
        if self.isSaveDue { self.remember() }
        for connection in self.connections { connection.stop(.shutdown, "the client stops") }
        self.table = [:]
    }

    /// A connection waits and no session is up.
    func hurry() {
        for connection in self.connections { connection.hurry() }
        self.plan.hurry(now: self.now, using: &self.rng)
        self.carryOut()
    }

    // MARK: Plan

    /// The directory has other addresses than before.
    func entriesChanged() {
        self.plan.setEntries(
            self.directory.addresses, configured: self.directory.configured.count, now: self.now, using: &self.rng)
        self.forgetOldFailures()
        self.carryOut()
    }

    /// Of places that are not known any more nobody wants to hear.
    private func forgetOldFailures() {
        let known = Set(self.plan.endpoints)
        self.failures = self.failures.filter { known.contains($0.key) }
    }

    /// Does what the plan says is due.
    func carryOut() {
        guard !self.isStopped, !self.isPlanning else { return }
        self.isPlanning = true
        while !self.isStopped, let step = self.plan.next(now: self.now, using: &self.rng) { self.perform(step) }
        self.isPlanning = false
        self.noteStates()
        self.planTimer()
    }

    private func perform(_ step: LinkPlan.Step) {
        switch step {
        case .resolve(let entry): self.resolve(entry)
        case .dial(let endpoint): self.dial(endpoint)
        case .retire(let endpoint): self.retire(endpoint)
        }
    }

    private func retire(_ endpoint: Endpoint) {
        guard let connection = self.table[endpoint] else { return }
        let isInUse = connection.path.map { self.opener.isActive($0) } ?? false
        guard !isInUse, connection.session?.streamCount ?? 0 == 0 else { return self.plan.keep(endpoint) }
        self.logger.info("a link that is not needed is given up", metadata: ["server": "\(connection.peer?.name ?? "")"])
        connection.stop(.shutdown, "the client has other links")
        self.remove(endpoint)
        self.plan.sessionEnded(endpoint, .retired, now: self.now, using: &self.rng)
        self.linksChanged()
    }

    private func resolve(_ entry: HostPort) {
        self.resolver.resolve(host: entry.host.description, port: entry.port, on: self.environment.eventLoop)
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let addresses):
                    self.plan.resolved(entry, addresses.map(\.shortText), now: self.now, using: &self.rng)
                    self.forgetOldFailures()
                case .failure(let error):
                    self.note(failure: "\(error)", kind: "name", address: "\(entry)")
                    self.plan.resolveFailed(entry, now: self.now, using: &self.rng)
                }
                self.carryOut()
            }
    }

    private func dial(_ endpoint: Endpoint) { self.makeConnection(endpoint).start() }

    private func makeConnection(_ endpoint: Endpoint) -> ServerConnection {
        let connection = ServerConnection(
            endpoint: endpoint, address: endpoint.dialAddress, configuration: self.settings.sessionConfiguration,
            environment: self.environment, logger: self.logger, dialer: { self.dialer })
        connection.owner = self
        self.table[endpoint] = connection
        return connection
    }

    // MARK: From process to process

    /// Hands every session over; there are none afterwards.
    func freeze(farewell: Close) -> [(about: FrozenLink, driver: FrozenDriver)] {
        self.isStopped = true
        for timer in [self.timer, self.upkeep, self.movePause, self.moveEnd, self.savePause] { timer?.cancel() }
        if self.isSaveDue { self.remember() }
        defer { self.table = [:] }
        return self.connections.compactMap { $0.freeze(farewell: farewell) }
    }

    /// Goes on with a session of another process. To be called before `start`.
    func thaw(_ frozen: FrozenLink, _ ticket: ResumeTicket, _ driver: SessionDriver) {
        guard let endpoint = frozen.endpoint else { return driver.end(.closedHere(.shutdown, "its server has no address")) }
        self.makeConnection(endpoint).thaw(frozen, ticket, driver)
    }

    func remove(_ endpoint: Endpoint) {
        guard let connection = self.table.removeValue(forKey: endpoint) else { return }
        if let path = connection.path { self.opener.ended(path) }
        if let server = connection.peer?.name { self.delegate?.sessionEnded(server: server) }
    }

    private func planTimer() {
        self.timer?.cancel()
        guard !self.isStopped, let next = self.plan.nextTimer else { return }
        let wait = max(0, next.nanoseconds - self.now.nanoseconds)
        self.timer = self.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) { [weak self] in
            self?.carryOut()
        }
    }

    // MARK: What is remembered

    /// Writes what servers told of other servers to disk, beside the event loop: a slow disk must not hold up streams.
    private func remember() { self.file?.save(self.directory.learned, logger: self.logger) }

    /// The same, at most once a second: what servers say may change as fast as they like.
    func rememberSoon() {
        guard self.savePause == nil else {
            self.isSaveDue = true
            return
        }
        self.remember()
        self.savePause = self.environment.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
            guard let self else { return }
            self.savePause = nil
            if self.isSaveDue {
                self.isSaveDue = false
                self.rememberSoon()
            }
        }
    }

    func note(failure reason: String, kind: String, address: String) {
        guard let suppressed = self.failureLog.admit(kind: kind, source: address) else { return }
        self.logger.warning(
            "cannot reach server",
            metadata: [
                "address": "\(address)", "cause": "\(kind)", "reason": "\(reason)", "suppressed": "\(suppressed)",
            ])
    }
}

extension ClientSettings {
    var sessionConfiguration: SessionConfiguration {
        var configuration = SessionConfiguration()
        configuration.replayBuffer = self.replayBuffer
        configuration.heartbeatInterval = self.heartbeatInterval
        configuration.heartbeatTimeout = self.heartbeatTimeout
        configuration.resumeWindow = self.resumeWindow.alone
        Faults.apply(to: &configuration)
        return configuration
    }
}
