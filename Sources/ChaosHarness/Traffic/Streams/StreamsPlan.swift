import NIOCore

/// What `gotunnel-chaos traffic streams` is to do.
package struct StreamsPlan: Sendable {
    /// A client's listener, which leads to a pattern server.
    package let forward: SocketAddress
    /// How many streams; at most ``streamLimit``.
    package let count: Int
    /// How long the run lasts; it is over earlier when no stream is left.
    package let duration: TimeAmount
    /// When streams finish, after they opened: evenly spread over the range, in the order of their ids. Nil: none does.
    package let finishAfter: ClosedRange<TimeAmount>?
    /// How long a stream may take to open.
    package let openLimit: TimeAmount
    package let pace: PatternPace
    /// Whether the other end is asked to send at the same pace; otherwise it sends at its own.
    package let isPaceForBoth: Bool
    /// Whether, when the run is over, the streams that are open finish, so that their last bytes are accounted for too.
    package let finishesAtEnd: Bool
    /// From what the streams' numbers are made: no two runs should send the same bytes.
    package let seed: UInt64

    /// The most streams of a run.
    package static let streamLimit = 10_000
    /// Between the dials of two streams, so that a run does not begin with one burst.
    static let dialSpacing = TimeAmount.milliseconds(1)
    /// How long streams may take to finish at the end of a run.
    static let finishLimit = TimeAmount.seconds(60)

    package init(
        forward: SocketAddress, count: Int, duration: TimeAmount, finishAfter: ClosedRange<TimeAmount>? = nil,
        openLimit: TimeAmount = .seconds(10), pace: PatternPace = .standard, isPaceForBoth: Bool = false,
        finishesAtEnd: Bool = false, seed: UInt64
    ) {
        self.forward = forward
        self.count = min(max(count, 0), Self.streamLimit)
        self.duration = duration
        self.finishAfter = finishAfter
        self.openLimit = openLimit
        self.pace = pace
        self.isPaceForBoth = isPaceForBoth
        self.finishesAtEnd = finishesAtEnd
        self.seed = seed
    }

    /// When stream `id` finishes after it opened.
    func finish(_ id: Int) -> TimeAmount? {
        guard let finishAfter else { return nil }
        let width = finishAfter.upperBound - finishAfter.lowerBound
        guard count > 1 else { return finishAfter.lowerBound }
        return finishAfter.lowerBound + .nanoseconds(width.nanoseconds / Int64(count - 1) * Int64(id - 1))
    }
}
