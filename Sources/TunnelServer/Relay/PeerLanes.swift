import Logging
import NIOCore
import TunnelSession
import TunnelTransport
import TunnelWire

/// The data sessions that one event loop has dialled to the other servers. Bound to the loop.
final class PeerLanes {
    /// What the loop has to know of a lane.
    struct Events {
        var began: (ServerName) -> Void
        var linked: (ServerName) -> Void
        var lost: (ServerName) -> Void
        var ended: (ServerName) -> Void
        var heartbeat: (ServerName, HeartbeatReport) -> Void
        var asks: (SessionDriver, StreamID, Open, ServerName) -> Void
        var received: (ByteBuffer, ServerName) -> Void
    }

    private let make: (ServerName, PeerLane) -> PeerSession
    private let logger: Logger
    private var lanes: [ServerName: PeerLane] = [:]
    /// Taken over from another process, before it is known which servers there are.
    private var unconfirmed: Set<ServerName> = []
    var events: Events?

    /// - Parameter make: a data session to a server, owned by the lane.
    init(logger: Logger, make: @escaping (ServerName, PeerLane) -> PeerSession) {
        self.logger = logger
        self.make = make
    }

    /// Has sessions with these servers and no others.
    func set(_ names: Set<ServerName>) {
        self.unconfirmed.subtract(names)
        for name in self.lanes.keys.sorted() where !names.contains(name) && !self.unconfirmed.contains(name) {
            self.lanes.removeValue(forKey: name)?.session?.stop(Close(.shutdown, "the servers part"))
            self.events?.ended(name)
        }
        for name in names.sorted() where self.lanes[name] == nil {
            let lane = PeerLane(name: name, lanes: self, logger: self.logger)
            self.lanes[name] = lane
            lane.session = self.make(name, lane)
            lane.session?.start()
        }
    }

    /// What the members say of a server.
    func note(_ name: ServerName, isDead: Bool, isRestarting: Bool) {
        guard let session = self.lanes[name]?.session else { return }
        session.isRestarting = isRestarting
        if isDead { session.peerIsDead() } else { session.hurry() }
    }

    /// The session with a server, with or without a link; nil while there is none.
    func driver(_ name: ServerName) -> SessionDriver? { self.lanes[name]?.session?.driver }

    /// A message of the cluster; dropped when there is no way.
    func send(_ message: ByteBuffer, to name: ServerName) { _ = self.lanes[name]?.session?.send(message) }

    func stop() {
        self.unconfirmed = []
        self.set([])
    }

    // MARK: From process to process

    /// Hands every session over. There are no lanes afterwards.
    func freeze(farewell: Close) -> [(name: ServerName, session: PeerSession.Frozen)] {
        defer { self.lanes = [:] }
        return self.lanes.keys.sorted().compactMap { name in
            self.lanes[name]?.session?.freeze(farewell: farewell).map { (name, $0) }
        }
    }

    /// Goes on with a session of another process, which ends by itself if its server is not met again.
    func thaw(_ name: ServerName, _ driver: SessionDriver, ticket: ResumeTicket, lane frozen: GossipLane.Frozen) {
        let lane = PeerLane(name: name, lanes: self, logger: self.logger)
        self.lanes[name] = lane
        self.unconfirmed.insert(name)
        lane.session = self.make(name, lane)
        lane.session?.thaw(driver, ticket: ticket, lane: frozen)
        lane.session?.start()
    }
}

/// The data session with one server, as its event loop sees it.
final class PeerLane: PeerSessionOwner {
    let name: ServerName
    var session: PeerSession?
    private weak var lanes: PeerLanes?
    private let logger: Logger
    private var lastComplaint = ""

    init(name: ServerName, lanes: PeerLanes, logger: Logger) {
        self.name = name
        self.lanes = lanes
        self.logger = logger
    }

    func peerSession(_ session: PeerSession, meets peer: Hello) -> Close? {
        peer.name == self.name ? nil : Close(.superseded, "\(self.name) is looked for here")
    }

    func peerSession(_ session: PeerSession, began driver: SessionDriver) {
        self.lastComplaint = ""
        self.lanes?.events?.began(self.name)
    }

    func peerSessionLinked(_ session: PeerSession) { self.lanes?.events?.linked(self.name) }

    func peerSession(_ session: PeerSession, lostLink cause: LinkLoss) { self.lanes?.events?.lost(self.name) }

    func peerSession(_ session: PeerSession, ended end: SessionEnd) { self.lanes?.events?.ended(self.name) }

    func peerSession(_ session: PeerSession, cannotDial error: HandshakeError) {
        guard error.failure.rawValue != self.lastComplaint else { return }
        self.lastComplaint = error.failure.rawValue
        self.logger.debug(
            "no data session with peer",
            metadata: ["peer": "\(self.name)", "cause": "\(error.failure.rawValue)", "reason": "\(error.detail)"])
    }

    func peerSession(_ session: PeerSession, asks id: StreamID, for open: Open, on driver: SessionDriver) {
        self.lanes?.events?.asks(driver, id, open, self.name)
    }

    func peerSession(_ session: PeerSession, received message: ByteBuffer) { self.lanes?.events?.received(message, self.name) }

    func peerSession(_ session: PeerSession, received control: ControlMessage) {}

    func peerSession(_ session: PeerSession, heartbeat: HeartbeatReport) {
        self.lanes?.events?.heartbeat(self.name, heartbeat)
    }
}
