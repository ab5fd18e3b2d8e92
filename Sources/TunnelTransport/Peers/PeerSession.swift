import Identity
import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// Who uses a data session with a peer. Called on its event loop.
package protocol PeerSessionOwner: AnyObject {
    /// A server has said who it is, nothing is proved yet: nil to go on, else what it is told.
    func peerSession(_ session: PeerSession, meets peer: Hello) -> Close?
    /// A session stands and has a link in a moment: what is sent now is the first that the peer hears.
    func peerSession(_ session: PeerSession, began driver: SessionDriver)
    /// A link carries the session, the first or another.
    func peerSessionLinked(_ session: PeerSession)
    /// The link is gone; another is looked for.
    func peerSession(_ session: PeerSession, lostLink cause: LinkLoss)
    /// The session is over and its streams were reset; another is looked for.
    func peerSession(_ session: PeerSession, ended end: SessionEnd)
    /// A dial came to nothing; there will be another.
    func peerSession(_ session: PeerSession, cannotDial error: HandshakeError)
    /// The peer wants a stream: dial, then call `serve` or `refuse` of the driver.
    func peerSession(_ session: PeerSession, asks id: StreamID, for open: Open, on driver: SessionDriver)
    /// A whole message of the cluster.
    func peerSession(_ session: PeerSession, received message: ByteBuffer)
    /// Session control other than GOSSIP.
    func peerSession(_ session: PeerSession, received control: ControlMessage)
    func peerSession(_ session: PeerSession, heartbeat: HeartbeatReport)
}

extension PeerSessionOwner {
    package func peerSession(_ session: PeerSession, meets peer: Hello) -> Close? { nil }
    package func peerSession(_ session: PeerSession, heartbeat: HeartbeatReport) {}
}

