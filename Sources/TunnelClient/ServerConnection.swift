import Admin
import Daemon
import Identity
import Logging
import NIOCore
import Settings
import TunnelSession
import TunnelTransport
import TunnelWire

/// What the rest of the client learns from its connection. Called on the event loop.
protocol ServerConnectionDelegate: AnyObject {
    /// A new session stands: everything is to be registered anew.
    func sessionBegan()
    func session(asks id: StreamID, for open: Open, on driver: SessionDriver)
    func received(_ message: ControlMessage)
    /// Every server refused this client and none ever took it.
    func refusedEverywhere(_ reason: String)
}

/// Keeps one session with one server of the list: dials, resumes, and starts anew when the session is over. Bound to
/// its event loop.
final class ServerConnection {
    /// What status shows of the link.
    struct Status: Sendable {
        var server: String?
        var address: HostPort
        var isUp: Bool
        var isSuspect: Bool
        var roundTrip: Duration?
        var since: Timestamp
        var reason: String?
        var session: SessionSnapshot?
    }

    weak var delegate: (any ServerConnectionDelegate)?
    private let environment: TransportEnvironment
    private let settings: ClientSettings
    private let logger: Logger
    private var dialer: LinkDialer
    private var plan: DialPlan
    private var driver: SessionDriver?
    private var ticket: ResumeTicket?
    /// The server that holds the session, an index into the list.
    private var home = 0
    private var serverName: String?
    private var since = Timestamp.now()
    private var downReason: String? = "not connected yet"
    private var isDialing = false
    private var isStopped = false
    private var retry: Scheduled<Void>?
    private let failures = OncePer(interval: .seconds(60))
    /// A drain and its end are worth a line each; a server that sends thousands of them is not.
    private let drains = OncePer(interval: .seconds(1))

    init(settings: ClientSettings, dialer: LinkDialer, environment: TransportEnvironment, logger: Logger) {
        self.settings = settings
        self.dialer = dialer
        self.environment = environment
        self.logger = logger
        self.plan = DialPlan(serverCount: settings.servers.count)
    }

    /// The session that new streams go to, with or without a link; nil while there is none.
    var session: SessionDriver? { self.driver.flatMap { $0.isEnded ? nil : $0 } }

    var status: Status {
        let state = self.session?.snapshot()
        return Status(
            server: self.serverName, address: self.settings.servers[self.session == nil ? self.plan.server : self.home],
            isUp: state?.isAttached ?? false, isSuspect: state?.isSuspect ?? false, roundTrip: state?.roundTrip,
            since: self.since, reason: self.downReason, session: state)
    }

    func start() { self.dialFresh() }

    /// Uses other credentials from the next dial on.
    func replace(_ dialer: LinkDialer) { self.dialer = dialer }

    /// Says good-bye and dials no more.
    func stop() {
        self.isStopped = true
        self.retry?.cancel()
        self.driver?.end(.closedHere(.shutdown, "the client stops"))
    }

    /// Somebody waits for a session: an attempt that is far off is made soon, still not in step with other clients.
    func hurry() {
        guard self.session == nil, !self.isDialing, self.retry != nil else { return }
        self.after(.milliseconds(Int64.random(in: 100...500))) { $0.dialFresh() }
    }

    // MARK: Dialling

    private func dialFresh() {
        guard !self.isDialing, !self.isStopped else { return }
        self.isDialing = true
        let index = self.plan.server
        let address = self.settings.servers[index]
        self.dialer.dial(host: address.host.description, port: address.port) { result in
            self.isDialing = false
            switch result {
            case .success(let dialed): self.begin(dialed, server: index)
            case .failure(let error): self.freshFailed(error, address)
            }
        }
    }

    private func begin(_ dialed: DialedLink, server index: Int) {
        guard !self.isStopped else { return dialed.discard(Close(.shutdown, "the client stops")) }
        guard let secret = SessionSecret(dialed.welcome.secret) else { return }
        // Another instance has proved itself where the old one was: what it held is gone.
        self.driver?.end(.peerGone)
        let driver = SessionDriver(
            side: .dialer, configuration: self.settings.sessionConfiguration, environment: self.environment)
        driver.delegate = self
        self.driver = driver
        self.home = index
        self.ticket = ResumeTicket(server: dialed.peer.instance, session: dialed.welcome.session, secret: secret)
        self.plan.connected()
        self.linkIsUp(dialed, event: "connected")
        driver.send(.resumeWindow(ResumeWindowMessage(milliseconds: UInt32(clamping: self.settings.window.wholeMilliseconds))))
        // Before the link: what the server announces may have come together with its WELCOME.
        self.delegate?.sessionBegan()
        self.carry(dialed, on: driver)
    }

    private func dialResume() {
        guard !self.isDialing, !self.isStopped, let driver = self.session, let ticket = self.ticket else {
            return self.dialFresh()
        }
        self.isDialing = true
        let address = self.settings.servers[self.home]
        self.dialer.dial(host: address.host.description, port: address.port, ticket: ticket, received: driver.received) {
            result in
            self.isDialing = false
            guard !self.isStopped, self.driver === driver, !driver.isEnded else {
                if case .success(let dialed) = result { dialed.discard(Close(.superseded, "the session has ended")) }
                return self.dialFresh()
            }
            switch result {
            case .success(let dialed):
                self.plan.connected()
                self.linkIsUp(dialed, event: "resumed")
                self.carry(dialed, on: driver)
            case .failure(let error): self.resumeFailed(error, driver, address)
            }
        }
    }

