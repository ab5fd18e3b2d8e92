import NIOCore
import NIOPosix

/// Answers on loopback as its path says.
final class TinyServer: Sendable {
    private let channel: any Channel
    let port: Int

    private init(_ channel: any Channel, port: Int) {
        self.channel = channel
        self.port = port
    }

    static func start() async throws -> TinyServer {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return TinyServer(channel, port: channel.localAddress?.port ?? 0)
    }

    func stop() async throws { try await self.channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let asked = String(buffer: self.unwrapInboundIn(data))
            let answer: String
            if asked.hasPrefix("GET /good") {
                answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            } else if asked.hasPrefix("GET /bad") {
                answer = "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
            } else if asked.hasPrefix("GET /half") {
                answer = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok"
            } else {
                return
            }
            let isHalf = asked.hasPrefix("GET /half")
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: answer))).assumeIsolated().whenComplete { _ in
                if isHalf { context.close(promise: nil) }
            }
        }
    }
}
