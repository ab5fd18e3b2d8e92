import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#endif

/// Listens and greets whoever connects: with the least a backend can do.
final class Greeter: Sendable {
    let address: SocketAddress
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup

    private init(_ channel: any Channel, _ address: SocketAddress, _ group: MultiThreadedEventLoopGroup) {
        self.channel = channel
        self.address = address
        self.group = group
    }

    static func start() async throws -> Greeter {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Greeting()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let address = channel.localAddress else { throw StageError("a listener without an address") }
        return Greeter(channel, address, group)
    }

    var port: Int { self.address.port ?? 0 }

    func stop() async {
        try? await self.channel.close().get()
        try? await self.group.shutdownGracefully()
    }

    private final class Greeting: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: "hello\n")), promise: nil)
        }

        // The visitor goes first, so that its side keeps the closed connection's port.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// A new connection to each of several addresses by a fixed schedule that never waits for answers: how long each took from
/// the moment it was due until the first byte came.
package final class ConnectionProbe: Sendable {
    /// One connection.
    package struct Attempt: Sendable, Equatable {
        /// Which address, by its place.
        package var target: Int
        /// CLOCK_MONOTONIC in milliseconds.
        package var due: Double
        /// Milliseconds, until the first byte or the failure.
        package var took: Double
        /// Nil: it was answered.
        package var failure: String?
    }

    private struct State: Sendable {
        var attempts: [Attempt] = []
        /// When those that have not ended were due, by their number.
        var underWay: [Int: (target: Int, due: Double)] = [:]
        var next = 0
    }

    private let targets: [SocketAddress]
    private let patience: TimeAmount
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let state = MutexBox(State())
    private let repeated: MutexBox<RepeatedTask?> = MutexBox(nil)

    static let interval = TimeAmount.milliseconds(10)

    /// - Parameter patience: when an attempt has failed.
    init(_ targets: [SocketAddress], patience: TimeAmount = .seconds(5)) {
        self.targets = targets
        self.patience = patience
    }

    func start() {
        let loop = self.group.next()
        let begin = NIODeadline.now() + .milliseconds(20)
        let schedule = NIOLoopBoundBox.makeBoxSendingValue(begin, eventLoop: loop)
        // The task may come late, several due attempts at once: each counts from when it was due.
        let task = loop.scheduleRepeatedTask(initialDelay: .milliseconds(20), delay: .milliseconds(2)) { [weak self] _ in
            let now = NIODeadline.now()
            while let self, schedule.value <= now {
                for target in self.targets.indices { self.attempt(target, due: schedule.value, on: loop) }
                schedule.value = schedule.value + Self.interval
            }
        }
        self.repeated.with { $0 = task }
    }

    private func attempt(_ target: Int, due: NIODeadline, on loop: any EventLoop) {
        let dueAt = TrafficClock.milliseconds(due)
        let number = self.state.with { state in
            state.next += 1
            state.underWay[state.next] = (target, dueAt)
            return state.next
        }
        let ended: @Sendable (String?) -> Void = { [state] failure in
            let took = TrafficClock.now() - dueAt
            state.with { state in
                guard state.underWay.removeValue(forKey: number) != nil else { return }
                state.attempts.append(Attempt(target: target, due: dueAt, took: took, failure: failure))
            }
        }
        ClientBootstrap(group: loop)
            .connectTimeout(self.patience)
            .channelInitializer { [patience] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FirstByte(ended))
                    let expiry = channel.eventLoop.scheduleTask(deadline: due + patience) {
                        ended("no byte within \(patience.nanoseconds / 1_000_000) ms")
                        channel.close(promise: nil)
                    }
                    channel.closeFuture.whenComplete { _ in expiry.cancel() }
                }
            }
            .connect(to: self.targets[target])
            .whenFailure { ended("connecting: \(TrafficFailure.text($0))") }
    }

    private final class FirstByte: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let ended: @Sendable (String?) -> Void

        init(_ ended: @escaping @Sendable (String?) -> Void) { self.ended = ended }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.ended(nil)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            self.ended("closed before a byte came")
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            self.ended("waiting: \(TrafficFailure.text(error))")
            context.close(promise: nil)
        }
    }

    /// The slowest attempt that was due in a time, in milliseconds; one under way counts with the time so far.
    func slowest(from start: Double, to end: Double) -> Double {
        let now = TrafficClock.now()
        return self.state.with { state in
            let done = state.attempts.lazy.filter { (start...end).contains($0.due) }.map(\.took).max() ?? 0
            let waiting = state.underWay.values.filter { (start...end).contains($0.due) }.map { now - $0.due }.max() ?? 0
            return max(done, waiting)
        }
    }

    /// Starts no more, waits for those under way, and gives all.
    func stop() async -> [Attempt] {
        self.repeated.with { $0?.cancel() }
        let end = ContinuousClock.now + .nanoseconds(self.patience.nanoseconds) + .milliseconds(500)
        while self.state.with({ !$0.underWay.isEmpty }), ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(10))
        }
        try? await self.group.shutdownGracefully()
        return self.state.with { $0.attempts.sorted { ($0.due, $0.target) < ($1.due, $1.target) } }
    }
}

/// What the machine itself costs: new connections straight to a backend of this process, all the time.
final class Control: Sendable {
    private let greeter: Greeter
    private let probe: ConnectionProbe

    private init(_ greeter: Greeter) {
        self.greeter = greeter
        self.probe = ConnectionProbe([greeter.address])
    }

    static func start() async throws -> Control {
        let control = Control(try await Greeter.start())
        control.probe.start()
        return control
    }

    /// The slowest of the time that began with a fault and lasted so many milliseconds.
    func slowest(since fault: FaultMoment, lasting milliseconds: Double) -> Double {
        // One that was due just before and was slow says as much of the machine.
        self.probe.slowest(from: fault.monotonic - 50, to: fault.monotonic + milliseconds)
    }

    func stop() async {
        _ = await self.probe.stop()
        await self.greeter.stop()
    }
}
