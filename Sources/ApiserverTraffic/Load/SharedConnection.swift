import NIOCore
import NIOHTTP2

/// The one HTTP/2 connection that all of a program's requests share, as client-go has it; made again when it dies. On one event
/// loop.
final class SharedConnection {
    private enum State {
        case none
        case connecting
        case up(any Channel, NIOHTTP2Handler.StreamMultiplexer, ConnectionHealth)
    }

    typealias Outcome = Result<NIOHTTP2Handler.StreamMultiplexer, any Error>

    private static let mostWaiting = 1_000

    private let dialer: Dialer
    private var state = State.none
    private var waiting: [(Outcome) -> Void] = []
    private var backoff = Backoff()
    private var notBefore = NIODeadline.now()
    private var isClosed = false

    init(_ dialer: Dialer) { self.dialer = dialer }

    /// Gives the connection when there is one, or says why there is none.
    func use(_ body: @escaping (Outcome) -> Void) {
        if case .up(let channel, let multiplexer, let health) = self.state, channel.isActive, !health.isLeaving {
            return body(.success(multiplexer))
        }
        guard !self.isClosed, self.waiting.count < Self.mostWaiting else {
            return body(.failure(TrafficTrouble("too much waits for a connection")))
        }
        self.waiting.append(body)
        guard case .connecting = self.state else { return self.connect() }
    }

    private func connect() {
        self.state = .connecting
        let bound = NIOLoopBound(self, eventLoop: self.dialer.loop)
        self.dialer.loop.scheduleTask(deadline: self.notBefore) { bound.value.dial() }
    }

    private func dial() {
        guard !self.isClosed else { return }
        self.notBefore = .now() + self.backoff.next()
        let health = ConnectionHealth()
        self.dialer.connectShared(health).assumeIsolated().whenComplete { result in
            switch result {
            case .success((let channel, let multiplexer)):
                self.state = .up(channel, multiplexer, health)
                self.backoff.reset()
                channel.closeFuture.assumeIsolated().whenComplete { _ in
                    if case .up(let present, _, _) = self.state, present === channel { self.state = .none }
                }
                self.answer(.success(multiplexer))
            case .failure(let error):
                self.state = .none
                self.answer(.failure(error))
            }
        }
    }

    private func answer(_ outcome: Outcome) {
        let waiting = self.waiting
        self.waiting = []
        for body in waiting { body(outcome) }
    }

    func close() {
        self.isClosed = true
        if case .up(let channel, _, _) = self.state { channel.close(promise: nil) }
        self.answer(.failure(ChannelError.alreadyClosed))
    }

    /// Makes a stream with this handler, for HTTP messages.
    func stream(with handler: any ChannelInboundHandler, _ failed: @escaping (any Error) -> Void) {
        self.use { outcome in
            guard case .success(let multiplexer) = outcome else {
                if case .failure(let error) = outcome { failed(error) }
                return
            }
            let bound = NIOLoopBound(handler, eventLoop: self.dialer.loop)
            multiplexer.createStreamChannel { stream in
                stream.eventLoop.makeCompletedFuture {
                    let pipeline = stream.pipeline.syncOperations
                    try pipeline.addHandler(HTTP2FramePayloadToHTTP1ClientCodec(httpProtocol: .https))
                    try pipeline.addHandler(bound.value)
                }
            }.assumeIsolated().whenFailure(failed)
        }
    }
}
