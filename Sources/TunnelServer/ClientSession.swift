import Admin
import Identity
import Logging
import NIOCore
import Settings
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// One client's session on this server: serves its streams to services, keeps its mapped ports. Bound to its loop.
final class ClientSession: SessionDelegate {
    let id: WireID
    let name: String
    let installation: WireID
    let instance: WireID
    let secret: SessionSecret
    let driver: SessionDriver
    let software: String
    let since: Timestamp
    /// The token it used, nil with a certificate.
    private(set) var tokenID: String?
    private(set) var address: String
    private let registration: Registration
    /// When the last PING that the client answered had been sent.
    private(set) var answeredPing: Moment?
    private unowned let loop: ServerLoop

    private var context: ServerContext { self.loop.context }

    init(id: WireID, peer: AuthenticatedPeer, secret: SessionSecret, driver: SessionDriver, loop: ServerLoop) {
        self.id = id
        self.name = peer.hello.name
        self.installation = peer.hello.installation
        self.instance = peer.hello.instance
        self.software = peer.hello.software
        self.tokenID = peer.token?.id
        self.address = peer.address
        self.secret = secret
        self.driver = driver
        self.loop = loop
        self.since = Timestamp.now()
        self.registration = Registration(
            of: Registration.Client(
                name: self.name, installation: self.installation, instance: self.instance, address: peer.address),
            since: WallClock.milliseconds, driver: driver, loop: loop)
        driver.delegate = self
    }

    /// Goes on with a session of another process.
    init(thawing frozen: FrozenClient, secret: SessionSecret, driver: SessionDriver, loop: ServerLoop) {
        self.id = frozen.session
        self.name = frozen.name
        self.installation = frozen.installation
        self.instance = frozen.instance
        self.software = frozen.software
        self.tokenID = frozen.tokenID
        self.address = frozen.address
        self.secret = secret
        self.driver = driver
        self.loop = loop
        self.since = Timestamp(milliseconds: Int64(clamping: frozen.since))
        self.registration = Registration(
            of: Registration.Client(
                name: frozen.name, installation: frozen.installation, instance: frozen.instance, address: frozen.address),
            since: frozen.since, driver: driver, loop: loop)
        driver.delegate = self
        self.awaitedUntil = loop.environment.now + Self.absence
        if let version = frozen.version { self.registration.thaw(frozen.exposures, version: version) }
    }

    /// For the next process.
    var frozen: FrozenClient {
        FrozenClient(
            session: self.id, name: self.name, installation: self.installation, instance: self.instance,
            secret: self.secret.reveal(), software: self.software, tokenID: self.tokenID, address: self.address,
            since: UInt64(clamping: self.since.milliseconds), version: self.registration.frozenVersion,
            exposures: self.registration.frozenExposures)
    }

    var logMetadata: Logger.Metadata {
        [
            "client": "\(self.name)", "address": "\(self.address)", "instance": "\(self.instance)",
            "token": "\(self.tokenID ?? "certificate")",
        ]
    }

    /// Another process had its link, and the client has not come back yet; until when it is worth waiting for.
    private(set) var awaitedUntil: Moment?
    /// How long a client is waited for after its session was taken over.
    private static let absence = Duration.seconds(3)

    /// Whether a link carries it and was heard of lately.
    var isReachable: Bool {
        let state = self.driver.snapshot()
        return state.isAttached && !state.isSuspect
    }

    /// What it has registered, by name.
    var exposures: [Registration.Entry] { self.registration.entries }

    /// Why one of them is not in force here.
    func problem(of entry: Registration.Entry) -> String? { self.registration.problem(of: entry) }

    /// A mapped port belongs to somebody else than before, perhaps.
    func portChanged(_ port: UInt16) { self.registration.portChanged(port) }

    /// It is known whether one of its ports could be bound here.
    func portSettled() { self.registration.portSettled() }

    /// A new link carries it. The token may be another: whoever rotates tokens keeps the sessions.
    func resumed(by peer: AuthenticatedPeer) {
        self.address = peer.address
        self.tokenID = peer.token?.id
        self.awaitedUntil = nil
    }

    func announceServices() {
        let policy = self.context.currentRules.policy
        let announcements = self.context.services.snapshot
            .filter { policy.mayUse(service: $0.settings.name, client: self.name).isAllowed }
            .map {
                ServiceAnnouncement(name: $0.settings.name, isHealthy: $0.isHealthy, mayHedgeDial: $0.settings.hedgeDial)
            }
        self.driver.send(.services(Services(announcements)))
    }

    /// Tells the client which servers there are.
    func announcePeers() { self.driver.send(.peers(self.context.peers)) }

    /// Asks the client to use another server for its new streams.
    func move(to server: String) { self.driver.send(.move(Move(server: server))) }

    /// The configuration changed: what is no longer allowed ends.
    func rulesChanged() {
        let policy = self.context.currentRules.policy
        let offered = Set(self.context.services.snapshot.map(\.settings.name))
        self.driver.resetStreams(.withdrawn) { destination in
            guard case .service(let service) = destination else { return false }
            return !offered.contains(service) || !policy.mayUse(service: service, client: self.name).isAllowed
        }
        self.announceServices()
        self.registration.applyAgain()
    }

    /// No new streams: those there are may finish until the deadline.
    func drain(deadline: Duration) {
        self.driver.drain(deadline: deadline, reason: "the server is draining")
    }

    /// The drain was called off.
    func undrain() { self.driver.undrain() }

    // MARK: SessionDelegate

    func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        do throws(Refusal) {
            // Exposures and addresses travel only towards clients: a client may ask for services alone, and for itself.
            guard case .service(let service) = open.destination, !open.isRelayed else {
                throw Refusal(.forbidden, "a client may open services only")
            }
            if case .refused(let reason) = self.context.currentRules.policy.mayUse(service: service, client: self.name) {
                throw Refusal(.forbidden, reason)
            }
            try self.loop.serve(service, for: id, of: self.driver, open) { self.refuse(id, $0, open) }
        } catch {
            self.refuse(id, error, open)
        }
    }

    private func refuse(_ id: StreamID, _ refusal: Refusal, _ open: Open) {
        self.context.refusals.note(refusal, destination: open.destination, source: open.source, client: self.name)
        self.driver.refuse(id, refusal)
    }

    func session(_ session: SessionDriver, received message: ControlMessage) {
        if case .register(let register) = message { self.registration.apply(register) }
    }

    func session(_ session: SessionDriver, lostLink cause: LinkLoss) {
        self.loop.routes[self.name]?.localLost()
        self.context.logger.info("client lost its link", metadata: self.logMetadata.merging(["cause": "\(cause)"]) { $1 })
    }

    func session(_ session: SessionDriver, heartbeat: HeartbeatReport) {
        self.answeredPing = heartbeat.answeredPing
        self.loop.routes[self.name]?.localHeartbeat(heartbeat)
    }

    func session(_ session: SessionDriver, ended end: SessionEnd) {
        self.registration.close()
        self.loop.forget(self)
        self.context.logger.info("client session ended", metadata: self.logMetadata.merging(["reason": "\(end)"]) { $1 })
    }
}
