import NIOCore
import NIOPosix

/// A TCP proxy between client and server that breaks what passes through it, on demand or after a count of bytes.
final class BreakableProxy: Sendable {
    /// How a connection breaks.
    enum Break: Sendable, CaseIterable {
        /// RST to both ends.
        case reset
        /// FIN to both ends; what they still send is dropped.
        case finish
        /// Nothing at all: from now on every byte vanishes, and neither end is told.
        case silence
    }

    enum Direction: Sendable, CaseIterable {
        case toServer, toClient
    }

    /// What has passed and broken so far.
    struct Counts: Sendable, Equatable {
        var connections = 0
        var breaks = 0
        var toServer = 0
        var toClient = 0
    }

    let port: Int
    private let listener: any Channel
    private let state: NIOLoopBound<ProxyState>
    private let loop: any EventLoop

    private init(port: Int, listener: any Channel, state: NIOLoopBound<ProxyState>, loop: any EventLoop) {
        self.port = port
        self.listener = listener
        self.state = state
        self.loop = loop
    }

    /// Listens on a port of 127.0.0.1 and passes connections on to `server`, another one.
    static func start(to server: Int) async throws -> BreakableProxy {
        let loop = testLoops.next()
        let port = try FreePorts.one()
        let state = try await loop.submit { NIOLoopBound(ProxyState(server: server), eventLoop: loop) }.get()
        let listener = try await ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                state.value.accept(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: port).get()
        return BreakableProxy(port: port, listener: listener, state: state, loop: loop)
    }

    /// Breaks every connection that stands.
    func breakAll(_ how: Break) async throws { try await self.onLoop { $0.breakAll(how) } }

    /// Breaks the connection that carries the `count`-th byte from now in that direction, right after this byte.
    func breakAfter(_ count: Int, _ direction: Direction, _ how: Break) async throws {
        try await self.onLoop { $0.fuse = .init(left: count, direction: direction, how: how) }
    }

    /// Passes nothing on and accepts nothing until `heal()`; no byte is lost, as with a network that is away for a while.
    func pause() async throws { try await self.onLoop { $0.setPaused(true) } }

    func heal() async throws { try await self.onLoop { $0.setPaused(false) } }

    /// Refuses new connections (accepts and resets them) until told otherwise.
    func refuse(_ isRefusing: Bool) async throws { try await self.onLoop { $0.isRefusing = isRefusing } }

    var counts: Counts { get async throws { try await self.onLoop { $0.counts } } }

    func stop() async {
        try? await self.listener.close()
        try? await self.breakAll(.reset)
    }

    private func onLoop<Value: Sendable>(_ body: @escaping @Sendable (ProxyState) -> Value) async throws -> Value {
        let state = self.state
        return try await self.loop.submit { body(state.value) }.get()
    }
}

/// Bound to the proxy's loop.
private final class ProxyState {
    struct Fuse {
        var left: Int
        var direction: BreakableProxy.Direction
        var how: BreakableProxy.Break
    }

    var counts = BreakableProxy.Counts()
    var fuse: Fuse?
    var isRefusing = false
    private(set) var isPaused = false
    private let server: Int
    private var pairs: [ObjectIdentifier: ProxyPair] = [:]

    init(server: Int) { self.server = server }

