import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A TCP relay in front of a server's link port that resets all its connections when told to.
final class ResetRelay: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    private let channels: Channels
    let port: Int

    private final class Channels: Sendable {
        private let all = Mutex<[ObjectIdentifier: any Channel]>([:])

        func add(_ channel: any Channel) {
            self.all.withLock { $0[ObjectIdentifier(channel)] = channel }
            channel.closeFuture.whenComplete { _ in self.all.withLock { $0[ObjectIdentifier(channel)] = nil } }
        }

        var snapshot: [any Channel] { self.all.withLock { Array($0.values) } }
    }

    private init(group: MultiThreadedEventLoopGroup, listener: any Channel, channels: Channels) {
        self.group = group
        self.listener = listener
        self.channels = channels
        self.port = listener.localAddress?.port ?? 0
    }

    /// Listens on a free port of 127.0.0.1 and relays to `target` there.
    static func start(to target: Int) async throws -> ResetRelay {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channels = Channels()
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channels.add(channel)
                let (near, far) = RelayHandler.pair()
                return channel.pipeline.addHandler(near).flatMap {
                    ClientBootstrap(group: channel.eventLoop)
                        .channelOption(.autoRead, value: false)
                        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                        .channelInitializer { other in
                            channels.add(other)
                            return other.pipeline.addHandler(far)
                        }
                        .connect(host: "127.0.0.1", port: target)
                }.map { _ in }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ResetRelay(group: group, listener: listener, channels: channels)
    }

    /// RST to both ends of every connection.
    func resetAll() {
        let channels = self.channels.snapshot
        // All are told before the first is closed, because its end makes its partner close as well.
        for channel in channels {
            if let options = channel as? any SocketOptionProvider {
                _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            }
        }
        for channel in channels { channel.close(promise: nil) }
    }

    func stop() async {
        try? await self.listener.close().get()
        self.resetAll()
        try? await self.group.shutdownGracefully()
    }
}

/// One direction's reader and the other's writer; reads only while its partner takes bytes.
private final class RelayHandler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    // Both channels are on one event loop, where everything here happens.
    private weak var partner: RelayHandler?
    private var context: ChannelHandlerContext?

    static func pair() -> (RelayHandler, RelayHandler) {
        let (one, other) = (RelayHandler(), RelayHandler())
        (one.partner, other.partner) = (other, one)
        // The near end keeps the far end until its connection stands.
        one.keeps = other
        return (one, other)
    }

    private var keeps: RelayHandler?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.keeps = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        guard let partner = self.partner, partner.context?.channel.isActive == true else { return }
        context.read()
        partner.context?.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.partner?.context?.writeAndFlush(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.partner?.context?.channel.isWritable == true { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.partner?.context?.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        self.partner?.context?.close(promise: nil)
        self.context = nil
    }
}
