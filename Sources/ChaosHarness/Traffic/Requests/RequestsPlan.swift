import NIOCore

/// What `gotunnel-chaos traffic requests` is to do.
package struct RequestsPlan: Sendable {
    /// A client's listener, which leads to a backend through the tunnel.
    package let forward: SocketAddress
    /// A backend that is reached without the tunnel.
    package let control: SocketAddress
    /// Between two requests of one path; at least a millisecond.
    package let interval: TimeAmount
    /// In which requests are started; the answers to the last are awaited as well.
    package let duration: TimeAmount
    /// A request that takes longer, from the moment it was due, has failed.
    package let limit: TimeAmount

    /// The most requests of one path.
    package static let requestLimit = 1_000_000
    /// The most requests under way; one more fails at once.
    package static let concurrencyLimit = 4_000

    package init(
        forward: SocketAddress, control: SocketAddress, interval: TimeAmount, duration: TimeAmount,
        limit: TimeAmount = .seconds(10)
    ) {
        self.forward = forward
        self.control = control
        self.interval = max(interval, .milliseconds(1))
        self.duration = max(duration, .zero)
        self.limit = limit
    }

    /// Requests of both paths together.
    var count: Int {
        2 * Int(min((duration.nanoseconds + interval.nanoseconds - 1) / interval.nanoseconds, Int64(Self.requestLimit)))
    }

    /// Which way request `number` goes: they alternate.
    func path(_ number: Int) -> RequestResult.Path { number.isMultiple(of: 2) ? .forward : .control }

    /// When request `number` is due after the start: the control's half an interval after the forward's.
    func due(_ number: Int) -> TimeAmount {
        .nanoseconds(Int64(number / 2) * interval.nanoseconds + (path(number) == .control ? interval.nanoseconds / 2 : 0))
    }

    func address(_ path: RequestResult.Path) -> SocketAddress { path == .forward ? forward : control }
}
