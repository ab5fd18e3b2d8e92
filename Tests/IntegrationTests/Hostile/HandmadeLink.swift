import Identity
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import TunnelTransport
import TunnelWire

/// One end of a link spoken by hand, so that it can say what no honest program would.
///
/// TLS and the frame decoder are real; every frame is sent because the test says so.
final class HandmadeLink: Sendable {
    let channel: any Channel
    private let inbox: LinkInbox

    init(channel: any Channel, inbox: LinkInbox) {
        self.channel = channel
        self.inbox = inbox
    }

    /// What a dialer shows of itself in the TLS greeting.
    struct Greeting: Sendable {
        var hostName: String? = "p0.gotunnel"
        var protocols = ["gotunnel/1"]
        var newestTLS: TLSVersion?
        /// The loopback address to connect from.
        var source: String?
    }

    static func dial(port: Int, greeting: Greeting = Greeting()) async throws -> HandmadeLink {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = greeting.protocols
        configuration.maximumTLSVersion = greeting.newestTLS
        let tls = try NIOSSLContext(configuration: configuration)
        let inbox = LinkInbox()
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try NIOSSLClientHandler(
                        context: tls, serverHostname: greeting.hostName,
                        customVerificationCallback: { chain, promise in
                            inbox.saw(certificate: chain.first)
                            promise.succeed(.certificateVerified)
                        })
                    try channel.pipeline.syncOperations.addHandlers(handler, InboxHandler(inbox))
                }
            }
        if let source = greeting.source { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: source, port: 0)) }
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        return HandmadeLink(channel: channel, inbox: inbox)
    }

    // MARK: What came

    /// SHA-256 of the leaf that the server showed; nil before the TLS handshake is done.
    var certificate: CertificateFingerprint? { self.inbox.read { $0.certificate } }
    var dataBytes: Int { self.inbox.read { $0.dataBytes } }
    var isOver: Bool { self.inbox.read { $0.isOver } }
    var trouble: String? { self.inbox.read { $0.trouble } }

    func waitForTLS() async throws {
        try await eventually("a TLS handshake") {
            if let trouble = self.trouble { throw Unmet(trouble) }
            return self.inbox.read { $0.isSecure } ? true : nil
        }
    }

    /// The next frame that is not DATA; nil when the link is over.
    func nextFrame(within limit: Duration = .seconds(10)) async throws -> (header: FrameHeader, payload: ByteBuffer)? {
        try await eventually("a frame or the end of the link", within: limit, every: .milliseconds(2)) {
            if let frame = self.inbox.take() { return .some(.some(frame)) }
            return self.isOver ? .some(nil) : nil
        }
    }

    /// The next frame of one type; others are dropped.
    func next(_ type: FrameType, within limit: Duration = .seconds(10)) async throws -> ByteBuffer {
        while let (header, payload) = try await self.nextFrame(within: limit) {
            if header.type == type { return payload }
            if header.type == .close { throw LinkClosed(close: try Self.close(payload)) }
        }
        throw LinkClosed(close: nil)
    }

    /// The CLOSE with which the other end ended the link; nil when it ended without one.
    func waitForClose(within limit: Duration = .seconds(15)) async throws -> Close? {
        while let (header, payload) = try await self.nextFrame(within: limit) {
            if header.type == .close { return try Self.close(payload) }
        }
        return nil
    }

    func waitForEnd(within limit: Duration = .seconds(15)) async throws {
        try await eventually("the end of the link", within: limit, isTrue: { self.isOver })
    }

    private static func close(_ payload: ByteBuffer) throws -> Close {
        var payload = payload
        return try Close(reading: &payload)
    }

    // MARK: What is sent

    func send(_ bytes: ByteBuffer) async throws { try await self.channel.writeAndFlush(bytes) }

    func send(_ frame: some WirePayload, stream: StreamID = 0) async throws { try await self.send(frame.frame(stream: stream)) }

    /// A frame that may break every rule: `length` need not be the payload's.
    func send(raw type: FrameType, stream: StreamID = 0, length: Int? = nil, payload: [UInt8] = []) async throws {
        try await self.send(Self.raw(type, stream: stream, length: length, payload: payload))
    }

    static func raw(_ type: FrameType, stream: StreamID = 0, length: Int? = nil, payload: [UInt8] = []) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(FrameHeader(stream: stream, type: type, length: length ?? payload.count).packed)
        buffer.writeBytes(payload)
        return buffer
    }

    /// While off, nothing is taken from the socket.
    func setReading(_ isOn: Bool) async throws { try await self.channel.setOption(.autoRead, value: isOn).get() }

    func close() async { try? await self.channel.close() }
}

/// The other end closed the link while something else was expected.
struct LinkClosed: Error, CustomStringConvertible {
    let close: Close?
    var description: String { self.close.map { "closed: \($0.code) \($0.reason)" } ?? "the link ended without a CLOSE" }
}

/// What has arrived on a link spoken by hand.
final class LinkInbox: Sendable {
    struct Content {
        var isSecure = false
        var certificate: CertificateFingerprint?
        var frames: [(header: FrameHeader, payload: ByteBuffer)] = []
        var dataBytes = 0
        var isOver = false
        var trouble: String?
    }

    private let content = Mutex(Content())

    func read<Value: Sendable>(_ body: (Content) -> Value) -> Value { self.content.withLock { body($0) } }

    func take() -> (header: FrameHeader, payload: ByteBuffer)? {
        self.content.withLock { $0.frames.isEmpty ? nil : $0.frames.removeFirst() }
    }

    func saw(certificate: NIOSSLCertificate?) {
        let der = (try? certificate?.toDERBytes()) ?? []
        self.content.withLock { $0.certificate = CertificateFingerprint(ofDER: der) }
    }

    fileprivate func change(_ body: (inout Content) -> Void) { self.content.withLock { body(&$0) } }
}

/// Fills the inbox. DATA is counted, not kept; of other frames the first 10 000 are.
final class InboxHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let inbox: LinkInbox
    private var decoder = FrameDecoder()

    init(_ inbox: LinkInbox) { self.inbox = inbox }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { self.inbox.change { $0.isSecure = true } }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.decoder.feed(self.unwrapInboundIn(data))
        do {
            while let frame = try self.decoder.next() {
                self.inbox.change { content in
                    switch frame {
                    case .data(_, let bytes): content.dataBytes += bytes.readableBytes
                    case .frame(let header, let payload):
                        if content.frames.count < 10_000 || header.type == .close { content.frames.append((header, payload)) }
                    }
                }
            }
        } catch {
            self.inbox.change { $0.trouble = "\(error)" }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.inbox.change { $0.trouble = $0.trouble ?? "\(error)" }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.inbox.change { $0.isOver = true }
        context.fireChannelInactive()
    }
}
