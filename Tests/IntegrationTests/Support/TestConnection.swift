import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#endif

/// The event loops of all test doubles.
let testLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

/// How the other end of a connection ended it.
enum Ending: Equatable, Sendable {
    /// FIN: an orderly end.
    case finished
    /// RST: the connection was cut.
    case reset
}

/// One TCP or Unix connection of a test: bytes are read only when asked for, so a test can also be the reader that does not read.
final class TestConnection: Sendable {
    let channel: any Channel
    private let handler: NIOLoopBound<ReadingHandler>

    fileprivate init(_ channel: any Channel, _ handler: NIOLoopBound<ReadingHandler>) {
        self.channel = channel
        self.handler = handler
    }

    /// Connects to a port of 127.0.0.1.
    static func connect(port: Int, receiveBuffer: Int? = nil) async throws -> TestConnection {
        try await connect(within: .seconds(10), receiveBuffer: receiveBuffer) { $0.connect(host: "127.0.0.1", port: port) }
    }

    static func connect(unix path: String) async throws -> TestConnection {
        try await connect(within: .seconds(10), receiveBuffer: nil) { $0.connect(unixDomainSocketPath: path) }
    }

    /// Connects, and says how the other end ends it without a byte; a reset may come before the connection is known to stand.
    static func fate(port: Int, within limit: TimeAmount = .seconds(10)) async throws -> Ending {
        let connection: TestConnection
        do {
            connection = try await connect(port: port)
        } catch {
            if "\(error)".contains("errno: \(ECONNRESET)") { return .reset }
            throw error
        }
        return try await connection.use { try await $0.ending(within: limit) }
    }

    private static func connect(
        within limit: TimeAmount, receiveBuffer: Int?, _ dial: (ClientBootstrap) -> EventLoopFuture<any Channel>
    ) async throws -> TestConnection {
        var bootstrap = ClientBootstrap(group: testLoops)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connectTimeout(limit)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(ReadingHandler()) }
            }
        if let receiveBuffer { bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: receiveBuffer) }
        return try await dial(bootstrap).flatMap(wrap).get()
    }

    fileprivate static func wrap(_ channel: any Channel) -> EventLoopFuture<TestConnection> {
        channel.eventLoop.submit {
            let handler = try channel.pipeline.syncOperations.handler(type: ReadingHandler.self)
            return TestConnection(channel, NIOLoopBound(handler, eventLoop: channel.eventLoop))
        }
    }

    /// Runs `body`, then closes the connection whatever happens.
    func use<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (TestConnection) async throws -> Result
    ) async throws -> Result {
        do {
            let result = try await body(self)
            try? await self.channel.close()
            return result
        } catch {
            try? await self.channel.close()
            throw error
        }
    }

    // MARK: Writing

    func write(_ bytes: some Collection<UInt8>) async throws {
        try await self.channel.writeAndFlush(ByteBuffer(bytes: Array(bytes)))
    }

    func write(_ text: String) async throws { try await self.write(Array(text.utf8)) }

    /// Ends the writing direction: FIN.
    func finish() async throws { try await self.channel.close(mode: .output) }

    /// Cuts the connection: RST.
    func reset() async throws {
        let channel = self.channel
        try await channel.eventLoop.submit {
            channel.resetOnClose()
            channel.close(promise: nil)
        }.get()
        try? await channel.closeFuture.get()
    }

    func close() async throws { try? await self.channel.close() }

    // MARK: Reading

    /// Exactly `count` bytes.
    func read(_ count: Int, within limit: TimeAmount = .seconds(10)) async throws -> [UInt8] {
        let bytes = try await self.ask(.bytes(count), limit)
        guard bytes.count == count else {
            throw Unmet("expected \(count) bytes, got \(bytes.count) and then \(try await self.ending(within: limit))")
        }
        return bytes
    }

    func readText(_ count: Int, within limit: TimeAmount = .seconds(10)) async throws -> String {
        String(decoding: try await self.read(count, within: limit), as: UTF8.self)
    }

    /// All bytes up to the end, which must be an orderly one.
    func readToEnd(within limit: TimeAmount = .seconds(10)) async throws -> [UInt8] {
        let bytes = try await self.ask(.end, limit)
        let ending = try await self.ending(within: limit)
        guard ending == .finished else { throw Unmet("expected an orderly end after \(bytes.count) bytes, got a reset") }
        return bytes
    }

    /// Reads and drops what is left; says how the other end ended it.
    func ending(within limit: TimeAmount = .seconds(10)) async throws -> Ending {
        _ = try await self.ask(.end, limit)
        let handler = self.handler
        guard let ending = try await self.channel.eventLoop.submit({ handler.value.ending }).get() else {
            throw Unmet("expected the end of the connection")
        }
        return ending
    }

    private func ask(_ wish: ReadingHandler.Wish, _ limit: TimeAmount) async throws -> [UInt8] {
        let handler = self.handler
        let loop = self.channel.eventLoop
        return try await loop.flatSubmit {
            let promise = loop.makePromise(of: [UInt8].self)
            handler.value.want(wish, promise, limit)
            return promise.futureResult
        }.get()
    }
}