/// The data session that this server dials to one peer from one event loop, for as long as it is wanted: dialled until it
/// stands, resumed when its link breaks, begun anew when it is over. Bound to its event loop.
package final class PeerSession {
    /// What a session is made with.
    package struct Setup {
        /// Where the peer is; asked for each dial. A name is resolved anew each time.
        package var address: () -> (host: String, port: Int)
        /// Asked for each dial, so that new credentials and a cluster founded meanwhile count.
        package var dialer: () -> PeerDialer
        package var configuration: SessionConfiguration
        package var environment: TransportEnvironment
        /// The index of this event loop among those of this server.
        package var loop: Int
        /// How long a session without a link is worth waiting for.
        package var resumeWindow: Duration

        package init(
            address: @escaping () -> (host: String, port: Int), dialer: @escaping () -> PeerDialer,
            configuration: SessionConfiguration, environment: TransportEnvironment, loop: Int,
            resumeWindow: Duration = .seconds(5)
        ) {
            self.address = address
            self.dialer = dialer
            self.configuration = configuration
            self.configuration.resumeWindow = resumeWindow
            self.environment = environment
            self.loop = loop
            self.resumeWindow = resumeWindow
        }
    }

    package weak var owner: (any PeerSessionOwner)?
    /// Who answered last; nil until somebody has proved himself.
    package private(set) var peer: Hello?
    /// The peer said that it restarts: that nobody listens does not mean that it is gone.
    package var isRestarting = false
    private let setup: Setup
    private var rng: any RandomNumberGenerator
    private var redial = PeerRedial()
    private var current: SessionDriver?
    private var ticket: ResumeTicket?
    private var lane = GossipLane()
    private var isDialing = false
    /// The next dial is for a new session, although there is one.
    private var isReplacementWanted = false
    /// A new session stands; the old one is being ended.
    private var isReplacing = false
    private var isStopped = false
    /// What links are told since the session was handed to another process; nil before.
    private var farewell: Close?
    private var retry: Scheduled<Void>?

    /// - Parameter rng: for the waits between dials.
    package init(_ setup: Setup, owner: any PeerSessionOwner, rng: any RandomNumberGenerator) {
        self.setup = setup
        self.owner = owner
        self.rng = rng
    }

    /// The session, with or without a link; nil while there is none.
    package var driver: SessionDriver? { self.current.flatMap { $0.isEnded ? nil : $0 } }
    package var isUp: Bool { self.driver?.isAttached ?? false }
    /// Bytes of messages that wait, or are not complete yet.
    package var gossipBytes: Int { self.lane.heldBytes }

    /// Begins to dial.
    package func start() { self.dial() }

    /// Hands the session over, nil when there is none. To be stopped for good: nothing is said of it to the owner.
    package func freeze(farewell: Close) -> Frozen? {
        self.isStopped = true
        self.farewell = farewell
        self.retry?.cancel()
        self.retry = nil
        self.owner = nil
        guard let ticket, let driver = self.driver?.freeze(farewell: farewell) else { return nil }
        return Frozen(driver: driver, ticket: ticket, lane: self.lane.freeze())
    }

    /// A session between two processes.
    package struct Frozen {
        package var driver: FrozenDriver
        package var ticket: ResumeTicket
        package var lane: GossipLane.Frozen

        package init(driver: FrozenDriver, ticket: ResumeTicket, lane: GossipLane.Frozen) {
            self.driver = driver
            self.ticket = ticket
            self.lane = lane
        }
    }

    /// Goes on with a session of another process; `start` dials for its link.
    package func thaw(_ driver: SessionDriver, ticket: ResumeTicket, lane: GossipLane.Frozen) {
        self.current = driver
        self.ticket = ticket
        self.lane = GossipLane(thawing: lane)
        driver.delegate = self
        self.owner?.peerSession(self, began: driver)
        self.owner?.peerSession(self, lostLink: .broken("another process had it"))
        driver.goOn()
    }

    /// Sends a message of at most ``ClusterLimits/dataMessage`` bytes: in order, and over another link if this one breaks.
    /// False, and dropped, without a session or when too much waits already.
    package func send(_ message: ByteBuffer) -> Bool { self.driver?.gossip(message, by: &self.lane) ?? false }

    /// The cluster says that the peer is dead. A link that carries the session knows better; without one, the session ends.
    package func peerIsDead() {
        guard let driver = self.driver, !driver.isAttached else { return }
        driver.end(.peerGone)
    }

    /// The cluster says that the peer is there: it is dialled soon.
    package func hurry() {
        self.redial.encourage()
        guard self.retry != nil else { return }
        self.after(self.redial.wait(using: &self.rng))
    }

    /// Says good-bye and dials no more. The owner hears nothing of it.
    package func stop(_ close: Close) {
        self.isStopped = true
        self.retry?.cancel()
        self.retry = nil
        self.owner = nil
        self.driver?.end(.closedHere(close.code, close.reason))
    }

    // MARK: Dialling

    private func dial() {
        guard !self.isDialing, !self.isStopped, !self.isUp else { return }
        self.retry?.cancel()
        self.retry = nil
        self.isDialing = true
        let resumed = self.isReplacementWanted ? nil : self.driver
        self.isReplacementWanted = false
        let address = self.setup.address()
        self.setup.dialer().session(
            host: address.host, port: address.port, loop: self.setup.loop, ticket: resumed == nil ? nil : self.ticket,
            received: resumed?.received ?? 0, vet: { [weak self] in self?.meet($0) ?? nil }
        ) { [self] result in
            self.isDialing = false
            // A session that goes on in another process must not be ended by a link that came too late for this one.
            guard !self.isStopped else { return result.discard(self.farewell ?? Close(.shutdown, "this server ends")) }
            switch result {
            case .failure(let error): self.failed(error, resuming: resumed)
            case .success(let dialed):
                if let resumed { self.resume(resumed, dialed) } else { self.begin(dialed) }
            }
        }
    }

    private func meet(_ peer: Hello) -> Close? {
        guard !self.isStopped, let owner = self.owner else { return Close(.superseded, "the dial is of no use any more") }
        return owner.peerSession(self, meets: peer)
    }

    private func begin(_ dialed: DialedLink) {
        guard let secret = SessionSecret(dialed.welcome.secret) else {
            dialed.discard(Close(.protocolViolation, "a WELCOME without a secret"))
            return self.failed(.malformed(WireError(.malformed, "a WELCOME without a secret")), resuming: nil)
        }
        // Another instance has proved itself where the old one was: what that held is gone.
        self.isReplacing = true
        self.driver?.end(.peerGone)
        self.isReplacing = false
        let driver = SessionDriver(
            side: .dialer, configuration: self.setup.configuration, environment: self.setup.environment)
        driver.delegate = self
        self.current = driver
        self.lane = GossipLane()
        self.ticket = ResumeTicket(server: dialed.peer.instance, session: dialed.welcome.session, secret: secret)
        self.isRestarting = false
        driver.setResumeWindow(self.setup.resumeWindow)
        self.owner?.peerSession(self, began: driver)
        self.carry(driver, dialed)
    }

    private func resume(_ driver: SessionDriver, _ dialed: DialedLink) {
        guard driver === self.driver else {
            // It ended while its dial was under way.
            dialed.discard(Close(.superseded, "the session has ended"))
            return self.after(self.redial.wait(using: &self.rng))
        }
        self.carry(driver, dialed)
    }

    private func carry(_ driver: SessionDriver, _ dialed: DialedLink) {
        self.peer = dialed.peer
        self.redial.linked(now: self.setup.environment.now)
        do throws(WireError) {
            try driver.attach(dialed)
        } catch {
            return driver.end(.violation(error))
        }
        // What came together with the WELCOME may have ended it again.
        if driver === self.driver, driver.isAttached { self.owner?.peerSessionLinked(self) }
    }

    private func failed(_ error: HandshakeError, resuming driver: SessionDriver?) {
        self.owner?.peerSession(self, cannotDial: error)
        guard !self.isStopped else { return }
        guard let driver, driver === self.driver else { return self.after(self.redial.wait(using: &self.rng)) }
        let step = self.redial.failed(
            error.peerFailure, isRestarting: self.isRestarting, now: self.setup.environment.now, using: &self.rng)
        switch step {
        case .resume(let wait): self.after(wait)
        case .abandon: driver.end(.peerGone)
        case .replace:
            self.isReplacementWanted = true
            self.dial()
        }
    }

    private func after(_ wait: Duration) {
        guard !self.isStopped else { return }
        self.retry?.cancel()
        self.retry = self.setup.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait.wholeNanoseconds)) {
            [weak self] in
            self?.retry = nil
            self?.dial()
        }
    }
}

