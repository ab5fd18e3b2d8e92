import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#endif

/// A TCP relay between client and server that breaks the connections it carries, at a byte and in a way that the test
/// chooses. Connections made after a cut pass again.
final class BreakableProxy: Sendable {
    enum Cut: Sendable, CaseIterable {
        /// Both sides get an RST.
        case reset
        /// Both sides get a FIN.
        case finish
        /// Nothing passes any more, and nobody is told.
        case silence
    }

    fileprivate struct State {
        var remaining: Int?
        var cut = Cut.reset
        var cuts = 0
        var passed = 0
        var isDown = false
        var live: [ObjectIdentifier: Relay] = [:]
    }

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let state: StateBox
    let port: Int

    /// What the relays of one proxy share.
    fileprivate typealias StateBox = NIOLockedValueBox<State>

    /// Relays to `127.0.0.1:target`, from the loopback address `source`.
    static func start(
        target: Int, group: MultiThreadedEventLoopGroup, from source: String = "127.0.0.1"
    ) async throws -> BreakableProxy {
        let state = StateBox(State())
        // One loop for all relays, so that a cut falls between two bytes and not into the middle of a race.
        let loop = group.next()
        let channel = try await ServerBootstrap(group: loop, childGroup: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                if state.withLockedValue({ $0.isDown }) {
                    return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
                }
                return Relay.join(channel, target: target, from: source, state: state)
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return BreakableProxy(group: group, channel: channel, state: state)
    }

    private init(group: MultiThreadedEventLoopGroup, channel: any Channel, state: StateBox) {
        self.group = group
        self.channel = channel
        self.state = state
        self.port = channel.localAddress?.port ?? 0
    }

    /// After `bytes` more in either direction, the connections are cut.
    func cut(after bytes: Int, _ cut: Cut) {
        self.state.withLockedValue {
            $0.remaining = bytes
            $0.cut = cut
        }
    }

    /// Cuts what there is now.
    func cutNow(_ cut: Cut) {
        let relays = self.state.withLockedValue { state in
            state.cuts += 1
            return Array(state.live.values)
        }
        for relay in relays { relay.breakOff(cut) }
    }

    /// While down, new connections are reset.
    func setDown(_ isDown: Bool) { self.state.withLockedValue { $0.isDown = isDown } }

    var cuts: Int { self.state.withLockedValue { $0.cuts } }
    /// Whether the cut that was asked for last has happened.
    var isCutDone: Bool { self.state.withLockedValue { $0.remaining == nil } }
    var passed: Int { self.state.withLockedValue { $0.passed } }
    var connections: Int { self.state.withLockedValue { $0.live.count } }

    func stop() async throws {
        self.cutNow(.reset)
        try await self.channel.close()
    }
}

/// Two connections and the bytes between them. Bound to the proxy's loop, where every method hops to.
private final class Relay: @unchecked Sendable {
    private let state: BreakableProxy.StateBox
    private var channels: [any Channel] = []
    private var isBroken = false

    private init(state: BreakableProxy.StateBox) { self.state = state }

    static func join(
        _ near: any Channel, target: Int, from source: String, state: BreakableProxy.StateBox
    ) -> EventLoopFuture<Void> {
        let relay = Relay(state: state)
        guard let local = try? SocketAddress(ipAddress: source, port: 0) else {
            return near.eventLoop.makeFailedFuture(ChannelError.unknownLocalAddress)
        }
        return ClientBootstrap(group: near.eventLoop)
            .bind(to: local)
            .channelOption(.autoRead, value: false)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: "127.0.0.1", port: target)
            .flatMapThrowing { far in
                relay.channels = [near, far]
                state.withLockedValue { $0.live[ObjectIdentifier(relay)] = relay }
                try near.pipeline.syncOperations.addHandler(RelayHandler(relay: relay, other: far))
                try far.pipeline.syncOperations.addHandler(RelayHandler(relay: relay, other: near))
                far.read()
            }
    }

    /// Passes `bytes` on as far as they may go.
    func pass(_ bytes: ByteBuffer, to other: any Channel) -> EventLoopFuture<Void>? {
        guard !self.isBroken else { return nil }
        var bytes = bytes
        let (allowed, cut) = self.state.withLockedValue { state -> (Int, BreakableProxy.Cut?) in
            guard let remaining = state.remaining, remaining <= bytes.readableBytes else {
                state.remaining? -= bytes.readableBytes
                state.passed += bytes.readableBytes
                return (bytes.readableBytes, nil)
            }
            state.remaining = nil
            state.cuts += 1
            state.passed += remaining
            return (remaining, state.cut)
        }
        guard let cut else { return other.writeAndFlush(bytes) }
        if let part = bytes.readSlice(length: allowed) { other.writeAndFlush(part, promise: nil) }
        self.breakOff(cut)
        return nil
    }

    func breakOff(_ cut: BreakableProxy.Cut) {
        guard let loop = self.channels.first?.eventLoop else { return }
        guard loop.inEventLoop else { return loop.execute { self.breakOff(cut) } }
        guard !self.isBroken else {
            // A silent pair is still there; a second cut takes it away.
            if cut != .silence { self.close(cut) }
            return
        }
        self.isBroken = true
        if cut != .silence { self.close(cut) }
    }

    private func close(_ cut: BreakableProxy.Cut) {
        for channel in self.channels {
            if cut == .reset, let options = channel as? any SocketOptionProvider {
                _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            }
            channel.close(promise: nil)
        }
        self.forget()
    }

    func forget() { _ = self.state.withLockedValue { $0.live.removeValue(forKey: ObjectIdentifier(self)) } }

    /// One side closed by itself.
    func closed() {
        guard !self.isBroken else { return }
        self.isBroken = true
        self.close(.finish)
    }
}

private final class RelayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let relay: Relay
    private let other: any Channel

    init(relay: Relay, other: any Channel) {
        self.relay = relay
        self.other = other
    }

    func channelActive(context: ChannelHandlerContext) { context.read() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = context.channel
        self.relay.pass(self.unwrapInboundIn(data), to: self.other)?.assumeIsolated().whenSuccess { channel.read() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.relay.closed()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
