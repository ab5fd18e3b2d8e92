import NIOCore

/// The five seconds that a connection has from being read to being authenticated, and its place in the gate.
final class HandshakeDeadline {
    /// Fired down the pipeline when the time is over.
    struct Expired {}

    static let seconds = 5

    private var timer: Scheduled<Void>?
    private var pass: HandshakePass?

    init(pass: HandshakePass?) { self.pass = pass }

    /// Begins to count on the channel's event loop. `left` is what remains of the five seconds.
    func start(on channel: any Channel, left: TimeAmount = .seconds(Int64(seconds))) {
        self.timer = channel.eventLoop.assumeIsolated().scheduleTask(in: left) {
            channel.pipeline.fireUserInboundEventTriggered(Expired())
        }
    }

    /// The handshake is over, one way or the other.
    func finish() {
        self.timer?.cancel()
        self.timer = nil
        self.pass?.release()
        self.pass = nil
    }

    /// The connection moves to another event loop, which goes on counting.
    func handOver() -> HandshakePass? {
        self.timer?.cancel()
        defer { self.pass = nil }
        return self.pass
    }
}
