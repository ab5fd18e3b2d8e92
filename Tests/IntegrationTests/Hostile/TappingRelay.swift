import Identity
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TunnelTransport

/// Stands between a client and a server, speaks TLS with each, and reads along.
///
/// With a certificate of its own it is a man in the middle; with the server's own certificate and key it is a tap, through which
/// the handshake succeeds.
final class TappingRelay: Sendable {
    private let serverPort: Int
    private let hostName: String
    private let tapped = Mutex(Tapped())
    private let inner: NIOSSLContext
    private let outer: NIOSSLContext

    /// What went through, decrypted.
    struct Tapped: Sendable {
        var fromClient: [UInt8] = []
        var fromServer: [UInt8] = []
        var connections = 0

        func contains(_ text: String) -> Bool { self.fromClient.holds(text) || self.fromServer.holds(text) }
    }

    var content: Tapped { self.tapped.withLock { $0 } }

    private init(certificate: ServerCertificate, serverPort: Int, client: String) throws {
        self.serverPort = serverPort
        self.hostName = Placement.hostName(client: client)
        self.inner = try NIOSSLContext(configuration: try .acceptor(certificate))
        var dialer = TLSConfiguration.makeClientConfiguration()
        dialer.certificateVerification = .none
        dialer.applicationProtocols = ["gotunnel/1"]
        self.outer = try NIOSSLContext(configuration: dialer)
    }

    /// Relays between clients that dial the port given to `body` and the server on `serverPort`.
    static func with<Result>(
        certificate: ServerCertificate, serverPort: Int, client: String, isolation: isolated (any Actor)? = #isolation,
        _ body: (TappingRelay, _ port: Int) async throws -> Result
    ) async throws -> Result {
        let relay = try TappingRelay(certificate: certificate, serverPort: serverPort, client: client)
        let listener = try await relay.listen()
        do {
            let result = try await body(relay, listener.localAddress?.port ?? 0)
            try? await listener.close()
            return result
        } catch {
            try? await listener.close()
            throw error
        }
    }

    private func listen() async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                self.tapped.withLock { $0.connections += 1 }
                return ClientBootstrap(group: channel.eventLoop)
                    .channelInitializer { outside in
                        outside.eventLoop.makeCompletedFuture {
                            let tls = try NIOSSLClientHandler(context: self.outer, serverHostname: self.hostName)
                            let forward = ForwardHandler(to: channel) { bytes in self.note(bytes, \.fromServer) }
                            try outside.pipeline.syncOperations.addHandlers(tls, forward)
                        }
                    }
                    .connect(host: "127.0.0.1", port: self.serverPort)
                    .flatMapThrowing { outside in
                        let tls = NIOSSLServerHandler(context: self.inner)
                        let forward = ForwardHandler(to: outside) { bytes in self.note(bytes, \.fromClient) }
                        try channel.pipeline.syncOperations.addHandlers(tls, forward)
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// Keeps the first mebibyte of each direction: the handshake and what follows at once.
    private func note(_ bytes: ByteBuffer, _ direction: WritableKeyPath<Tapped, [UInt8]> & Sendable) {
        self.tapped.withLock { tapped in
            let room = (1 << 20) - tapped[keyPath: direction].count
            tapped[keyPath: direction].append(contentsOf: bytes.readableBytesView.prefix(max(0, room)))
        }
    }
}

/// Passes everything on to another channel of the same event loop.
private final class ForwardHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let note: (ByteBuffer) -> Void

    init(to other: any Channel, note: @escaping (ByteBuffer) -> Void) {
        self.other = other
        self.note = note
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        self.note(bytes)
        self.other.writeAndFlush(bytes, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { self.other.close(promise: nil) }
}

extension [UInt8] {
    /// Whether the text occurs anywhere.
    func holds(_ text: String) -> Bool {
        let wanted = Array(text.utf8)
        guard let first = wanted.first, self.count >= wanted.count else { return false }
        return self.indices.dropLast(wanted.count - 1).contains { index in
            self[index] == first && self[index..<(index + wanted.count)].elementsEqual(wanted)
        }
    }
}
