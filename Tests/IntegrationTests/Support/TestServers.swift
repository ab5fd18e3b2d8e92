import Crypto
import NIOCore
import NIOPosix
import Synchronization

/// A TCP server of 127.0.0.1 that treats every connection alike; back pressure from end to end.
final class TestServer: Sendable {
    let port: Int
    private let listener: any Channel

    private init(port: Int, listener: any Channel) {
        self.port = port
        self.listener = listener
    }

    /// Answers every byte with itself, and FIN with FIN.
    static func echo(port: Int? = nil) async throws -> TestServer { try await start(port: port) { EchoHandler() } }

    /// Takes everything; at the FIN it answers `COUNT SHA256\n` and ends.
    static func sink(port: Int? = nil) async throws -> TestServer { try await start(port: port) { SinkHandler() } }

    /// Sends `count` bytes of `TestBytes` and ends.
    static func source(count: Int, seed: UInt64 = 1, port: Int? = nil) async throws -> TestServer {
        try await start(port: port) { SourceHandler(TestBytes(seed: seed), count: count) }
    }

    /// A server with a handler of the caller's for each connection.
    static func start(
        port: Int? = nil, _ handler: @escaping @Sendable () -> any ChannelHandler
    ) async throws -> TestServer {
        let port = try port ?? FreePorts.one()
        let listener = try await ServerBootstrap(group: testLoops)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler()) }
            }
            .bind(host: "127.0.0.1", port: port).get()
        return TestServer(port: port, listener: listener)
    }

    /// Closes the listener; connections that stand go on.
    func stop() async { try? await self.listener.close() }
}

/// Bytes that depend on nothing but a seed (xorshift64*), so that each end can say what the other must have sent.
struct TestBytes: Sendable {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed | 1 }

    mutating func next(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 7)
        while bytes.count < count {
            self.state ^= self.state >> 12
            self.state ^= self.state << 25
            self.state ^= self.state >> 27
            withUnsafeBytes(of: (self.state &* 0x2545_F491_4F6C_DD1D).littleEndian) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes.prefix(count))
    }

    /// SHA-256 of the first `count` bytes as they are taken in blocks of `TestBytes.block`, in hex.
    static func digest(seed: UInt64, count: Int) -> String {
        var (bytes, hash, left) = (TestBytes(seed: seed), SHA256(), count)
        while left > 0 {
            let part = bytes.next(min(left, Self.block))
            hash.update(data: part)
            left -= part.count
        }
        return hash.finalize().hexText
    }

    /// A multiple of 8, so that blocks taken one after the other are the same bytes as one taken at once.
    static let block = 32_768
}

extension Sequence<UInt8> {
    var hexText: String { self.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}

/// Reads only while what it sends is taken.
private final class EchoHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func read(context: ChannelHandlerContext) { if context.channel.isWritable { context.read() } }

    func channelWritabilityChanged(context: ChannelHandlerContext) { if context.channel.isWritable { context.read() } }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { context.close(mode: .output, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private final class SinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var hash = SHA256()
    private var count = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        self.count += bytes.readableBytes
        bytes.withUnsafeReadableBytes { self.hash.update(bufferPointer: $0) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event as? ChannelEvent == .inputClosed else { return }
        let answer = ByteBuffer(string: "\(self.count) \(self.hash.finalize().hexText)\n")
        context.writeAndFlush(self.wrapOutboundOut(answer), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private final class SourceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var bytes: TestBytes
    private var left: Int

    init(_ bytes: TestBytes, count: Int) {
        self.bytes = bytes
        self.left = count
    }

    func channelActive(context: ChannelHandlerContext) { self.send(context) }

    func channelWritabilityChanged(context: ChannelHandlerContext) { self.send(context) }

    private func send(_ context: ChannelHandlerContext) {
        while self.left > 0, context.channel.isWritable {
            let part = self.bytes.next(min(self.left, TestBytes.block))
            self.left -= part.count
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: part)), promise: nil)
            if self.left == 0 { context.close(mode: .output, promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
