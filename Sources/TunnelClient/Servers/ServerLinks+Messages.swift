import Admin
import Logging
import NIOCore
import Settings
import Timing
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
            connection.announced = services
            self.opener.offers(path, services)
        case .registered(let registered): self.delegate?.registered(registered, by: peer.name)
        case .goAway(let goAway): self.drains(connection, goAway)
        case .peers(let peers): self.learn(peers, from: peer)
        case .move(let move): self.asked(move)
        case .register, .resumeWindow, .gossip: break
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

    private func learn(_ peers: Peers, from peer: ServerIdentity) {
        let isNews = self.directory.learn(
            ServerAnnouncement(peers), from: peer.name, instance: "\(peer.instance)", at: Timestamp.now().wholeSeconds)
        guard isNews else { return }
        self.rememberSoon()
        self.entriesChanged()
    }

    /// How long a server that an operator wants is looked for.
    private static let moveTime = Duration.seconds(30)
    /// A wish is followed at most this often; of several, the last.
    private static let movePause = TimeAmount.seconds(1)

    /// An operator wants new streams to go to another server.
    private func asked(_ move: Move) {
        self.nextMove = move
        guard self.movePause == nil else { return }
        self.followNext()
    }

    private func followNext() {
        guard let move = self.nextMove else { return }
        self.nextMove = nil
        self.movePause = self.environment.eventLoop.assumeIsolated().scheduleTask(in: Self.movePause) { [weak self] in
            self?.movePause = nil
            self?.followNext()
        }
        self.follow(move)
    }

    private func follow(_ move: Move) {
        self.moveEnd?.cancel()
        self.wanted = nil
        if let connection = self.connections.first(where: { $0.peer?.name == move.server && $0.isUp }) {
            return self.prefer(connection)
        }
        // A server that nobody has named may be behind any address that is not in use.
        let named = self.directory.addresses(ofServer: move.server)
        let addresses = named.isEmpty ? self.directory.addresses : named
        guard self.plan.demand(server: move.server, addresses: addresses) else {
            return self.noteMove(
                .warning, "asked to move to a server that is not known here", move.server,
                mend: "add its address to server_addrs")
        }
        self.wanted = move.server
        self.moveEnd = self.environment.eventLoop.assumeIsolated()
            .scheduleTask(in: .nanoseconds(Self.moveTime.wholeNanoseconds)) { [weak self] in
                guard let self, self.wanted != nil else { return }
                self.wanted = nil
                self.noteMove(.warning, "the server to move to was not found", move.server, mend: "see gotunnelctl status")
            }
        self.noteMove(.info, "looking for the server to move to", move.server)
        self.carryOut()
    }

    /// A link carries a session with the server that an operator wants.
    func reachedIfWanted(_ connection: ServerConnection) {
        guard let wanted = self.wanted, wanted == connection.peer?.name else { return }
        self.wanted = nil
        self.moveEnd?.cancel()
        self.plan.demandIsMet()
        self.prefer(connection)
    }

    private func prefer(_ connection: ServerConnection) {
        guard let path = connection.path, !self.opener.isPreferred(path) else { return }
        self.opener.prefer(path)
        self.noteMove(.notice, "new streams go to another server, as asked", connection.peer?.name ?? "")
        for connection in self.connections { self.reviewUse(of: connection) }
    }

    private func noteMove(_ level: Logger.Level, _ message: Logger.Message, _ server: String, mend: String? = nil) {
        guard let suppressed = self.moveLog.admit(kind: "\(message)", source: server) else { return }
        var metadata: Logger.Metadata = ["server": "\(server)", "suppressed": "\(suppressed)"]
        if let mend { metadata["mend"] = "\(mend)" }
        self.logger.log(level: level, message, metadata: metadata)
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
