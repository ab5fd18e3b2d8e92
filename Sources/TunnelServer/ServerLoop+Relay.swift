import Identity
import NIOCore
import Settings
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// Streams to clients, wherever they are linked, and streams that other servers pass on.
extension ServerLoop {
    /// How long a way to a client is kept that nobody uses.
    private static let routeIdle = Duration.seconds(60)
    /// How long a registration is not believed after a server has refused the client that it tells of.
    private static let distrust = TimeAmount.seconds(2)

    // MARK: To a client

    /// A connection to a mapped port of a client that lives on this loop.
    func open(_ holder: PortHolder, for socket: StreamSocket, source: String) {
        let route = self.route(to: holder.client)
        route.open(holder.exposure, for: socket, source: source) { [context] refusal in
            context.refusals.note(
                refusal, destination: .exposure(client: holder.client, name: holder.exposure), source: source,
                client: holder.client)
        }
    }

    private func route(to client: String) -> ClientRoute {
        if let route = self.routes[client] { return route }
        let route = ClientRoute(client: client, environment: self.environment) { [weak self] server in
            self?.misled(client, by: server)
        }
        self.routes[client] = route
        if let session = self.session(named: client), !session.driver.isEnded {
            route.localBegan(session.driver)
            if !session.driver.isAttached { route.localLost() }
        }
        self.ownersChanged(client)
        return route
    }

    private func misled(_ client: String, by server: ServerName) {
        self.context.directory.mislead(client, by: server)
        self.ownersChanged(client)
        self.environment.eventLoop.assumeIsolated().scheduleTask(in: Self.distrust) { [weak self] in
            self?.context.directory.forgive(client, by: server)
            self?.ownersChanged(client)
        }
    }

    /// The servers that hold a client are others now, or a session with one of them is.
    func ownersChanged(_ client: String) {
        guard let route = self.routes[client] else { return }
        route.setRelays(
            self.context.directory.owners(of: client).compactMap { owner in
                self.lanes.driver(owner.server).map {
                    (owner.server, $0, self.context.directory.isDraining(owner.server))
                }
            })
    }

    func allOwnersChanged() {
        for client in self.routes.keys { self.ownersChanged(client) }
    }

    /// Gives up the ways that nobody used for a while. To be called now and then.
    func dropIdleRoutes() {
        let now = self.environment.now
        for (client, route) in self.routes where route.isIdle && now - route.lastUsed >= Self.routeIdle {
            route.close()
            self.routes[client] = nil
        }
    }

    func watchLanes() {
        self.lanes.events = PeerLanes.Events(
            began: { [weak self] _ in self?.allOwnersChanged() },
            linked: { [weak self] name in self?.eachRoute { $0.relayLinked(name) } },
            lost: { [weak self] name in self?.eachRoute { $0.relayLost(name) } },
            ended: { [weak self] name in self?.eachRoute { $0.relayEnded(name) } },
            heartbeat: { [weak self] name, report in self?.eachRoute { $0.relayHeartbeat(name, report) } },
            asks: { [weak self] in self?.serveRelayed($1, of: $0, $2, from: $3) },
            received: { [context] in context.cluster.received($0, from: $1) })
    }

    private func eachRoute(_ body: (ClientRoute) -> Void) {
        for route in self.routes.values { body(route) }
    }

    // MARK: To a service

    /// Serves a stream to a service: by a target here, else by a server that has one.
    /// - Parameter refused: called once if there is no way.
    func serve(
        _ service: String, for id: StreamID, of driver: SessionDriver, _ open: Open, refused: @escaping (Refusal) -> Void
    ) throws(Refusal) {
        let targets: [HostPort]
        do throws(Refusal) {
            targets = try self.context.services.targets(for: service)
        } catch {
            // Passed on once, and never again.
            let others =
                open.isRelayed ? [] : self.context.directory.servers(offering: service).compactMap { self.lanes.driver($0) }
            guard !others.isEmpty else { throw error }
            return self.pass(open, for: id, of: driver, to: others[...], last: error, refused)
        }
        self.dial(targets[...], for: id, of: driver, refused)
    }

    private func pass(
        _ open: Open, for id: StreamID, of driver: SessionDriver, to others: ArraySlice<SessionDriver>, last: Refusal,
        _ refused: @escaping (Refusal) -> Void
    ) {
        guard let other = others.first else { return refused(last) }
        var relayed = open
        relayed.isRelayed = true
        Relay.join(id, of: driver, to: Relay.FarSession(other), as: relayed) { [weak self] refusal in
            self?.pass(open, for: id, of: driver, to: others.dropFirst(), last: refusal, refused)
        }
    }

    /// Tries one target after the other within the dial bound of each.
    private func dial(
        _ targets: ArraySlice<HostPort>, for id: StreamID, of driver: SessionDriver, _ refused: @escaping (Refusal) -> Void
    ) {
        guard let target = targets.first else { return }
        TargetDialer.dial(
            host: target.host.description, port: target.port, timeout: self.context.currentRules.dialTimeout,
            environment: self.environment
        ) { result in
            switch result {
            case .success(let socket): driver.serve(id, with: socket)
            case .failure(let refusal):
                if targets.count > 1 {
                    self.dial(targets.dropFirst(), for: id, of: driver, refused)
                } else {
                    refused(refusal)
                }
            }
        }
    }

    // MARK: From a server

