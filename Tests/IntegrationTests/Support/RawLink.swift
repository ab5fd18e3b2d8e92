import Identity
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TunnelWire

/// One TLS connection to a server's link port that says what a test wants, not what a client would.
final class RawLink: Sendable {
    private let channel: any Channel
    private let collector: NIOLoopBound<FrameCollector>
    let certificate: CertificateFingerprint

    private init(_ channel: any Channel, _ collector: NIOLoopBound<FrameCollector>, _ certificate: CertificateFingerprint) {
        self.channel = channel
        self.collector = collector
        self.certificate = certificate
    }

    static func connect(port: Int) async throws -> RawLink {
        let context = try Self.context()
        let box = SeenBox()
        let channel = try await ClientBootstrap(group: testLoops)
            .connectTimeout(.seconds(5))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try NIOSSLClientHandler(
                        context: context, serverHostname: nil,
                        customVerificationCallback: { chain, promise in
                            box.set(chain.first.flatMap { try? $0.toDERBytes() }.map { CertificateFingerprint(ofDER: $0) })
                            promise.succeed(.certificateVerified)
                        })
                    try channel.pipeline.syncOperations.addHandlers([tls, FrameCollector()])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let collector = try await channel.eventLoop.submit {
            NIOLoopBound(try channel.pipeline.syncOperations.handler(type: FrameCollector.self), eventLoop: channel.eventLoop)
        }.get()
        let certificate = try await eventually("the server's certificate") { box.value }
        return RawLink(channel, collector, certificate)
    }

    private static func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = ["gotunnel/1"]
        return try NIOSSLContext(configuration: configuration)
    }

    func send(_ bytes: ByteBuffer) async throws { try await self.channel.writeAndFlush(bytes) }

    /// The next frame as it came.
    func frame(within limit: Duration = .seconds(10)) async throws -> DecodedFrame {
        let collector = self.collector
        let loop = self.channel.eventLoop
        return try await eventually("a frame of the server", within: limit) {
            try await loop.submit { try collector.value.next() }.get()
        }
    }

    func isClosed(within limit: Duration = .seconds(10)) async throws -> Bool {
        let channel = self.channel
        try await eventually("the server to close the link", within: limit) { channel.isActive ? nil : true }
        return true
    }

    func close() async { try? await self.channel.close() }

    /// The handshake of a client up to its proof: HELLO, the server's HELLO, PROOF. Returns what the server said.
    func introduce(_ hello: Hello, key: AuthenticationKey) async throws -> Hello {
        try await self.send(hello.frame())
        guard case .frame(let header, var payload) = try await self.frame(), header.type == .hello else {
            throw Unmet("expected the server's HELLO")
        }
        let bytes = Array(payload.readableBytesView)
        let server = try Hello(reading: &payload)
        let transcript = HandshakeTranscript(
            tokenID: hello.tokenID, dialerHello: hello.payload().readableBytesView, acceptorHello: bytes,
            certificate: self.certificate)
        try await self.send(Proof(link: transcript.proof(for: .dialer, key: key).bytes).frame())
        return server
    }
}

/// The certificate that the verification callback saw.
private final class SeenBox: Sendable {
    private let content = Mutex<CertificateFingerprint?>(nil)

    var value: CertificateFingerprint? { self.content.withLock { $0 } }

    func set(_ value: CertificateFingerprint?) { self.content.withLock { $0 = value } }
}

private final class FrameCollector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var decoder = FrameDecoder()
    private var unread = ByteBuffer()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.unread.writeBuffer(&bytes)
    }

    func next() throws -> DecodedFrame? {
        if let frame = try self.decoder.next() { return frame }
        guard self.unread.readableBytes > 0 else { return nil }
        self.decoder.feed(self.unread)
        self.unread = ByteBuffer()
        return try self.decoder.next()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