extension PeerSession: GossipTaker {
    package func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        guard let owner = self.owner else { return session.refuse(id, Refusal(.draining, "this server ends")) }
        owner.peerSession(self, asks: id, for: open, on: session)
    }

    package func session(_ session: SessionDriver, received message: ControlMessage) {
        guard session === self.current else { return }
        guard case .gossip(let gossip) = message else { return self.owner?.peerSession(self, received: message) ?? () }
        if let message = session.take(gossip, by: &self.lane) { self.owner?.peerSession(self, received: message) }
    }

    package func session(_ session: SessionDriver, lostLink cause: LinkLoss) {
        guard session === self.current else { return }
        self.owner?.peerSession(self, lostLink: cause)
        // What the owner made of it may have ended the session.
        guard session === self.driver else { return }
        let wait = self.redial.lost(now: self.setup.environment.now, using: &self.rng)
        if wait == .zero { self.dial() } else { self.after(wait) }
    }

    package func session(_ session: SessionDriver, ended end: SessionEnd) {
        guard session === self.current else { return }
        self.ticket = nil
        self.lane = GossipLane()
        self.owner?.peerSession(self, ended: end)
        guard !self.isReplacing, !self.isStopped else { return }
        self.after(self.redial.ended(now: self.setup.environment.now, using: &self.rng))
    }

    package func session(_ session: SessionDriver, heartbeat: HeartbeatReport) {
        if session === self.current { self.owner?.peerSession(self, heartbeat: heartbeat) }
    }
}

extension Result where Success == DialedLink, Failure == HandshakeError {
    fileprivate func discard(_ close: Close) {
        if case .success(let dialed) = self { dialed.discard(close) }
    }
}

extension HandshakeError {
    fileprivate var peerFailure: PeerRedial.Failure {
        switch (self.failure, self.heard?.code) {
        case (.resume, .notMe?): .otherInstance
        case (.resume, _): .unknownSession
        case (.authentication, _), (.forbidden, _), (.version, _): self.isRefusal ? .unknownSession : .other
        default: self.isConnectionRefused ? .connectionRefused : .other
        }
    }
}
