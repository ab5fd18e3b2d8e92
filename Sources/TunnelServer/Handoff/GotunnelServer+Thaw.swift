import Daemon
import Identity
import Logging
import NIOCore
import TunnelSession
import TunnelTransport
import TunnelWire

/// Puts what an earlier process left into a server that does not listen yet.
struct ServerThaw {
    let handoff: IncomingHandoff
    let context: ServerContext
    let loops: [HostedLoop]

    /// Puts every session in its place. What is wrong with one costs that one only; what cannot be understood costs the rest.
    /// The streams of what is lost are reset, and the server serves.
    func run() async {
        do {
            try await self.readAll()
        } catch {
            self.context.logger.error(
                "the handoff cannot be understood; what is left of it is reset",
                metadata: .event(.handoffFailed).with("reason", "\(error)"))
        }
    }

    private func readAll() async throws {
        var input = try self.handoff.input(GotunnelServer.handoffKinds)
        let pairs = SharedPairs()
        while let record = try input.next() {
            switch record.kind {
            case .client:
                let about = try record.document(FrozenClient.self)
                await self.thaw(about, try input.readDriver(), pairs)
            case .inbound, .lane:
                let about = try record.document(FrozenPeer.self)
                let (driver, lane) = (try input.readDriver(), try input.readLane())
                await self.thaw(about, driver, lane, isInbound: record.kind == .inbound, pairs)
            case .openings:
                await self.thaw(try input.readConnections())
            default: break
            }
            Faults.meet(.crashInThaw)
        }
    }

    private func thaw(_ about: FrozenClient, _ driver: FrozenDriver, _ pairs: SharedPairs) async {
        guard let home = self.context.home(of: about.name) else { return }
        await self.onLoop(home, driver.connections.count) { loop, sockets, done in
            try loop.thaw(about, driver, sockets, pairs, done: done)
        }
    }

    private func thaw(
        _ about: FrozenPeer, _ driver: FrozenDriver, _ lane: GossipLane.Frozen, isInbound: Bool, _ pairs: SharedPairs
    ) async {
        // A machine with fewer processors has fewer loops: nobody would look for the session elsewhere.
        guard let home = self.loops.indices.contains(about.loop) ? self.loops[about.loop].loop : nil else { return }
        await self.onLoop(home, driver.connections.count) { loop, sockets, done in
            if isInbound {
                try loop.thawInbound(about, driver, lane, sockets, pairs, done: done)
            } else {
                try loop.thawLane(about, driver, lane, sockets, pairs, done: done)
            }
        }
    }

    private func thaw(_ openings: [FrozenConnection]) async {
        for opening in openings {
            guard case .exposure(let client, _) = opening.open.destination, let home = self.context.home(of: client) else {
                continue
            }
            let sockets = self.handoff.sockets
            try? await home.eventLoop.submit { home.value.thaw(opening, sockets) }.get()
        }
    }

    private func onLoop(
        _ home: NIOLoopBound<ServerLoop>, _ connections: Int,
        _ body: @escaping @Sendable (ServerLoop, SocketPool, @escaping @Sendable (Int) -> Void) throws -> Void
    ) async {
        let (sockets, logger) = (self.handoff.sockets, self.context.logger)
        let lost = await withCheckedContinuation { continuation in
            home.eventLoop.execute {
                do {
                    try body(home.value, sockets) { continuation.resume(returning: $0) }
                } catch {
                    logger.error("\(error)", metadata: .event(.handoffFailed))
                    continuation.resume(returning: connections)
                }
            }
        }
        guard lost > 0 else { return }
        self.handoff.outcome.lose(lost)
        logger.error(
            "connections are missing; their streams were reset", metadata: .event(.handoffFailed).with("streams", "\(lost)"))
    }
}

extension ServerLoop {
    private func driver(
        _ frozen: FrozenDriver, _ sockets: SocketPool, _ pairs: SharedPairs, done: @escaping @Sendable (Int) -> Void
    ) throws -> SessionDriver {
        try SessionDriver.thaw(
            frozen, configuration: self.context.currentRules.session, environment: self.environment, pairs: pairs,
            descriptor: { socket in
                Faults.isOn(.loseSockets) ? nil : sockets.takeStream(socket.cookie)
            }, completion: done)
    }

    func thaw(
        _ about: FrozenClient, _ frozen: FrozenDriver, _ sockets: SocketPool, _ pairs: SharedPairs,
        done: @escaping @Sendable (Int) -> Void
    ) throws {
        guard let secret = SessionSecret(about.secret), self.context.admitClient() else { return done(frozen.connections.count) }
        let driver = try self.driver(frozen, sockets, pairs, done: done)
        let session = ClientSession(thawing: about, secret: secret, driver: driver, loop: self)
        self.add(session)
        driver.goOn()
    }

    func thawInbound(
        _ about: FrozenPeer, _ frozen: FrozenDriver, _ lane: GossipLane.Frozen, _ sockets: SocketPool, _ pairs: SharedPairs,
        done: @escaping @Sendable (Int) -> Void
    ) throws {
        guard let secret = SessionSecret(about.secret) else { return done(frozen.connections.count) }
        let driver = try self.driver(frozen, sockets, pairs, done: done)
        self.inbound[about.session] = PeerInbound(
            thawing: about, secret: secret, driver: driver, lane: GossipLane(thawing: lane), loop: self)
        driver.goOn()
    }

    func thawLane(
        _ about: FrozenPeer, _ frozen: FrozenDriver, _ lane: GossipLane.Frozen, _ sockets: SocketPool, _ pairs: SharedPairs,
        done: @escaping @Sendable (Int) -> Void
    ) throws {
        guard let secret = SessionSecret(about.secret) else { return done(frozen.connections.count) }
        let driver = try self.driver(frozen, sockets, pairs, done: done)
        let ticket = ResumeTicket(server: about.instance, session: about.session, secret: secret)
        self.lanes.thaw(about.server, driver, ticket: ticket, lane: lane)
    }

    /// A connection to a mapped port that is no stream yet: it is opened like one that has just come.
    func thaw(_ opening: FrozenConnection, _ sockets: SocketPool) {
        guard case .exposure(let client, let name) = opening.open.destination, let socket = opening.socket,
            let descriptor = sockets.takeStream(socket.cookie)
        else { return }
        opening.thaw(descriptor, self.environment) { [weak self] socket in
            guard let socket else { return }
            guard let self else { return socket.abandon() }
            self.open(PortHolder(client: client, exposure: name), for: socket, source: opening.open.source)
        }
    }
}
