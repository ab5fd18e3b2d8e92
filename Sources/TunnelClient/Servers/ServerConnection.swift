import Admin
import Identity
import Logging
import NIOCore
import Settings
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// Who keeps connections: decides, and learns what becomes of them. Called on the event loop.
protocol ServerConnectionOwner: AnyObject {
    /// A server has said who it is, nothing is proved yet: nil to go on, else what it is told.
    func connection(_ connection: ServerConnection, meets peer: Hello) -> Close?
    /// The first dial came to nothing; the connection is over.
    func connection(_ connection: ServerConnection, failed error: HandshakeError)
    /// A session stands and has a link in a moment: what is sent now is the first that the server hears.
    func connection(_ connection: ServerConnection, began session: SessionDriver)
    /// A session of another process goes on; it has no link yet.
    func connection(_ connection: ServerConnection, thawed session: SessionDriver, _ services: Services)
    /// Another link carries the session.
    func connectionResumed(_ connection: ServerConnection)
    func connection(_ connection: ServerConnection, lostLink cause: LinkLoss)
    /// A dial to resume the session failed; it goes on trying.
    func connection(_ connection: ServerConnection, cannotResume error: HandshakeError)
    /// The session is over. Unless `isReplaced`, so is the connection: another session stands in its place otherwise.
    func connection(_ connection: ServerConnection, ended end: SessionEnd, isReplaced: Bool)
    func connection(_ connection: ServerConnection, asks id: StreamID, for open: Open, on session: SessionDriver)
    func connection(_ connection: ServerConnection, received message: ControlMessage)
    func connection(_ connection: ServerConnection, heartbeat: HeartbeatReport)
}

/// Who a server is, once it has proved that.
struct ServerIdentity: Codable, Sendable {
    var name: String
    var installation: WireID
    var instance: WireID
    /// Its program and version, for people.
    var software: String

    init(_ hello: Hello) {
        (self.name, self.installation) = (hello.name, hello.installation)
        (self.instance, self.software) = (hello.instance, hello.software)
    }
}

/// A session with one server: dials for it once, and again each time its link breaks, until the session is over. Bound
/// to its event loop.
final class ServerConnection {
    let endpoint: Endpoint
    weak var owner: (any ServerConnectionOwner)?
    /// By which the opener knows its session.
    var path: PathID?
    /// What the server announced, nil until it did.
    var announced: Services?
    /// Who answered; nil until somebody has proved himself.
    private(set) var peer: ServerIdentity?
    /// The name of the server whose session is being replaced.
    private(set) var replacedServer: String?
    /// What status shows of it, and since when that is so, as far as it was looked at.
    private var shown: (state: LinkStatus.State, since: Timestamp) = (.down, .now())
    /// Why there is no link; nil while there is one.
    private(set) var downReason: String? = "dialling"
    let host: String
    let port: Int
    private let environment: TransportEnvironment
    private let configuration: SessionConfiguration
    private let dialer: () -> LinkDialer
    private let logger: Logger
    private var plan = ResumePlan()
    private var driver: SessionDriver?
    /// What links are told since the session was handed to another process; nil before.
    private var farewell: Close?
    private var ticket: ResumeTicket?
    private var isDialing = false
    /// A new session stands; the old one is being ended.
    private var isReplacing = false
    private var isOver = false
    private var retry: Scheduled<Void>?
    private var retryAt: Moment?

    /// - Parameters:
    ///   - address: where the endpoint was found to be, IP address and port.
    ///   - dialer: asked for each dial, so that new credentials count.
    init(
        endpoint: Endpoint, address: (host: String, port: Int), configuration: SessionConfiguration,
        environment: TransportEnvironment, logger: Logger, dialer: @escaping () -> LinkDialer
    ) {
        self.endpoint = endpoint
        (self.host, self.port) = address
        self.configuration = configuration
        self.environment = environment
        self.logger = logger
        self.dialer = dialer
    }

    /// The session, with or without a link; nil while there is none.
    var session: SessionDriver? { self.driver.flatMap { $0.isEnded ? nil : $0 } }
    var isUp: Bool { self.session?.isAttached ?? false }

