import NIOCore
import NIOPosix
import Testing

extension Integration.LoadTests {
    /// A thousand streams at once, each with a pattern of its own, while the link breaks.
    @Test("1 000 streams survive 20 cuts", .timeLimit(.minutes(5)))
    func manyStreams() async throws {
        let (count, each) = (1_000, isLongRun ? 512 << 10 : 64 << 10)
        let echo = try await TestServer.echo()
        let setup = TunnelSetup(
            services: ["echo": echo.port], exposures: ["back": echo.port], client: "heartbeat_timeout: 500ms", hasProxy: true)
        try await TunnelPair.with(setup) { pair in
            guard let proxy = pair.proxy else { throw Unmet("expected a proxy") }
            let ports = [try pair.forward("echo"), try pair.exposure("back")]
            let loops = MultiThreadedEventLoopGroup.singleton
            let start = ContinuousClock.now
            var streams: [EventLoopFuture<Int>] = []
            var channels: [any Channel] = []
            for number in 0..<count {
                let done = loops.next().makePromise(of: Int.self)
                let channel = try await ClientBootstrap(group: done.futureResult.eventLoop)
                    .channelOption(.allowRemoteHalfClosure, value: true)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let handler = PatternHandler(seed: UInt64(number), count: each, done: done)
                            try channel.pipeline.syncOperations.addHandler(handler)
                        }
                    }
                    .connect(host: "127.0.0.1", port: ports[number % 2]).get()
                channels.append(channel)
                streams.append(done.futureResult)
            }
            // A local connection stands before its stream has been opened at the server.
            let open = try await eventually("\(count) streams at the server") { () -> Int? in
                let open = try await pair.serverAdmin.status()["streams"].int
                if open != count { throw Unmet("the server has \(open ?? 0) streams") }
                return open
            }
            let cutter = LinkCutter(proxy: proxy, cuts: 20, volume: count * each, seed: 21)
            async let cut = cutter.run()
            for channel in channels { channel.triggerUserOutboundEvent(PatternHandler.Go(), promise: nil) }
            var returned = 0
            for stream in streams { returned += try await stream.get() }
            cutter.stop()
            let cuts = try await cut
            figure(
                "many streams: \(open) at once, \(returned >> 20) MiB there and back "
                    + "in \((ContinuousClock.now - start).seconds) s, "
                    + "\(cuts.all) cuts (\(cuts.byKind))")
            #expect(returned == count * each)
            #expect(cuts.all == 20)
            try await eventually("no stream is left") { try await pair.serverAdmin.status()["streams"].int == 0 ? true : nil }
        }
        await echo.stop()
    }
}

/// Sends a counted pattern when told to go and checks that it comes back.
final class PatternHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Go: Sendable {}

    private var outgoing: TestBytes
    private var expected: TestBytes
    private var pending = ByteBuffer()
    private let count: Int
    private var left: Int
    private var returned = 0
    private let done: EventLoopPromise<Int>

    private static let piece = 8_192

    init(seed: UInt64, count: Int, done: EventLoopPromise<Int>) {
        self.outgoing = TestBytes(seed: seed &* 2 &+ 1)
        self.expected = TestBytes(seed: seed &* 2 &+ 1)
        self.count = count
        self.left = count
        self.done = done
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        if event is Go { self.sendPiece(context) }
        promise?.succeed()
    }

    private func sendPiece(_ context: ChannelHandlerContext) {
        guard self.left > 0 else { return context.close(mode: .output, promise: nil) }
        let piece = self.outgoing.next(min(Self.piece, self.left))
        self.left -= piece.count
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: piece)), promise: nil)
    }

    /// A piece is checked when it is whole; then the next is sent.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.pending.writeBuffer(&bytes)
        let wanted = min(Self.piece, self.count - self.returned)
        guard self.pending.readableBytes >= wanted, let piece = self.pending.readBytes(length: wanted) else { return }
        self.pending.discardReadBytes()
        guard wanted > 0, piece == self.expected.next(wanted) else {
            self.done.fail(Unmet("the bytes from \(self.returned) on to be those that were sent"))
            return context.close(promise: nil)
        }
        self.returned += wanted
        self.sendPiece(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event as? ChannelEvent == .inputClosed else { return }
        self.done.succeed(self.returned)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.done.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        // Where the output was closed before, NIO does not report the end of the input but closes the channel. A reset is an
        // error, and was reported as one.
        if self.left == 0, self.returned == self.count { return self.done.succeed(self.returned) }
        self.done.fail(Unmet("an orderly end after \(self.count) bytes, not after \(self.returned)"))
    }
}
