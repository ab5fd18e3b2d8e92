import Timing

/// The spans of time of an election, all derived from E.
package struct ElectionConfiguration: Sendable {
    /// E: without a leader for so long, and up to as long again, a server stands for election.
    package var timeout: Duration

    package init(timeout: Duration = .seconds(1)) { self.timeout = timeout }

    /// Between two heartbeats of a leader.
    var heartbeatInterval: Duration { self.timeout / 5 }
    /// A round of heartbeats that a quorum answered keeps the lead for so long, counted from when it was sent. Shorter than E
    /// by what two clocks may differ that run 10 % wrong, one fast and one slow.
    package var lease: Duration { self.timeout * 8 / 10 }
    /// Rounds that are asked for are at least so far apart.
    var roundSpacing: Duration { .milliseconds(2) }
    /// When the leader is known to be gone: the longest that a server waits before it stands, so that not all do at once.
    var succession: Duration { self.timeout * 15 / 100 }
    /// How long a candidate waits for votes before it tries again, and up to twice that.
    var patience: Duration { self.timeout * 15 / 100 }
}

/// A span drawn evenly from `range`; whole nanoseconds.
func randomSpan(_ range: Range<Duration>, using rng: inout some RandomNumberGenerator) -> Duration {
    let low = range.lowerBound.wholeNanoseconds
    let high = range.upperBound.wholeNanoseconds
    return .nanoseconds(low < high ? Int64.random(in: low..<high, using: &rng) : low)
}