    /// The services announced, by name: whether each is healthy; nil until there was an announcement.
    var services: [String: Bool]? {
        self.announced.map { announced in
            Dictionary(announced.services.map { ($0.name, $0.isHealthy) }, uniquingKeysWith: { first, _ in first })
        }
    }

    func start() { self.dialFresh() }

    // MARK: From process to process

    /// Hands the session over; nil when there is none. Says nothing to its owner.
    func freeze(farewell: Close) -> (about: FrozenLink, driver: FrozenDriver)? {
        self.isOver = true
        self.farewell = farewell
        self.retry?.cancel()
        self.owner = nil
        guard let peer, let ticket, let driver = self.driver?.freeze(farewell: farewell) else { return nil }
        return (FrozenLink(self, peer, ticket), driver)
    }

    /// Goes on with a session of another process, and dials for its link.
    func thaw(_ frozen: FrozenLink, _ ticket: ResumeTicket, _ driver: SessionDriver) {
        self.peer = frozen.peer
        self.ticket = ticket
        self.driver = driver
        self.downReason = "another process had the link"
        driver.delegate = self
        self.owner?.connection(self, thawed: driver, frozen.services)
        driver.goOn()
        self.dialResume()
    }

    /// It is in this state now; gives since when.
    func entered(_ state: LinkStatus.State) -> Timestamp {
        if self.shown.state != state { self.shown = (state, .now()) }
        return self.shown.since
    }

    /// Says good-bye and dials no more.
    func stop(_ code: CloseCode, _ reason: String) {
        self.isOver = true
        self.retry?.cancel()
        self.owner = nil
        self.driver?.end(.closedHere(code, reason))
    }

    /// Somebody waits for a session: an attempt that is far off is made soon, still not in step with other clients.
    func hurry() {
        // Only what is far off: with many waiting, this is called so often that what is near would never come.
        guard self.session != nil, let retryAt = self.retryAt, retryAt > self.environment.now + .milliseconds(500) else { return }
        self.after(.milliseconds(Int64.random(in: 100...500))) { $0.dialResume() }
    }

    // MARK: Dialling

    private func dialFresh() {
        guard !self.isDialing, !self.isOver else { return }
        self.isDialing = true
        let vet: (Hello) -> Close? = { [weak self] peer in
            // A dial may outlive the session that it was made for; then another one may stand already.
            guard let self, !self.isOver, let owner = self.owner else {
                return Close(.superseded, "the dial is of no use any more")
            }
            return owner.connection(self, meets: peer)
        }
        self.dialer().dial(host: self.host, port: self.port, vet: vet) { result in
            self.isDialing = false
            switch result {
            case .success(let dialed): self.begin(dialed)
            case .failure(let error): self.freshFailed(error)
            }
        }
    }

    private func freshFailed(_ error: HandshakeError) {
        guard !self.isOver else { return }
        self.downReason = error.detail
        // A session that was to be replaced by this dial still waits for its own link.
        if self.session != nil { return self.resumeFailed(error, .other) }
        self.isOver = true
        self.owner?.connection(self, failed: error)
    }

    private func begin(_ dialed: DialedLink) {
        guard !self.isOver else { return dialed.discard(Close(.shutdown, "the client stops")) }
        guard let secret = SessionSecret(dialed.welcome.secret) else {
            dialed.discard(Close(.protocolViolation, "a WELCOME without a secret"))
            return self.freshFailed(.malformed(WireError(.malformed, "a WELCOME without a secret")))
        }
        // Another instance has proved itself where the old one was: what it held is gone.
        self.isReplacing = true
        self.replacedServer = self.peer?.name
        self.driver?.end(.peerGone)
        self.isReplacing = false
        let driver = SessionDriver(side: .dialer, configuration: self.configuration, environment: self.environment)
        driver.delegate = self
        self.driver = driver
        self.ticket = ResumeTicket(server: dialed.peer.instance, session: dialed.welcome.session, secret: secret)
        self.announced = nil
        self.linkIsUp(dialed, "connected to server")
        // Before the link: what the server announces may have come together with its WELCOME.
        self.owner?.connection(self, began: driver)
        self.carry(dialed, on: driver)
    }

