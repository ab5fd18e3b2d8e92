import Identity
import NIOCore
import NIOSSL
import NIOTLS
import TunnelWire

/// What a server does with a dialer that has proved who it is. One per event loop, bound to it.
package protocol LinkHost: AnyObject {
    /// Finds the session the peer asks for, or makes one.
    func session(for peer: AuthenticatedPeer) -> SessionDecision
}

/// Which session a new link carries.
package enum SessionDecision {
    /// Its old link, if it had one, is detached by now, so that the count of received bytes is final.
    case resume(SessionDriver, id: WireID, secret: SessionSecret)
    case begin(SessionDriver, id: WireID, secret: SessionSecret)
    case refuse(Close)
}

/// Told of every handshake that came to nothing. Called from event loops.
package protocol HandshakeObserver: Sendable {
    func handshakeFailed(_ error: HandshakeError, address: String)
}

/// What every connection to a server needs; the credentials are those of the moment it was accepted.
struct AcceptorSetup {
    var party: LocalParty
    var authenticator: Authenticator
    var certificate: CertificateFingerprint
    var place: AcceptorPlace
    var observer: any HandshakeObserver
    var metrics: TransportMetrics
}

/// What lives on the event loop to which the TLS greeting led.
enum AcceptorPlace {
    /// Sessions of clients and peers; the loop's index and how many there are, to check a client's placement.
    case loop(index: Int, count: Int, clients: any LinkHost, peers: (any PeerHost)?)
    /// Control links of peers.
    case control(any ControlHost, PeerPace)
}

