import NIOCore

/// The time that a connection has from being read to being authenticated, and its place in the gate.
final class HandshakeDeadline {
    /// Fired down the pipeline when the time is over.
    struct Expired {}

    /// What another event loop needs in order to go on counting.
    struct Rest: Sendable {
        var pass: HandshakePass?
        var limit: TimeAmount
        var expires: NIODeadline
    }

    /// What a connection has unless told otherwise.
    package static let standard = TimeAmount.seconds(5)

    private let limit: TimeAmount
    private let expires: NIODeadline
    private var timer: Scheduled<Void>?
    private var pass: HandshakePass?

    /// The time begins now.
    init(pass: HandshakePass?, limit: TimeAmount) {
        self.pass = pass
        self.limit = limit
        self.expires = .now() + limit
    }

    /// The time goes on.
    init(_ rest: Rest) {
        self.pass = rest.pass
        self.limit = rest.limit
        self.expires = rest.expires
    }

    /// Counts on the channel's event loop.
    func start(on channel: any Channel) {
        self.timer = channel.eventLoop.assumeIsolated().scheduleTask(deadline: self.expires) {
            channel.pipeline.fireUserInboundEventTriggered(Expired())
        }
    }

    /// The time does not matter any more; the place is kept.
    func stop() {
        self.timer?.cancel()
        self.timer = nil
    }

    /// The handshake is over, one way or the other.
    func finish() {
        self.stop()
        self.pass?.release()
        self.pass = nil
    }

    /// The connection moves to another event loop, which goes on counting.
    func handOver() -> Rest {
        self.timer?.cancel()
        self.timer = nil
        defer { self.pass = nil }
        return Rest(pass: self.pass, limit: self.limit, expires: self.expires)
    }

    /// The time it gives, for people: `5 s`.
    var limitText: String { self.limit.text }
}

extension TimeAmount {
    /// For people: `5 s`, `250 ms`.
    var text: String {
        let milliseconds = self.nanoseconds / 1_000_000
        return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000) s" : "\(milliseconds) ms"
    }
}
