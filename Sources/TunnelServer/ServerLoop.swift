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
    private var byName: [String: ClientSession] = [:]
    private var bySession: [WireID: ClientSession] = [:]

    init(context: ServerContext, eventLoop: any EventLoop) {
        self.context = context
        self.environment = TransportEnvironment(eventLoop: eventLoop, budget: context.budget, metrics: context.metrics)
        LoopLag.watch(self.environment)
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
        self.byName[session.name] = session
        self.bySession[session.id] = session
        session.announceServices()
        session.announcePeers()
        self.context.logger.info("client connected", metadata: session.logMetadata)
        return .begin(driver, id: session.id, secret: session.secret)
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
        self.context.logger.info("client resumed its session", metadata: session.logMetadata)
        return .resume(session.driver, id: session.id, secret: session.secret)
    }

    /// Called by a session that is over.
    func forget(_ session: ClientSession) {
        self.bySession[session.id] = nil
        if self.byName[session.name] === session { self.byName[session.name] = nil }
        self.context.clientLeft()
    }

    // MARK: What a reload or a drain does

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
