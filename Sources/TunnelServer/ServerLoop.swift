import Daemon
import Identity
import Logging
import NIOCore
import TunnelSession
import TunnelTransport
import TunnelWire

/// The clients that live on one event loop. Bound to it.
final class ServerLoop: LinkHost {
    let context: ServerContext
    let environment: TransportEnvironment
    /// Of the server's loops.
    let index: Int
    let ports: LoopPorts
    let lanes: PeerLanes
    var routes: [String: ClientRoute] = [:]
    var inbound: [WireID: PeerInbound] = [:]
    /// Which clients' configurations name a port.
    private var claimants: [UInt16: Set<String>] = [:]
    private var byName: [String: ClientSession] = [:]
    private var bySession: [WireID: ClientSession] = [:]

    /// - Parameters:
    ///   - index: which of `count` loops this is.
    ///   - lane: makes a data session to another server.
    init(
        context: ServerContext, eventLoop: any EventLoop, index: Int, of count: Int,
        lane: @escaping (_ index: Int, ServerName, PeerLane, TransportEnvironment) -> PeerSession
    ) {
        self.context = context
        self.index = index
        let environment = TransportEnvironment(
            eventLoop: eventLoop, budget: context.budget, metrics: context.metrics, isHedging: !Faults.isOn(.hedgingOff))
        self.environment = environment
        let way = WeakLoop()
        self.ports = LoopPorts(
            context: context, environment: environment,
            isHome: { Placement.loop(key: Placement.key(client: $0), count: count) == index },
            accept: { holder, socket, source in
                guard let loop = way.loop else { return socket.abandon() }
                loop.open(holder, for: socket, source: source)
            })
        self.lanes = PeerLanes(logger: context.logger) { lane(index, $0, $1, environment) }
        way.loop = self
        self.ports.onVerdict = { [weak self] holder in self?.byName[holder.client]?.portSettled() }
        self.watchLanes()
        LoopLag.watch(self.environment)
    }

    private final class WeakLoop {
        weak var loop: ServerLoop?
    }

    /// The sessions here, by client name.
    var sessions: [ClientSession] { self.byName.keys.sorted().compactMap { self.byName[$0] } }

    func session(named name: String) -> ClientSession? { self.byName[name] }

    // MARK: Links

    func session(for peer: AuthenticatedPeer) -> SessionDecision {
        if let resume = peer.hello.resume { return self.resume(resume, peer) }
        let hello = peer.hello
        if self.context.isDraining { return .refuse(Close(.busy, "this server is draining")) }
        if case .refused(let reason) = self.context.currentRules.policy.mayConnect(client: hello.name) {
            return .refuse(Close(.forbidden, reason))
        }
        if let old = self.byName[hello.name] {
            guard old.installation == hello.installation || !old.isReachable else {
                return .refuse(Close(.busy, "the name \(hello.name) is in use by another installation at \(old.address)"))
            }
            let isSame = old.instance == hello.instance
            old.driver.end(
                .closedHere(.superseded, isSame ? "a newer session of the same client" : "a newer instance of the client"))
        }
        guard self.context.admitClient() else { return .refuse(Close(.busy, "this server has as many clients as it is allowed")) }
        return self.begin(peer)
    }

    private func begin(_ peer: AuthenticatedPeer) -> SessionDecision {
        var rng = SystemRandomNumberGenerator()
        let driver = SessionDriver(
            side: .acceptor, configuration: self.context.currentRules.session, environment: self.environment)
        let session = ClientSession(
            id: WireID.random(using: &rng), peer: peer, secret: SessionSecret.generate(using: &rng), driver: driver, loop: self)
        self.add(session)
        session.announceServices()
        session.announcePeers()
        self.context.directory.reportGhosts(
            of: session.name, installation: session.installation, instance: session.instance)
        self.context.logger.info("client connected", metadata: session.logMetadata)
        return .begin(driver, id: session.id, secret: session.secret)
    }

    /// A session lives here from now on.
    func add(_ session: ClientSession) {
        self.byName[session.name] = session
        self.bySession[session.id] = session
        guard let route = self.routes[session.name] else { return }
        route.localBegan(session.driver)
    }

    private func resume(_ request: ResumeRequest, _ peer: AuthenticatedPeer) -> SessionDecision {
        guard request.server == self.context.instance else {
            return .refuse(Close(.notMe, "this is another instance of the server"))
        }
        guard let session = self.bySession[request.session], session.instance == peer.hello.instance,
            session.name == peer.hello.name, peer.provesSession(session.secret)
        else { return .refuse(Close(.unknownSession, "this server does not know the session")) }
        session.driver.detachLink()
        session.resumed(by: peer)
        self.routes[session.name]?.localLinked()
        self.context.logger.info("client resumed its session", metadata: session.logMetadata)
        return .resume(session.driver, id: session.id, secret: session.secret)
    }

    /// Called by a session that is over.
    func forget(_ session: ClientSession) {
        self.bySession[session.id] = nil
        if self.byName[session.name] === session {
            self.byName[session.name] = nil
            self.routes[session.name]?.localEnded()
        }
        self.context.clientLeft()
    }

    /// A mapped port may have to be listened on, or not, or for somebody else.
    func portChanged(_ port: UInt16) {
        self.ports.review(port)
        let holder = self.context.directory.firmHolder(of: port)?.client
        for client in self.claimants[port, default: []].union(holder.map { [$0] } ?? []).sorted() {
            self.byName[client]?.portChanged(port)
        }
    }

    /// A client's configuration names this port, or no longer.
    func note(_ port: UInt16, claimedBy client: String, _ isClaimed: Bool) {
        if isClaimed { self.claimants[port, default: []].insert(client) } else { self.claimants[port]?.remove(client) }
        if self.claimants[port]?.isEmpty == true { self.claimants[port] = nil }
    }

    // MARK: What a reload or a drain does

    /// No new sessions' ports and streams; those there are may finish until the deadline.
    func drain(deadline: Duration) {
        self.ports.closeAll()
        for session in self.sessions { session.drain(deadline: deadline) }
    }

    func undrain() {
        self.ports.openAll()
        for session in self.sessions { session.undrain() }
    }

    /// Ends the sessions that the new credentials no longer permit, and tells the others what they may use now.
    func applyRules(stillPermits: (_ tokenID: String, _ client: String) -> Bool) {
        for session in self.sessions {
            if let token = session.tokenID, !stillPermits(token, session.name) {
                session.driver.end(.closedHere(.forbidden, "the token of this session was removed"))
            } else if case .refused(let reason) = self.context.currentRules.policy.mayConnect(client: session.name) {
                session.driver.end(.closedHere(.forbidden, reason))
            } else {
                session.rulesChanged()
            }
        }
    }

    /// Tells every client which servers there are.
    func announcePeers() {
        for session in self.sessions { session.announcePeers() }
    }

    /// Tells every client which services it may use and which are healthy.
    func announceServices() {
        for session in self.sessions { session.announceServices() }
    }
}

extension AccessPolicy {
    /// Whether a client of this name may have a session at all.
    func mayConnect(client name: String) -> AccessDecision {
        guard let entries = self.entries, !entries.contains(where: { $0.clients.matches(name) }) else { return .allowed }
        return .refused("no pattern under server.clients matches the client name \(name): add one for it")
    }
}
