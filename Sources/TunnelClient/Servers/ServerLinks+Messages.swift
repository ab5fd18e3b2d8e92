import Admin
import Logging
import Settings
import TunnelSession
import TunnelTransport
import TunnelWire

/// What servers say.
extension ServerLinks {
    /// A stream that a server wants to an exposure.
    func connection(_ connection: ServerConnection, asks id: StreamID, for open: Open, on session: SessionDriver) {
        guard let delegate = self.delegate else { return session.refuse(id, Refusal(.draining, "the client stops")) }
        delegate.session(session, asks: id, for: open)
    }

    func connection(_ connection: ServerConnection, received message: ControlMessage) {
        guard let peer = connection.peer, let path = connection.path else { return }
        switch message {
        case .services(let services):
            connection.services = Dictionary(
                services.services.map { ($0.name, $0.isHealthy) }, uniquingKeysWith: { first, _ in first })
            self.opener.offers(path, services)
        case .registered(let registered): self.delegate?.registered(registered, by: peer.name)
        case .goAway(let goAway): self.drains(connection, goAway)
        case .peers(let peers): self.learn(peers, from: peer)
        case .move(let move): self.follow(move)
        case .register, .resumeWindow: break
        }
    }

    private func drains(_ connection: ServerConnection, _ goAway: GoAway) {
        guard let path = connection.path else { return }
        if let suppressed = self.drainLog.admit(kind: goAway.isCalledOff ? "called off" : "drains", source: "\(path.rawValue)") {
            self.logger.notice(
                "server drains",
                metadata: [
                    "server": "\(connection.peer?.name ?? "")", "calledOff": "\(goAway.isCalledOff)",
                    "reason": "\(goAway.reason)", "suppressed": "\(suppressed)",
                ])
        }
        if !goAway.isCalledOff, self.directory.addresses.count > 1 { self.opener.expectSession(for: .seconds(5)) }
        self.opener.drains(path, !goAway.isCalledOff)
        self.reviewUse(of: connection)
    }

    private func learn(_ peers: Peers, from peer: Hello) {
        let isNews = self.directory.learn(
            ServerAnnouncement(peers), from: peer.name, instance: "\(peer.instance)", at: Timestamp.now().wholeSeconds)
        guard isNews else { return }
        self.remember()
        self.entriesChanged()
    }

    /// How long a server that an operator wants is looked for.
    private static let moveTime = Duration.seconds(30)

    /// An operator wants new streams to go to another server.
    private func follow(_ move: Move) {
        if let connection = self.connections.first(where: { $0.peer?.name == move.server && $0.isUp }) {
            return self.prefer(connection)
        }
        // A server that nobody has named may be behind any address that is not in use.
        let named = self.directory.addresses(ofServer: move.server)
        let addresses = named.isEmpty ? self.directory.addresses : named
        guard self.plan.demand(server: move.server, addresses: addresses) else {
            self.logger.warning(
                "asked to move to a server that is not known here",
                metadata: ["server": "\(move.server)", "mend": "add its address to server_addrs"])
            return
        }
        let until = self.now + Self.moveTime
        self.wanted = (move.server, until)
        self.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Self.moveTime.wholeNanoseconds)) {
            [weak self] in
            guard let self, self.wanted?.until == until else { return }
            self.wanted = nil
            self.logger.warning("the server to move to was not found", metadata: ["server": "\(move.server)"])
        }
        self.logger.info("looking for the server to move to", metadata: ["server": "\(move.server)"])
        self.carryOut()
    }

    func prefer(_ connection: ServerConnection) {
        guard let path = connection.path else { return }
        self.opener.prefer(path)
        self.logger.notice("new streams go to another server, as asked", metadata: ["server": "\(connection.peer?.name ?? "")"])
        for connection in self.connections { self.reviewUse(of: connection) }
    }
}

extension ServerAnnouncement {
    /// Addresses that are none here (a name too long for this configuration, say) are passed over.
    init(_ peers: Peers) {
        self.init(
            version: peers.version,
            servers: peers.servers.map { server in
                Server(name: server.name, addresses: server.addresses.compactMap(HostPort.init))
            })
    }
}

extension HostPort {
    fileprivate init?(_ address: PeerAddress) {
        guard let host = Host(address.host) else { return nil }
        self.init(host: host, port: Int(address.port))
    }
}
