import Identity
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL

@testable import TunnelTransport

/// Ends the TLS of a client, begins another towards the server, and keeps everything that passes in the clear.
///
/// With a certificate of its own it is the man in the middle; with the server's own certificate and key it is a tap, which
/// nobody can notice.
final class TLSRelay: Sendable {
    fileprivate struct State {
        var up: [UInt8] = []
        var down: [UInt8] = []
    }

    private let channel: any Channel
    private let state: RelayState

    fileprivate typealias RelayState = NIOLockedValueBox<State>

    var port: Int { self.channel.localAddress?.port ?? 0 }
    /// What clients said.
    var up: [UInt8] { self.state.withLockedValue { $0.up } }
    /// What the server said.
    var down: [UInt8] { self.state.withLockedValue { $0.down } }

    static func start(
        certificate: ServerCertificate, target: Int, serverName: String, group: MultiThreadedEventLoopGroup
    ) async throws -> TLSRelay {
        var server = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.certificatePEM.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(certificate.keyPEM.utf8), format: .pem)))
        server.applicationProtocols = [TLSContext.applicationProtocol]
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateVerification = .none
        client.applicationProtocols = [TLSContext.applicationProtocol]
        let (near, far, state) = (
            try NIOSSLContext(configuration: server), try NIOSSLContext(configuration: client), RelayState(State())
        )
        let loop = group.next()
        let channel = try await ServerBootstrap(group: loop, childGroup: loop)
            .childChannelInitializer { channel in
                ClientBootstrap(group: loop)
                    .channelInitializer { upstream in
                        upstream.eventLoop.makeCompletedFuture {
                            try upstream.pipeline.syncOperations.addHandlers(
                                NIOSSLClientHandler(context: far, serverHostname: serverName),
                                PassHandler(other: channel) { bytes in state.withLockedValue { $0.down += bytes } })
                        }
                    }
                    .connect(host: "127.0.0.1", port: target)
                    .flatMapThrowing { upstream in
                        try channel.pipeline.syncOperations.addHandlers(
                            NIOSSLServerHandler(context: near),
                            PassHandler(other: upstream) { bytes in state.withLockedValue { $0.up += bytes } })
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return TLSRelay(channel: channel, state: state)
    }

    private init(channel: any Channel, state: RelayState) {
        self.channel = channel
        self.state = state
    }

    func stop() async throws { try await self.channel.close() }
}

private final class PassHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let note: ([UInt8]) -> Void

    init(other: any Channel, note: @escaping ([UInt8]) -> Void) {
        self.other = other
        self.note = note
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        self.note(Array(bytes.readableBytesView))
        self.other.writeAndFlush(bytes, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { self.other.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
