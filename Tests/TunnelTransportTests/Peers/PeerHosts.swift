import Identity
import NIOCore
import Timing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// What control links brought, for tests to look at.
struct ControlLogs: Sendable {
    let messages = Log<[UInt8]>()
    let ends = Log<PeerLinkEnd>()
    /// Names of the peers whose links were accepted, and whether that happened on the control plane's loop.
    let accepted = Log<String>()
    let isOnLoop = Log<Bool>()
}

/// The control plane of a test: keeps control links, dialled and accepted ones. Loop-bound.
final class TestControl: ControlHost, PeerLinkOwner {
    private let logs: ControlLogs
    private(set) var links: [PeerLink] = []
    var refuses = false
    private let loop: any EventLoop

    init(loop: any EventLoop, logs: ControlLogs) {
        self.loop = loop
        self.logs = logs
    }

    func control(link: PeerLink, from peer: AuthenticatedPeer) {
        self.logs.isOnLoop.add(self.loop.inEventLoop)
        guard !self.refuses else { return }
        self.logs.accepted.add(peer.hello.name)
        self.take(link)
    }

    func take(_ link: PeerLink) {
        self.links.append(link)
        link.start(self)
    }

    func link(_ link: PeerLink, received message: ByteBuffer) { self.logs.messages.add(Array(message.readableBytesView)) }

    func link(_ link: PeerLink, ended end: PeerLinkEnd) {
        self.links.removeAll { $0 === link }
        self.logs.ends.add(end)
    }

    func closeAll() {
        for link in self.links { link.close(Close(.shutdown, "the test is over")) }
        self.links = []
    }
}

/// The accepted data sessions of one loop. Loop-bound.
final class TestPeerHost: PeerHost {
    final class Entry: GossipTaker {
        let driver: SessionDriver
        let secret: SessionSecret
        let name: String
        var lane = GossipLane()
        let messages: Log<ByteBuffer>
        let ends: Log<SessionEnd>

        init(driver: SessionDriver, secret: SessionSecret, name: String, messages: Log<ByteBuffer>, ends: Log<SessionEnd>) {
            self.driver = driver
            self.secret = secret
            self.name = name
            self.messages = messages
            self.ends = ends
            driver.delegate = self
        }

        func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
            session.refuse(id, Refusal(.notHere, "peer \(open.source)"))
        }
        func session(_ session: SessionDriver, received message: ControlMessage) {
            guard case .gossip(let gossip) = message else { return }
            if let whole = session.take(gossip, by: &self.lane) { self.messages.add(whole) }
        }
        func session(_ session: SessionDriver, lostLink cause: LinkLoss) {}
        func session(_ session: SessionDriver, ended end: SessionEnd) { self.ends.add(end) }
        func send(_ message: ByteBuffer) -> Bool { self.driver.gossip(message, by: &self.lane) }
    }

    let index: Int
    let messages = Log<ByteBuffer>()
    let ends = Log<SessionEnd>()
    /// What was asked for: `began`, `resumed`, or why it was refused.
    let events = Log<String>()
    private(set) var sessions: [WireID: Entry] = [:]
    private let environment: TransportEnvironment
    private let instance: WireID
    var configuration = SessionConfiguration()

    init(index: Int, environment: TransportEnvironment, instance: WireID) {
        self.index = index
        self.environment = environment
        self.instance = instance
    }

    func session(for peer: AuthenticatedPeer) -> SessionDecision {
        if let resume = peer.hello.resume {
            guard resume.server == self.instance else {
                self.events.add("not me")
                return .refuse(Close(.notMe, "another instance"))
            }
            guard let entry = self.sessions[resume.session], !entry.driver.isEnded, peer.provesSession(entry.secret) else {
                self.events.add("unknown")
                return .refuse(Close(.unknownSession, "this server does not know the session"))
            }
            entry.driver.detachLink()
            self.events.add("resumed")
            return .resume(entry.driver, id: resume.session, secret: entry.secret)
        }
        var rng = SeededGenerator()
        let driver = SessionDriver(side: .acceptor, configuration: self.configuration, environment: self.environment)
        let entry = Entry(
            driver: driver, secret: .generate(using: &rng), name: peer.hello.name, messages: self.messages, ends: self.ends)
        let id = WireID.random(using: &rng)
        self.sessions[id] = entry
        self.events.add("began")
        return .begin(driver, id: id, secret: entry.secret)
    }

    func forgetAll() { self.sessions = [:] }

    func endAll() {
        for entry in self.sessions.values { entry.driver.end(.closedHere(.shutdown, "the test is over")) }
        self.sessions = [:]
    }
}

/// The dialling end of data sessions in a test. Loop-bound.
final class TestPeerOwner: PeerSessionOwner {
    enum Event: Sendable, Equatable {
        case began
        case linked
        case lost(LinkLoss)
        case ended(SessionEnd)
        case cannotDial(HandshakeFailure, isRefused: Bool)
        case asked(Destination)
    }

    let events = Log<Event>()
    let messages = Log<ByteBuffer>()

    func peerSession(_ session: PeerSession, began driver: SessionDriver) { self.events.add(.began) }
    func peerSessionLinked(_ session: PeerSession) { self.events.add(.linked) }
    func peerSession(_ session: PeerSession, lostLink cause: LinkLoss) { self.events.add(.lost(cause)) }
    func peerSession(_ session: PeerSession, ended end: SessionEnd) { self.events.add(.ended(end)) }
    func peerSession(_ session: PeerSession, cannotDial error: HandshakeError) {
        self.events.add(.cannotDial(error.failure, isRefused: error.isConnectionRefused))
    }
    func peerSession(_ session: PeerSession, asks id: StreamID, for open: Open, on driver: SessionDriver) {
        self.events.add(.asked(open.destination))
        driver.refuse(id, Refusal(.notHere, "a test"))
    }
    func peerSession(_ session: PeerSession, received message: ByteBuffer) { self.messages.add(message) }
    func peerSession(_ session: PeerSession, received control: ControlMessage) {}
}