    func accept(_ channel: any Channel) {
        let pair = ProxyPair(state: self)
        self.pairs[ObjectIdentifier(pair)] = pair
        self.counts.connections += 1
        do {
            try channel.pipeline.syncOperations.addHandler(ProxyLeg(pair, .toServer))
        } catch {
            return channel.close(promise: nil)
        }
        let bound = NIOLoopBound(pair, eventLoop: channel.eventLoop)
        if self.isRefusing { return channel.eventLoop.execute { bound.value.cut(.reset) } }
        let leg = NIOLoopBound(ProxyLeg(pair, .toClient), eventLoop: channel.eventLoop)
        ClientBootstrap(group: channel.eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { other in
                other.eventLoop.makeCompletedFuture { try other.pipeline.syncOperations.addHandler(leg.value) }
            }
            .connect(host: "127.0.0.1", port: self.server)
            .whenComplete { result in
                if case .failure = result { bound.value.cut(.reset) } else { bound.value.readAgain() }
            }
    }

    func breakAll(_ how: BreakableProxy.Break) {
        for pair in Array(self.pairs.values) where !pair.isBroken {
            self.counts.breaks += 1
            pair.cut(how)
        }
    }

    func setPaused(_ isPaused: Bool) {
        self.isPaused = isPaused
        if !isPaused { for pair in Array(self.pairs.values) { pair.readAgain() } }
    }

    func forget(_ pair: ProxyPair) { self.pairs[ObjectIdentifier(pair)] = nil }

    /// How many of `count` bytes may pass, and what happens after them.
    func pass(_ count: Int, _ direction: BreakableProxy.Direction) -> (count: Int, BreakableProxy.Break?) {
        guard var fuse = self.fuse, fuse.direction == direction else { return self.counted(count, direction, nil) }
        guard fuse.left <= count else {
            fuse.left -= count
            self.fuse = fuse
            return self.counted(count, direction, nil)
        }
        self.fuse = nil
        self.counts.breaks += 1
        return self.counted(fuse.left, direction, fuse.how)
    }

    private func counted(
        _ count: Int, _ direction: BreakableProxy.Direction, _ how: BreakableProxy.Break?
    ) -> (Int, BreakableProxy.Break?) {
        if direction == .toServer { self.counts.toServer += count } else { self.counts.toClient += count }
        return (count, how)
    }
}

/// One connection through the proxy: the leg to the client and the leg to the server.
private final class ProxyPair {
    let state: ProxyState
    private(set) var isBroken = false
    private(set) var isSilent = false
    private var legs: [ProxyLeg] = []

    init(state: ProxyState) { self.state = state }

    func add(_ leg: ProxyLeg) { self.legs.append(leg) }

    func other(_ leg: ProxyLeg) -> ProxyLeg? { self.legs.first { $0 !== leg } }

    /// Whether bytes may be read: both legs stand and nothing holds them back.
    var isPassing: Bool { self.isSilent || self.legs.count == 2 && !self.state.isPaused }

    func readAgain() { for leg in self.legs { leg.context?.channel.read() } }

    func cut(_ how: BreakableProxy.Break) {
        self.isBroken = true
        if how == .silence {
            self.isSilent = true
            return self.readAgain()
        }
        if how == .finish { self.isSilent = true }
        for leg in self.legs { leg.cut(how) }
        if how == .reset { self.state.forget(self) }
    }

    func ended(_ leg: ProxyLeg) {
        self.legs.removeAll { $0 === leg }
        if self.isSilent {
            if self.legs.isEmpty { self.state.forget(self) }
        } else {
            self.isBroken = true
            for other in self.legs { other.cut(leg.hasFinished ? .finish : .reset) }
            self.state.forget(self)
        }
    }
}

/// One of the two sockets. Reads for `direction`, writes what the other one reads.
private final class ProxyLeg: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private let pair: ProxyPair
    private let direction: BreakableProxy.Direction
    private(set) var context: ChannelHandlerContext?
    private(set) var hasFinished = false

    init(_ pair: ProxyPair, _ direction: BreakableProxy.Direction) {
        self.pair = pair
        self.direction = direction
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.pair.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func read(context: ChannelHandlerContext) {
        let isTaken = self.pair.other(self)?.context?.channel.isWritable ?? false
        if self.pair.isSilent || self.pair.isPassing && isTaken { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        guard !self.pair.isSilent, let other = self.pair.other(self)?.context else { return }
        let (count, how) = self.pair.state.pass(bytes.readableBytes, self.direction)
        if let part = bytes.readSlice(length: count) { other.writeAndFlush(NIOAny(part), promise: nil) }
        if let how { self.pair.cut(how) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.channel.read() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.pair.other(self)?.context?.channel.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event as? ChannelEvent == .inputClosed else { return }
        self.hasFinished = true
        if self.pair.isSilent {
            context.close(promise: nil)
        } else {
            self.pair.other(self)?.context?.close(mode: .output, promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { self.pair.ended(self) }

    func cut(_ how: BreakableProxy.Break) {
        guard let context = self.context else { return }
        switch how {
        case .finish: context.close(mode: .output, promise: nil)
        case .silence: break
        case .reset:
            context.channel.resetOnClose()
            context.close(promise: nil)
        }
    }
}
