import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import TunnelWire

@testable import TunnelTransport

/// A client that says whatever a test wants, over TLS or without, and keeps what it hears.
final class RawPeer: Sendable {
    fileprivate struct State {
        var received: [UInt8] = []
        var isSecured = false
        var isClosed = false
    }

    /// What a hostile or foreign TLS client would offer.
    struct Offer: Sendable {
        var protocols = [TLSContext.applicationProtocol]
        var maximum: TLSVersion?
        var serverName: String?
    }

    private let channel: any Channel
    private let state: PeerState

    fileprivate typealias PeerState = NIOLockedValueBox<State>

    /// - Parameter offer: nil for plain TCP.
    static func connect(port: Int, offer: Offer?, group: MultiThreadedEventLoopGroup) async throws -> RawPeer {
        let state = PeerState(State())
        let context = try offer.map { offer in
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .none
            configuration.applicationProtocols = offer.protocols
            configuration.maximumTLSVersion = offer.maximum
            return try NIOSSLContext(configuration: configuration)
        }
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        let tls = try NIOSSLClientHandler(context: context, serverHostname: offer?.serverName)
                        try channel.pipeline.syncOperations.addHandler(tls)
                    }
                    try channel.pipeline.syncOperations.addHandler(PeerHandler(state: state))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return RawPeer(channel: channel, state: state)
    }

    private init(channel: any Channel, state: PeerState) {
        self.channel = channel
        self.state = state
    }

    func send(_ bytes: [UInt8]) { self.channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
    func send(_ buffer: ByteBuffer) { self.channel.writeAndFlush(buffer, promise: nil) }
    func close() { self.channel.close(promise: nil) }

    var isClosed: Bool { self.state.withLockedValue { $0.isClosed } }
    var received: [UInt8] { self.state.withLockedValue { $0.received } }

    func waitSecured() async throws {
        try await eventually("TLS stands") { self.state.withLockedValue { $0.isSecured } }
    }

    func waitClosed() async throws { try await eventually("the server closes the connection") { self.isClosed } }

    /// The whole frames that came so far.
    func frames() throws -> [DecodedFrame] {
        var decoder = FrameDecoder()
        decoder.feed(ByteBuffer(bytes: self.received))
        var frames: [DecodedFrame] = []
        while let frame = try decoder.next() { frames.append(frame) }
        return frames
    }

    /// The frame number `index`, once it is there.
    func frame(_ index: Int) async throws -> DecodedFrame {
        try await eventually("frame \(index) arrives") { try self.frames().dropFirst(index).first }
    }

    /// The last CLOSE.
    func farewell() throws -> Close? {
        for frame in try self.frames().reversed() {
            if case .frame(let header, var payload) = frame, header.type == .close { return try Close(reading: &payload) }
        }
        return nil
    }
}

private final class PeerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let state: RawPeer.PeerState

    init(state: RawPeer.PeerState) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Array(self.unwrapInboundIn(data).readableBytesView)
        self.state.withLockedValue { $0.received += bytes }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent { self.state.withLockedValue { $0.isSecured = true } }
    }

    func channelInactive(context: ChannelHandlerContext) { self.state.withLockedValue { $0.isClosed = true } }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
