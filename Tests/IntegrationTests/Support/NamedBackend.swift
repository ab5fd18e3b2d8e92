import NIOCore
import NIOPosix
import Synchronization

/// A TCP server of 127.0.0.1 that says its number, one digit, to everybody who connects, and then answers every byte with
/// itself and FIN with FIN.
final class NamedBackend: Sendable {
    let number: Int
    let port: Int
    private let server: Mutex<TestServer?>

    private init(_ number: Int, _ server: TestServer) {
        self.number = number
        self.port = server.port
        self.server = Mutex(server)
    }

    static func start(_ number: Int) async throws -> NamedBackend {
        NamedBackend(number, try await TestServer.start { NamedEchoHandler(number) })
    }

    /// Listens no longer; connections that stand go on.
    func stop() async {
        let server = self.server.withLock { server in
            defer { server = nil }
            return server
        }
        await server?.stop()
    }

    /// Listens again, on the same port.
    func startAgain() async throws {
        let number = self.number
        let server = try await TestServer.start(port: self.port) { NamedEchoHandler(number) }
        self.server.withLock { $0 = server }
    }

    /// Connects to an address that leads to a backend, has one byte returned, and says the backend's number.
    static func ask(host: String = "127.0.0.1", port: Int) async throws -> Int {
        let connection = try await ClientBootstrap(group: testLoops).connectTimeout(.seconds(10))
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let channel = connection.channel
        let patience = channel.eventLoop.scheduleTask(in: .seconds(20)) { channel.close(promise: nil) }
        defer { patience.cancel() }
        let answer = try await connection.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "?"))
            var answer = ""
            for try await bytes in inbound {
                answer += String(buffer: bytes)
                if answer.utf8.count >= 2 { break }
            }
            return answer
        }
        guard answer.count == 2, answer.hasSuffix("?"), let number = answer.first?.wholeNumberValue else {
            throw Unmet("expected a number and ? from \(host):\(port), got \"\(answer)\"")
        }
        return number
    }
}

/// Reads only while what it sends is taken.
private final class NamedEchoHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let number: Int

    init(_ number: Int) { self.number = number }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: "\(self.number)")), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func read(context: ChannelHandlerContext) { if context.channel.isWritable { context.read() } }

    func channelWritabilityChanged(context: ChannelHandlerContext) { if context.channel.isWritable { context.read() } }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { context.close(mode: .output, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
