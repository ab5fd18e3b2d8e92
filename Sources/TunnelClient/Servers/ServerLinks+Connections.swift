import Admin
import Logging
import NIOCore
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// What happens to connections.
extension ServerLinks: ServerConnectionOwner {
    func connection(_ connection: ServerConnection, meets peer: Hello) -> Close? {
        if let wanted = self.wanted, self.plan.isDemanded(connection.endpoint), wanted != peer.name {
            self.plan.isAnother(at: connection.endpoint, peer.installation, now: self.now)
            return Close(.superseded, "the client looks for another server")
        }
        return switch self.plan.verdict(on: peer.installation, at: connection.endpoint, now: self.now) {
        case .go: nil
        case .alreadyConnected: Close(.superseded, "connected already by another address")
        case .enough: Close(.superseded, "the client has all the links it wants")
        }
    }

    func connection(_ connection: ServerConnection, failed error: HandshakeError) {
        let endpoint = connection.endpoint
        self.remove(endpoint)
        self.plan.dialFailed(endpoint, error.dialFailure, now: self.now, using: &self.rng)
        if error.failure != .unwanted, self.plan.endpoints.contains(endpoint) {
            self.failures[endpoint] = (error.detail, self.failures[endpoint]?.since ?? Timestamp.now())
        }
        if error.failure != .unwanted {
            self.note(failure: error.detail, kind: error.failure.rawValue, address: endpoint.description)
        }
        if self.plan.isHopeless {
            self.delegate?.refusedEverywhere(error.detail)
            return self.stop()
        }
        self.carryOut()
    }

    func connection(_ connection: ServerConnection, began session: SessionDriver) {
        guard let peer = connection.peer else { return }
        self.failures[connection.endpoint] = nil
        self.plan.sessionBegan(
            connection.endpoint, server: peer.installation, name: peer.name, now: self.now, using: &self.rng)
        self.delegate?.sessionBegan(session)
        let path = self.opener.began(session, rank: self.rng.next())
        connection.path = path
        self.reachedIfWanted(connection)
        self.linksChanged(upAlso: connection)
        self.carryOut()
    }

    func connection(_ connection: ServerConnection, thawed session: SessionDriver, _ services: Services) {
        guard let peer = connection.peer else { return }
        self.plan.sessionBegan(
            connection.endpoint, server: peer.installation, name: peer.name, now: self.now, using: &self.rng)
        let path = self.opener.began(session, rank: self.rng.next())
        connection.path = path
        connection.announced = services
        self.opener.offers(path, services)
        let isDraining = session.snapshot().isPeerDraining
        if isDraining { self.opener.drains(path, true) }
        self.opener.lost(path)
        self.plan.linkLost(connection.endpoint, now: self.now, using: &self.rng)
        self.delegate?.sessionBegan(session)
        self.linksChanged()
    }

    func connectionResumed(_ connection: ServerConnection) {
        self.plan.linkBack(connection.endpoint, now: self.now)
        if let path = connection.path { self.opener.linked(path) }
        self.reachedIfWanted(connection)
        self.linksChanged()
        self.carryOut()
    }

    func connection(_ connection: ServerConnection, lostLink cause: LinkLoss) {
        self.expectAnother()
        if let path = connection.path { self.opener.lost(path) }
        self.plan.linkLost(connection.endpoint, now: self.now, using: &self.rng)
        self.linksChanged()
        self.carryOut()
    }

    func connection(_ connection: ServerConnection, cannotResume error: HandshakeError) {
        self.note(failure: error.detail, kind: error.failure.rawValue, address: connection.endpoint.description)
    }

    func connection(_ connection: ServerConnection, ended end: SessionEnd, isReplaced: Bool) {
        self.expectAnother()
        if isReplaced {
            if let path = connection.path { self.opener.ended(path) }
            if let server = connection.replacedServer { self.delegate?.sessionEnded(server: server) }
            return
        }
        self.remove(connection.endpoint)
        if self.plan.endpoints.contains(connection.endpoint) {
            self.failures[connection.endpoint] = (end.description, Timestamp.now())
        }
        if case .closedByPeer(let close) = end, close.code == .superseded {
            let wait = self.plan.sessionEnded(connection.endpoint, .takenOver, now: self.now, using: &self.rng)
            self.logger.error(
                "another process with this client's state directory took over; a copied installation needs a state_dir of its own",
                metadata: ["retry_seconds": "\(wait?.inSeconds ?? 0)"])
        } else {
            self.plan.sessionEnded(connection.endpoint, .other, now: self.now, using: &self.rng)
        }
        self.linksChanged()
        self.carryOut()
    }

    func connection(_ connection: ServerConnection, heartbeat: HeartbeatReport) {
        guard let path = connection.path else { return }
        self.opener.heartbeat(path, heartbeat)
        self.reviewUse(of: connection)
    }

    // MARK: What follows

    /// Another session may be had soon: who cannot be served now may wait for it.
    private func expectAnother() {
        if self.directory.addresses.count > 1 { self.opener.expectSession(for: .seconds(5)) }
    }

    /// How long a session waits for its link depends on whether there is another: servers are told when that changes.
    /// - Parameter upAlso: a connection whose link is about to carry its session.
    func linksChanged(upAlso: ServerConnection? = nil) {
        let up = self.connections.filter { $0.isUp || $0 === upAlso }
        for connection in self.connections {
            let hasOther = up.contains { $0 !== connection }
            let window = self.settings.resumeWindow
            connection.session?.setResumeWindow(hasOther ? window.withOtherLinks : window.alone)
        }
    }

    /// Tells the plan whether a link counts as one that new streams can use, and whether it could be spared.
    func reviewUse(of connection: ServerConnection) {
        guard let session = connection.session, let path = connection.path else { return }
        let state = session.snapshot()
        self.plan.review(
            connection.endpoint, isUsable: !state.isPeerDraining && !self.opener.isSuspect(path), isIdle: state.streams == 0,
            isActive: self.opener.isActive(path), roundTrip: state.roundTrip, now: self.now, using: &self.rng)
        self.carryOut()
    }
}

extension HandshakeError {
    fileprivate var dialFailure: LinkPlan.DialFailure {
        if self.isRefusal { return .refused }
        return self.failure == .busy ? .busy : .unreachable
    }
}