    private func carry(_ dialed: DialedLink, on driver: SessionDriver) {
        do throws(WireError) {
            try driver.attach(dialed)
        } catch {
            driver.end(.violation(error))
        }
    }

    private func linkIsUp(_ dialed: DialedLink, event: String) {
        self.serverName = dialed.peer.name
        self.since = Timestamp.now()
        self.downReason = nil
        self.logger.notice(
            event == "resumed" ? "session resumed" : "connected to server",
            metadata: [
                "server": "\(dialed.peer.name)", "address": "\(dialed.remoteAddress)", "version": "\(dialed.peer.software)",
            ])
    }

    private func freshFailed(_ error: HandshakeError, _ address: HostPort) {
        var rng = SystemRandomNumberGenerator()
        let wait = self.plan.freshDialFailed(isRefusal: error.isRefusal, using: &rng)
        self.note(error, address)
        if self.plan.isHopeless {
            self.delegate?.refusedEverywhere(error.detail)
            return self.stop()
        }
        self.after(wait) { $0.dialFresh() }
    }

    private func resumeFailed(_ error: HandshakeError, _ driver: SessionDriver, _ address: HostPort) {
        var rng = SystemRandomNumberGenerator()
        self.note(error, address)
        switch self.plan.resumeFailed(error.resumeFailure, using: &rng) {
        case .resume(let wait): self.after(wait) { $0.dialResume() }
        case .abandon(let wait):
            driver.end(.peerGone)
            self.after(wait) { $0.dialFresh() }
        case .replace: self.dialFresh()
        }
    }

    private func note(_ error: HandshakeError, _ address: HostPort) {
        self.downReason = error.detail
        guard let suppressed = self.failures.admit(kind: error.failure.rawValue, source: "\(address)") else { return }
        self.logger.warning(
            "cannot reach server",
            metadata: [
                "address": "\(address)", "cause": "\(error.failure.rawValue)", "reason": "\(error.detail)",
                "suppressed": "\(suppressed)",
            ])
    }

    private func after(_ wait: Duration, _ body: @escaping (ServerConnection) -> Void) {
        self.retry?.cancel()
        self.retry = self.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait.wholeNanoseconds)) {
            [weak self] in
            guard let self else { return }
            self.retry = nil
            body(self)
        }
    }
}

extension ServerConnection: SessionDelegate {
    func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        guard let delegate = self.delegate else { return session.refuse(id, Refusal(.draining, "the client stops")) }
        delegate.session(asks: id, for: open, on: session)
    }

    func session(_ session: SessionDriver, received message: ControlMessage) {
        guard session === self.driver else { return }
        if case .goAway(let goAway) = message { self.note(goAway) }
        self.delegate?.received(message)
    }

    private func note(_ goAway: GoAway) {
        guard let suppressed = self.drains.admit(kind: goAway.isCalledOff ? "called off" : "drains", source: "") else { return }
        self.logger.notice(
            "server drains",
            metadata: [
                "calledOff": "\(goAway.isCalledOff)", "reason": "\(goAway.reason)", "suppressed": "\(suppressed)",
            ])
    }

    func session(_ session: SessionDriver, lostLink cause: LinkLoss) {
        guard session === self.driver else { return }
        self.since = Timestamp.now()
        self.downReason = cause.description
        self.logger.notice("link lost; resuming the session", metadata: ["cause": "\(cause.description)"])
        self.dialResume()
    }

    func session(_ session: SessionDriver, ended end: SessionEnd) {
        guard session === self.driver else { return }
        self.since = Timestamp.now()
        self.downReason = end.description
        guard !self.isStopped else { return }
        self.logger.warning("session ended; its streams were reset", metadata: ["reason": "\(end)"])
        var wait = Duration.zero
        if case .closedByPeer(let close) = end, close.code == .superseded {
            var rng = SystemRandomNumberGenerator()
            wait = self.plan.waitAfterTakeover(using: &rng)
            self.logger.error(
                "another process with this client's state directory took over; a copied installation needs a state_dir of its own",
                metadata: ["retry_seconds": "\(wait.inSeconds)"])
        }
        self.after(wait) { $0.dialFresh() }
    }
}

extension HandshakeError {
    fileprivate var resumeFailure: DialPlan.ResumeFailure {
        switch (self.failure, self.heard?.code) {
        case (.resume, .notMe?): .otherInstance
        case (.resume, _): .unknownSession
        case (.authentication, _), (.forbidden, _), (.version, _): .unknownSession
        default: self.isConnectionRefused ? .connectionRefused : .other
        }
    }
}

typealias ResumeWindowMessage = TunnelWire.ResumeWindow

extension ClientSettings {
    /// While there is one link at a time: a client with one server waits long for it, one with several turns to the next.
    var window: Duration { self.servers.count > 1 ? self.resumeWindow.withOtherLinks : self.resumeWindow.alone }

    var sessionConfiguration: SessionConfiguration {
        var configuration = SessionConfiguration()
        configuration.replayBuffer = self.replayBuffer
        configuration.heartbeatInterval = self.heartbeatInterval
        configuration.heartbeatTimeout = self.heartbeatTimeout
        configuration.resumeWindow = self.window
        return configuration
    }
}