/// Drives the acceptor's handshake on one connection, then makes way for a `LinkHandler`.
final class AcceptorHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let setup: AcceptorSetup
    private let seen: SeenCertificate
    private let deadline: HandshakeDeadline
    private var decoder = FrameDecoder(isHandshake: true)
    private var handshake: AcceptorHandshake?
    private var isOver = false

    init(setup: AcceptorSetup, seen: SeenCertificate, deadline: HandshakeDeadline) {
        self.setup = setup
        self.seen = seen
        self.deadline = deadline
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted(let agreed) = event {
            guard agreed == TLSContext.applicationProtocol else {
                return self.fail(context, HandshakeError(.tls, "the dialer does not speak \(TLSContext.applicationProtocol)"))
            }
            self.begin(context)
        } else if event is HandshakeDeadline.Expired {
            self.fail(context, HandshakeError(.timeout, "not authenticated within \(self.deadline.limitText)"))
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func begin(_ context: ChannelHandlerContext) {
        var rng = SystemRandomNumberGenerator()
        let handshake = AcceptorHandshake(
            party: self.setup.party, authenticator: self.setup.authenticator, certificate: self.setup.certificate,
            dialerCertificate: self.seen.value.identity, address: context.addressText, nonce: rng.nonce())
        self.handshake = handshake
        context.writeAndFlush(self.wrapOutboundOut(handshake.start()), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isOver else { return }
        self.decoder.feed(self.unwrapInboundIn(data))
        do {
            while !self.isOver, let frame = try self.decoder.next() {
                guard let step = try self.handshake?.receive(frame) else { return }
                if case .authenticated(let peer) = step { try self.welcome(context, peer) }
            }
        } catch let error as HandshakeError {
            self.fail(context, error)
        } catch let error as WireError {
            self.fail(context, .malformed(error))
        } catch {
            self.fail(context, HandshakeError(.malformed, String(describing: error)))
        }
    }

    private func welcome(_ context: ChannelHandlerContext, _ peer: AuthenticatedPeer) throws {
        switch self.setup.place {
        case .control(let host, let pace) where peer.hello.isControlLink:
            try self.hand(over: peer, to: host, pace, context)
        case .loop(_, _, _, let peers?) where peer.hello.role == .server && !peer.hello.isControlLink:
            try self.carry(peers.session(for: peer), of: peer, context)
        case .loop(let index, let count, let clients, _) where peer.hello.role == .client:
            guard Placement.loop(key: Placement.key(client: peer.hello.name), count: count) == index else {
                throw Self.misplaced("the TLS host name does not belong to the client name")
            }
            try self.carry(clients.session(for: peer), of: peer, context)
        default:
            throw Self.misplaced("the TLS host name does not belong to this kind of link")
        }
    }

    private static func misplaced(_ reason: String) -> HandshakeError {
        HandshakeError(.malformed, reason, farewell: Close(.misplaced, reason))
    }

    private func carry(_ decision: SessionDecision, of peer: AuthenticatedPeer, _ context: ChannelHandlerContext) throws {
        switch decision {
        case .refuse(let close):
            var error = HandshakeError.from(close)
            error.heard = nil
            error.farewell = close
            throw error
        case .resume(let driver, let id, let secret):
            let welcome = Welcome(session: id, secret: [], resumed: true, received: driver.received)
            try self.hand(over: driver, context, welcome, secret, peerReceived: peer.hello.resume?.received ?? 0)
        case .begin(let driver, let id, let secret):
            let welcome = Welcome(session: id, secret: secret.reveal(), resumed: false, received: 0)
            try self.hand(over: driver, context, welcome, secret, peerReceived: 0)
        }
    }

    private func hand(
        over driver: SessionDriver, _ context: ChannelHandlerContext, _ welcome: Welcome, _ secret: SessionSecret,
        peerReceived: UInt64
    ) throws {
        guard let link = try self.becomeLink(context, welcome, secret) else { return }
        do {
            try driver.attach(link, peerReceived: peerReceived, unread: self.decoder.takeUnread())
        } catch {
            // The count that the dialer claims to have received cannot be: it was authenticated, but goes no further.
            driver.end(.violation(error))
            return self.reject(context, .malformed(error))
        }
        self.setup.metrics.handshakes.increment()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func hand(
        over peer: AuthenticatedPeer, to host: any ControlHost, _ pace: PeerPace, _ context: ChannelHandlerContext
    ) throws {
        let welcome = Welcome(session: WireID(high: 0, low: 0), secret: [], resumed: false, received: 0)
        guard let handler = try self.becomeLink(context, welcome, nil) else { return }
        let link = PeerLink(
            handler, peer: peer.hello, isDialed: false, eventLoop: context.eventLoop, pace: pace,
            unread: self.decoder.takeUnread())
        self.setup.metrics.handshakes.increment()
        host.control(link: link, from: peer)
        link.closeUnlessStarted()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// The handshake is over: what the link carries comes behind the WELCOME.
    private func becomeLink(
        _ context: ChannelHandlerContext, _ welcome: Welcome, _ secret: SessionSecret?
    ) throws -> LinkHandler? {
        guard let frames = self.handshake?.welcome(welcome, secret: secret) else { return nil }
        self.isOver = true
        self.deadline.finish()
        // Whatever is written from now on comes behind this, and need not be anything.
        context.writeAndFlush(self.wrapOutboundOut(frames), promise: nil)
        let link = LinkHandler(allocator: context.channel.allocator)
        try context.pipeline.syncOperations.addHandler(link, position: .after(self))
        return link
    }

    private func fail(_ context: ChannelHandlerContext, _ error: HandshakeError) {
        guard !self.isOver else { return }
        self.isOver = true
        // The place in the gate is kept until the connection is closed: who does not answer TLS's good-bye keeps it open.
        self.deadline.stop()
        self.reject(context, error)
    }

    private func reject(_ context: ChannelHandlerContext, _ error: HandshakeError) {
        self.setup.metrics.rejected(error.failure)
        self.setup.observer.handshakeFailed(error, address: context.addressText)
        if let farewell = error.farewell {
            context.writeAndFlush(self.wrapOutboundOut(farewell.frame()), promise: nil)
        }
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let refusal = self.seen.value.refusal {
            self.fail(context, HandshakeError(.authentication, refusal.description))
        } else if self.handshake == nil {
            self.fail(context, HandshakeError(.tls, "no TLS 1.3 handshake: \(LinkError.text(error))"))
        } else {
            self.fail(
                context, HandshakeError(.disconnected, "the connection broke during the handshake: \(LinkError.text(error))"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.fail(context, HandshakeError(.disconnected, "the dialer went away during the handshake"))
        self.deadline.finish()
        context.fireChannelInactive()
    }
}

extension AcceptorHandler: RemovableChannelHandler {}

extension ChannelHandlerContext {
    /// The other end's address as text, for logs.
    var addressText: String { self.remoteAddress?.shortText ?? "unknown" }
}

extension SocketAddress {
    /// `192.0.2.1:17000` or `[2001:db8::1]:17000`.
    package var shortText: String {
        guard let ip = self.ipAddress, let port = self.port else { return "unix" }
        return ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }
}

extension RandomNumberGenerator {
    /// 32 fresh random bytes.
    mutating func nonce() -> [UInt8] { (0..<32).map { _ in UInt8.random(in: 0...255, using: &self) } }
}