    /// A stream that another server passed on: served here or refused, never passed on again.
    func serveRelayed(_ id: StreamID, of driver: SessionDriver, _ open: Open, from server: ServerName) {
        let refuse = { [context] (refusal: Refusal) in
            if refusal.code != .notHere {
                context.refusals.note(refusal, destination: open.destination, source: open.source, client: server)
            }
            driver.refuse(id, refusal)
        }
        guard open.isRelayed else { return refuse(Refusal(.forbidden, "a server may only pass streams on")) }
        switch open.destination {
        case .service(let service):
            do throws(Refusal) {
                try self.serve(service, for: id, of: driver, open, refused: refuse)
            } catch {
                refuse(error)
            }
        case .exposure(let client, _): self.relay(id, of: driver, open, to: client, refuse)
        case .address: refuse(Refusal(.forbidden, "addresses are not passed on"))
        }
    }

    private func relay(
        _ id: StreamID, of driver: SessionDriver, _ open: Open, to client: String, _ refuse: @escaping (Refusal) -> Void
    ) {
        guard let home = self.context.home(of: client) else { return refuse(Refusal(.notHere, "this server has no loops yet")) }
        let notHere = Refusal(.notHere, "client \(client) is not linked with this server")
        // Where the client is may be another loop; what is found there comes back here.
        let joint = Joint(id: id, driver: driver, open: open, refuse: refuse) { [weak self] in
            self?.relay(id, of: driver, open, to: client, refuse)
        }
        let box = NIOLoopBound(joint, eventLoop: self.environment.eventLoop)
        home.run { loop in
            let session = loop.session(named: client)
            if let until = session?.awaitedUntil, until > loop.environment.now {
                // The client is on its way back to a process that has just taken over.
                return box.run { $0.later() }
            }
            let far = session.flatMap { $0.isReachable ? Relay.FarSession($0.driver) : nil }
            box.run { joint in
                guard let far else { return joint.refuse(notHere) }
                Relay.join(joint.id, of: joint.driver, to: far, as: joint.open, refused: joint.refuse)
            }
        }
    }

    private final class Joint {
        let id: StreamID
        let driver: SessionDriver
        let open: Open
        let refuse: (Refusal) -> Void
        private let again: () -> Void

        init(
            id: StreamID, driver: SessionDriver, open: Open, refuse: @escaping (Refusal) -> Void, again: @escaping () -> Void
        ) {
            self.again = again
            self.id = id
            self.driver = driver
            self.open = open
            self.refuse = refuse
        }

        /// Asks again in a moment.
        func later() {
            let again = self.again
            self.driver.environment.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(10)) { again() }
        }
    }

    // MARK: Sessions that servers dial

    func beginInbound(_ peer: AuthenticatedPeer) -> SessionDecision {
        if let resume = peer.hello.resume { return self.resumeInbound(resume, peer) }
        // Several loops of one server may dial this one; but what an earlier process of it left is over.
        let gone = self.inbound.values.filter { $0.server == peer.hello.name && $0.instance != peer.hello.instance }
        for old in gone { old.driver.end(.closedHere(.superseded, "a newer instance of the server")) }
        var rng = SystemRandomNumberGenerator()
        let driver = SessionDriver(
            side: .acceptor, configuration: self.context.currentRules.session, environment: self.environment)
        let session = PeerInbound(
            id: WireID.random(using: &rng), peer: peer, secret: SessionSecret.generate(using: &rng), driver: driver, loop: self)
        self.inbound[session.id] = session
        return .begin(driver, id: session.id, secret: session.secret)
    }

    private func resumeInbound(_ request: ResumeRequest, _ peer: AuthenticatedPeer) -> SessionDecision {
        guard request.server == self.context.instance else {
            return .refuse(Close(.notMe, "this is another instance of the server"))
        }
        guard let session = self.inbound[request.session], session.instance == peer.hello.instance,
            session.server == peer.hello.name, peer.provesSession(session.secret)
        else { return .refuse(Close(.unknownSession, "this server does not know the session")) }
        session.driver.detachLink()
        return .resume(session.driver, id: session.id, secret: session.secret)
    }

    /// The cluster says that a server is gone. What it has relayed here ends now instead of waiting for it; a link that stands
    /// knows better.
    func peerIsGone(_ name: ServerName) {
        for session in Array(self.inbound.values) where session.server == name && !session.driver.isAttached {
            session.driver.end(.peerGone)
        }
    }

    func forget(_ session: PeerInbound) { self.inbound[session.id] = nil }

    /// A message of the cluster: over the session that this server has dialled, or, where that is not well, over one that the
    /// other has. A way may be open in one direction only.
    func send(_ message: ByteBuffer, to name: ServerName) {
        let own = self.lanes.driver(name)?.snapshot()
        if own.map({ $0.isAttached && !$0.isSuspect }) ?? false { return self.lanes.send(message, to: name) }
        guard let other = self.inbound.values.first(where: { $0.server == name && $0.isReachable }) else {
            return self.lanes.send(message, to: name)
        }
        other.send(message)
    }

    // MARK: Ghosts

    /// Another server has this client with another instance. Ends the session here unless the client answers within a second.
    func challenge(_ client: String, instance: WireID) {
        guard let session = self.session(named: client), session.instance == instance else { return }
        let asked = self.environment.now
        let end = { session.driver.end(.closedHere(.superseded, "the client is at another server with another instance")) }
        guard session.driver.isAttached else { return end() }
        session.driver.probe()
        self.environment.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) {
            let answered = session.answeredPing.map { $0 >= asked } ?? false
            if !answered, !session.driver.isEnded { end() }
        }
    }
}

/// Lets the links of peers find their loop, where those of clients find it by the loop itself.
final class PeerDoor: PeerHost {
    private unowned let loop: ServerLoop

    init(_ loop: ServerLoop) { self.loop = loop }

    func session(for peer: AuthenticatedPeer) -> SessionDecision { self.loop.beginInbound(peer) }
}