    private func dialResume() {
        guard !self.isDialing, !self.isOver, let driver = self.session, let ticket = self.ticket else { return }
        self.isDialing = true
        let patience = ResumePlan.patience(roundTrip: driver.snapshot().roundTrip)
        self.dialer().dial(
            host: self.host, port: self.port, ticket: ticket, received: driver.received,
            patience: .nanoseconds(patience.wholeNanoseconds)
        ) { result in
            self.isDialing = false
            guard !self.isOver, !driver.isEnded else {
                if case .success(let dialed) = result {
                    // A session that goes on in another process must not be ended by a link that came too late for this one.
                    dialed.discard(self.farewell ?? Close(.superseded, "the session has ended"))
                }
                return
            }
            switch result {
            case .success(let dialed):
                self.linkIsUp(dialed, "session resumed")
                self.carry(dialed, on: driver)
                if self.isUp { self.owner?.connectionResumed(self) }
            case .failure(let error): self.resumeFailed(error, error.resumeFailure)
            }
        }
    }

    private func resumeFailed(_ error: HandshakeError, _ failure: ResumePlan.Failure) {
        var rng = SystemRandomNumberGenerator()
        self.downReason = error.detail
        let step = self.plan.failed(failure, using: &rng)
        if step != .replace { self.owner?.connection(self, cannotResume: error) }
        switch step {
        case .resume(let wait): self.after(wait) { $0.dialResume() }
        case .abandon: self.driver?.end(.peerGone)
        case .replace: self.dialFresh()
        }
    }

    private func carry(_ dialed: DialedLink, on driver: SessionDriver) {
        do throws(WireError) {
            try driver.attach(dialed)
        } catch {
            driver.end(.violation(error))
        }
    }

    private func linkIsUp(_ dialed: DialedLink, _ event: Logger.Message) {
        self.plan.connected(now: self.environment.now)
        self.peer = ServerIdentity(dialed.peer)
        self.downReason = nil
        self.logger.notice(
            event,
            metadata: [
                "server": "\(dialed.peer.name)", "address": "\(dialed.remoteAddress)", "version": "\(dialed.peer.software)",
            ])
    }

    private func after(_ wait: Duration, _ body: @escaping (ServerConnection) -> Void) {
        self.retry?.cancel()
        self.retryAt = self.environment.now + wait
        self.retry = self.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait.wholeNanoseconds)) {
            [weak self] in
            guard let self else { return }
            self.retry = nil
            self.retryAt = nil
            body(self)
        }
    }
}

extension ServerConnection: SessionDelegate {
    func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        guard let owner = self.owner else { return session.refuse(id, Refusal(.draining, "the client stops")) }
        owner.connection(self, asks: id, for: open, on: session)
    }

    func session(_ session: SessionDriver, received message: ControlMessage) {
        self.owner?.connection(self, received: message)
    }

    func session(_ session: SessionDriver, heartbeat: HeartbeatReport) {
        self.owner?.connection(self, heartbeat: heartbeat)
    }

    func session(_ session: SessionDriver, lostLink cause: LinkLoss) {
        self.downReason = cause.description
        self.logger.notice(
            "link lost; resuming the session", metadata: ["server": "\(self.peer?.name ?? "")", "cause": "\(cause.description)"])
        self.owner?.connection(self, lostLink: cause)
        let pause = self.plan.lost(now: self.environment.now)
        if pause == .zero { self.dialResume() } else { self.after(pause) { $0.dialResume() } }
    }

    func session(_ session: SessionDriver, ended end: SessionEnd) {
        guard session === self.driver, !self.isOver else { return }
        self.downReason = end.description
        let isReplaced = self.isReplacing
        self.isOver = !isReplaced
        self.retry?.cancel()
        self.logger.warning(
            "session ended; its streams were reset", metadata: ["server": "\(self.peer?.name ?? "")", "reason": "\(end)"])
        self.owner?.connection(self, ended: end, isReplaced: isReplaced)
    }
}

extension HandshakeError {
    fileprivate var resumeFailure: ResumePlan.Failure {
        switch (self.failure, self.heard?.code) {
        case (.resume, .notMe?): .otherInstance
        case (.resume, _): .unknownSession
        case (.authentication, _), (.forbidden, _), (.version, _): .unknownSession
        default: self.isConnectionRefused ? .connectionRefused : .other
        }
    }
}
