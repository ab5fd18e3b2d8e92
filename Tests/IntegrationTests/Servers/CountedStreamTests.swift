import NIOCore
import Testing

extension Integration {
    /// The instrument of the tests beside this one: a counted stream finds what it is there to find.
    @Suite struct CountedStreamTests {
        enum Fault: CaseIterable {
            case none, lostByte, doubledByte, changedByte, earlyEnd, reset
        }

        @Test(arguments: Fault.allCases)
        func whatIsWrongIsFound(fault: Fault) async throws {
            let server = try await TestServer.start { FaultyEchoHandler(fault) }
            let stream = try await CountedStream.open(port: server.port)
            #expect(stream.number == 7)
            switch fault {
            case .none:
                try await stream.goesOn()
                #expect(try await stream.finish() == .whole)
            case .reset:
                try await stream.whenReset()
                #expect(try await stream.finish() == .reset)
            default:
                await #expect(throws: Unmet.self) {
                    try await stream.goesOn()
                    try await stream.goesOn()
                    _ = try await stream.finish()
                }
            }
            await server.stop()
        }
    }
}

/// Says 7, echoes, and does something wrong once after the 3 000th byte.
private final class FaultyEchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let fault: Integration.CountedStreamTests.Fault
    private var count = 0
    private var isDone = false

    init(_ fault: Integration.CountedStreamTests.Fault) { self.fault = fault }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: "7")), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Array(self.unwrapInboundIn(data).readableBytesView)
        self.count += bytes.count
        if self.count > 3_000, !self.isDone, bytes.count > 16 {
            self.isDone = true
            switch self.fault {
            case .none: break
            case .lostByte: bytes.remove(at: 8)
            case .doubledByte: bytes.insert(bytes[8], at: 8)
            case .changedByte: bytes[8] &+= 1
            case .earlyEnd: return context.close(mode: .output, promise: nil)
            case .reset:
                context.channel.resetOnClose()
                return context.close(promise: nil)
            }
        }
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { context.close(mode: .output, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
