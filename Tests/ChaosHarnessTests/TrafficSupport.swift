import NIOCore
import NIOPosix
import Testing

@testable import ChaosHarness

/// Any free port of loopback.
func loopback() throws -> SocketAddress { try SocketAddress(ipAddress: "127.0.0.1", port: 0) }

/// Waits for a condition; bounded, so that a test never hangs.
func until(
    _ condition: @Sendable () -> Bool, location: SourceLocation = #_sourceLocation
) async throws {
    let end = ContinuousClock.now + .seconds(20)
    while !condition() {
        try #require(ContinuousClock.now < end, "waited in vain", sourceLocation: location)
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// An address at which nothing listens.
func refusedAddress() async throws -> SocketAddress {
    let listener = try await Listener.start { _ in }
    try await listener.stop()
    return listener.address
}

func withBackend<Result>(
    _ name: String, pace: PatternPace = .standard, _ body: (Backend) async throws -> Result
) async throws -> Result {
    let backend = try await Backend.start(name: name, https: loopback(), pattern: loopback(), pace: pace)
    do {
        let result = try await body(backend)
        try await backend.stop()
        return result
    } catch {
        try await backend.stop()
        throw error
    }
}

/// A listener on loopback that does one thing with each connection.
struct Listener {
    let channel: any Channel
    let address: SocketAddress

    static func start(_ accepted: @escaping @Sendable (any Channel) throws -> Void) async throws -> Listener {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try accepted(channel) } }
            .bind(to: loopback()).get()
        return Listener(channel: channel, address: try #require(channel.localAddress))
    }

    func stop() async throws { try await channel.close() }
}

/// What a relay does to one direction of a connection. Offsets count from the connection's first byte.
enum Tampering: Sendable {
    case none
    case flip(at: Int)
    case lose(at: Int, count: Int)
    case `repeat`(at: Int, count: Int)
    /// FIN in place of everything from there on.
    case end(at: Int)
    /// RST in place of everything from there on.
    case reset(at: Int)
}

/// A relay that harms what it carries.
func withRelay<Result>(
    to target: SocketAddress, up: Tampering = .none, down: Tampering = .none, _ body: (SocketAddress) async throws -> Result
) async throws -> Result {
    let listener = try await Listener.start { near in
        let connecting = ClientBootstrap(group: near.eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { far in
                far.eventLoop.makeCompletedFuture {
                    try far.pipeline.syncOperations.addHandler(TamperingHandler(to: near, down))
                    try near.pipeline.syncOperations.addHandler(TamperingHandler(to: far, up))
                }
            }
            .connect(to: target)
        connecting.whenFailure { _ in near.close(promise: nil) }
        // Nothing is read before there is somewhere to send it.
        try near.syncOptions?.setOption(.autoRead, value: false)
        connecting.whenSuccess { _ in
            near.setOption(.autoRead, value: true).whenFailure { _ in near.close(promise: nil) }
        }
    }
    do {
        let result = try await body(listener.address)
        try await listener.stop()
        return result
    } catch {
        try await listener.stop()
        throw error
    }
}

/// One direction of the relay: reads from its own channel, writes to the other.
private final class TamperingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let tampering: Tampering
    private var offset = 0
    private var isDone = false
    private var hasEnded = false

    init(to other: any Channel, _ tampering: Tampering) {
        self.other = other
        self.tampering = tampering
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return }
        var bytes = Array(unwrapInboundIn(data).readableBytesView)
        let range = offset..<offset + bytes.count
        offset = range.upperBound
        func place(_ offset: Int) -> Int { offset - range.lowerBound }
        switch tampering {
        case .flip(let at) where range.contains(at): bytes[place(at)] ^= 1
        case .lose(let at, let count) where range.contains(at):
            bytes.removeSubrange(place(at)..<min(place(at) + count, bytes.count))
        case .repeat(let at, let count) where range.contains(at):
            bytes.insert(contentsOf: bytes[place(at)..<min(place(at) + count, bytes.count)], at: place(at))
        case .end(let at) where range.upperBound > at:
            isDone = true
            bytes.removeSubrange(max(place(at), 0)...)
        case .reset(let at) where range.upperBound > at:
            isDone = true
            other.reset()
            context.close(promise: nil)
            return
        default: break
        }
        let written = other.writeAndFlush(ByteBuffer(bytes: bytes))
        if isDone { written.whenSuccess { [other] in other.close(mode: .output, promise: nil) } }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event, !isDone else { return }
        hasEnded = true
        other.close(mode: .output, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { other.reset() }

    /// NIO tells of a write that met a reset by this alone.
    func channelInactive(context: ChannelHandlerContext) { if hasEnded { other.close(promise: nil) } else { other.reset() } }
}