/// Reads on demand.
private final class ReadingHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    enum Wish {
        case bytes(Int)
        case end
    }

    private(set) var ending: Ending?
    private var hasFinished = false
    private var held = ByteBuffer()
    private var context: ChannelHandlerContext?
    private var waiting: (wish: Wish, promise: EventLoopPromise<[UInt8]>, timer: Scheduled<Void>)?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// One wish at a time. It is answered with fewer bytes when the connection ends first.
    func want(_ wish: Wish, _ promise: EventLoopPromise<[UInt8]>, _ limit: TimeAmount) {
        precondition(self.waiting == nil, "a test reads one thing at a time")
        let timer = promise.futureResult.eventLoop.assumeIsolated().scheduleTask(in: limit) {
            let held = self.held.readableBytes
            self.waiting = nil
            promise.fail(Unmet("expected \(wish) within \(limit.nanoseconds / 1_000_000) ms; \(held) bytes had come"))
        }
        self.waiting = (wish, promise, timer)
        self.answer()
    }

    private func answer() {
        guard let waiting = self.waiting else { return }
        let wanted = if case .bytes(let count) = waiting.wish { count } else { Int.max }
        if self.held.readableBytes >= wanted || self.ending != nil {
            waiting.timer.cancel()
            self.waiting = nil
            let bytes = self.held.readBytes(length: min(wanted, self.held.readableBytes)) ?? []
            if self.held.readableBytes == 0 { self.held = ByteBuffer() }
            waiting.promise.succeed(bytes)
        } else {
            self.context?.read()
        }
    }

    // What was asked before that could not be read.
    func channelActive(context: ChannelHandlerContext) { self.answer() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.held.writeBuffer(&bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) { self.answer() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { self.end(.finished) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.end(.reset) }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output { self.hasFinished = true }
        context.close(mode: mode, promise: promise)
    }

    // A FIN that answers ours is not announced by NIO, it closes the channel; a reset was announced as an error before.
    func channelInactive(context: ChannelHandlerContext) { self.end(self.hasFinished ? .finished : .reset) }

    private func end(_ ending: Ending) {
        if self.ending == nil { self.ending = ending }
        self.answer()
    }
}

/// A TCP server of 127.0.0.1 whose connections a test takes one by one.
final class TestListener: Sendable {
    let port: Int
    private let listener: any Channel
    private let incoming: AsyncStream<TestConnection>
    private let source: AsyncStream<TestConnection>.Continuation

    private init(
        port: Int, listener: any Channel, _ stream: (AsyncStream<TestConnection>, AsyncStream<TestConnection>.Continuation)
    ) {
        self.port = port
        self.listener = listener
        (self.incoming, self.source) = stream
    }

    static func start(port: Int? = nil, receiveBuffer: Int? = nil) async throws -> TestListener {
        let stream = AsyncStream.makeStream(of: TestConnection.self, bufferingPolicy: .bufferingNewest(1_024))
        var bootstrap = ServerBootstrap(group: testLoops)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(ReadingHandler()) }
                    .flatMap { TestConnection.wrap(channel) }.map { stream.continuation.yield($0) }.map { _ in }
            }
        if let receiveBuffer { bootstrap = bootstrap.serverChannelOption(.socketOption(.so_rcvbuf), value: receiveBuffer) }
        let port = try port ?? FreePorts.one()
        let listener = try await bootstrap.bind(host: "127.0.0.1", port: port).get()
        return TestListener(port: port, listener: listener, stream)
    }

    /// The next connection.
    func accept(within limit: Duration = .seconds(10)) async throws -> TestConnection {
        let incoming = self.incoming
        return try await withThrowingTaskGroup(of: TestConnection?.self) { group in
            group.addTask { await incoming.first { _ in true } }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            guard let connection = try await group.next() ?? nil else {
                throw Unmet("expected a connection to port \(self.port) within \(limit)")
            }
            return connection
        }
    }

    func stop() async { try? await self.listener.close() }
}

extension Channel {
    /// Makes the close that follows a reset. To be called on the channel's event loop.
    func resetOnClose() {
        guard let provider = self as? any SocketOptionProvider else { return }
        _ = provider.unsafeSetSocketOption(level: .socket, name: .so_linger, value: linger(l_onoff: 1, l_linger: 0))
    }
}
