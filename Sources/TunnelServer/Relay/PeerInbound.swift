import Identity
import NIOCore
import TunnelSession
import TunnelTransport
import TunnelWire

/// A data session that another server has dialled: it relays streams to this one. Bound to its loop.
final class PeerInbound: GossipTaker {
    let id: WireID
    let server: ServerName
    let instance: WireID
    let secret: SessionSecret
    let driver: SessionDriver
    private unowned let loop: ServerLoop
    private var lane = GossipLane()

    init(id: WireID, peer: AuthenticatedPeer, secret: SessionSecret, driver: SessionDriver, loop: ServerLoop) {
        self.id = id
        self.server = peer.hello.name
        self.instance = peer.hello.instance
        self.secret = secret
        self.driver = driver
        self.loop = loop
        driver.delegate = self
    }

    /// Goes on with a session of another process.
    init(thawing frozen: FrozenPeer, secret: SessionSecret, driver: SessionDriver, lane: GossipLane, loop: ServerLoop) {
        self.id = frozen.session
        self.server = frozen.server
        self.instance = frozen.instance
        self.secret = secret
        self.driver = driver
        self.lane = lane
        self.loop = loop
        driver.delegate = self
    }

    /// For the next process.
    func frozen(loop: Int) -> FrozenPeer {
        FrozenPeer(server: self.server, instance: self.instance, session: self.id, secret: self.secret.reveal(), loop: loop)
    }

    var frozenLane: GossipLane.Frozen { self.lane.freeze() }

    /// Whether its link was heard of lately.
    var isReachable: Bool {
        let state = self.driver.snapshot()
        return state.isAttached && !state.isSuspect
    }

    /// A message of the cluster, for a peer that this server cannot reach by itself.
    func send(_ message: ByteBuffer) { _ = self.driver.gossip(message, by: &self.lane) }

    func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        self.loop.serveRelayed(id, of: session, open, from: self.server)
    }

    func session(_ session: SessionDriver, received message: ControlMessage) {
        guard case .gossip(let gossip) = message, let whole = session.take(gossip, by: &self.lane) else { return }
        self.loop.context.cluster.received(whole, from: self.server)
    }

    func session(_ session: SessionDriver, lostLink cause: LinkLoss) {}

    func session(_ session: SessionDriver, ended end: SessionEnd) { self.loop.forget(self) }
}
