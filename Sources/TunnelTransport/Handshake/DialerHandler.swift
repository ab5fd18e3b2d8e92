import Identity
import NIOCore
import NIOSSL
import NIOTLS
import TunnelWire

/// A link that stands: authenticated, ready to carry a session.
package struct DialedLink {
    let link: LinkHandler
    /// Bytes that came behind the handshake.
    let unread: ByteBuffer
    /// What this end told the server to have received of the session.
    let received: UInt64
    /// The server that answered.
    package let peer: Hello
    package let welcome: Welcome
    package let remoteAddress: String
}

/// Drives the dialer's handshake on one connection, then makes way for a `LinkHandler`.
final class DialerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Setup {
        var party: LocalParty
        var credential: DialerCredential
        var pins: CertificatePins
        var ticket: ResumeTicket?
        var received: UInt64
        /// How long the handshake may take from the moment the connection stands.
        var limit: TimeAmount
        var purpose = LinkPurpose.client
        /// Nil when the server that answers is wanted, else what it is told.
        var vet: NIOLoopBound<(Hello) -> Close?>
    }

    private let setup: Setup
    private let seen: SeenCertificate
    private var decoder = FrameDecoder(isHandshake: true)
    private var handshake: DialerHandshake?
    private var completion: ((Result<DialedLink, HandshakeError>) -> Void)?
    private var failure: HandshakeError?
    private var isOver = false
    private var timer: Scheduled<Void>?

    init(setup: Setup, seen: SeenCertificate) {
        self.setup = setup
        self.seen = seen
    }

    /// The connection is the one that is wanted: of several to the addresses of one name, the first that stood.
    /// `completion` is called once.
    func whenDone(_ completion: @escaping (Result<DialedLink, HandshakeError>) -> Void) {
        if let failure = self.failure { return completion(.failure(failure)) }
        self.completion = completion
    }

    func channelActive(context: ChannelHandlerContext) {
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.setup.limit) {
            self.fail(context, HandshakeError(.timeout, "no answer within \(self.setup.limit.text)"))
        }
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.timer?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? TLSUserEvent, case .handshakeCompleted(let agreed) = event else {
            return context.fireUserInboundEventTriggered(event)
        }
        guard agreed == TLSContext.applicationProtocol, let fingerprint = self.seen.value.fingerprint else {
            return self.fail(context, HandshakeError(.tls, "no gotunnel server answers there"))
        }
        guard self.setup.pins.accept(fingerprint) else {
            let reason = "the server's certificate (sha256:\(fingerprint)) is not among server_pins"
            return self.fail(context, HandshakeError(.authentication, reason))
        }
        guard self.isServerVouchedFor else {
            let reason = "nothing vouches for the server: with certificates, set the authorities to trust or server_pins"
            return self.fail(context, HandshakeError(.authentication, reason))
        }
        var rng = SystemRandomNumberGenerator()
        let handshake = DialerHandshake(
            party: self.setup.party, credential: self.setup.credential, certificate: fingerprint,
            serverCertificate: self.seen.value.identity, ticket: self.setup.ticket, received: self.setup.received,
            nonce: rng.nonce(), isControlLink: self.setup.purpose == .peerControl)
        self.handshake = handshake
        context.writeAndFlush(self.wrapOutboundOut(handshake.start()), promise: nil)
    }

    /// A token is proved by both ends; without one, only the TLS handshake can say who the server is.
    private var isServerVouchedFor: Bool {
        guard case .certificate = self.setup.credential else { return true }
        return self.seen.value.identity != nil || !self.setup.pins.fingerprints.isEmpty
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isOver else { return }
        self.decoder.feed(self.unwrapInboundIn(data))
        do {
            while !self.isOver, let frame = try self.decoder.next() {
                switch try self.handshake?.receive(frame) {
                case .done(let result): try self.finish(context, result)
                case .meet(let peer):
                    if let farewell = self.setup.vet.value(peer) { throw HandshakeError.objection(farewell) }
                    if let proof = try self.handshake?.prove() {
                        context.writeAndFlush(self.wrapOutboundOut(proof), promise: nil)
                    }
                case .wait, nil: break
                }
            }
        } catch let error as HandshakeError {
            self.fail(context, error)
        } catch let error as WireError {
            self.fail(context, .malformed(error))
        } catch {
            self.fail(context, HandshakeError(.malformed, String(describing: error)))
        }
    }

    private func finish(_ context: ChannelHandlerContext, _ result: DialerHandshake.Result) throws {
        self.isOver = true
        self.timer?.cancel()
        let link = LinkHandler(allocator: context.channel.allocator)
        try context.pipeline.syncOperations.addHandler(link, position: .after(self))
        let dialed = DialedLink(
            link: link, unread: self.decoder.takeUnread(), received: self.setup.received, peer: result.peer,
            welcome: result.welcome, remoteAddress: context.addressText)
        self.completion.take()?(.success(dialed))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func fail(_ context: ChannelHandlerContext, _ error: HandshakeError) {
        guard !self.isOver else { return }
        self.isOver = true
        self.failure = error
        self.timer?.cancel()
        if let farewell = error.farewell, self.handshake != nil {
            context.writeAndFlush(self.wrapOutboundOut(farewell.frame()), promise: nil)
        }
        context.close(promise: nil)
        self.completion.take()?(.failure(error))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let refusal = self.seen.value.refusal {
            self.fail(context, HandshakeError(.authentication, refusal.description))
        } else if LinkError.refusesCertificate(error) {
            var refusal = HandshakeError(.authentication, "the server does not accept this end's certificate")
            refusal.isAlert = true
            self.fail(context, refusal)
        } else if self.handshake == nil {
            self.fail(context, HandshakeError(.tls, "no TLS 1.3 handshake with a gotunnel server: \(LinkError.text(error))"))
        } else {
            self.fail(
                context, HandshakeError(.disconnected, "the connection broke during the handshake: \(LinkError.text(error))"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.fail(context, HandshakeError(.disconnected, "the server closed the connection during the handshake"))
        context.fireChannelInactive()
    }
}
