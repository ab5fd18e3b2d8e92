/// How long to wait before the next attempt to reach a server: doubling from 100 ms to 15 s, each time a random part of
/// it, so that a fleet that lost its server does not come back in step.
struct Backoff: Sendable {
    private static let first = Duration.milliseconds(100)
    private static let longest = Duration.seconds(15)
    private var ceiling = Self.first

    /// The next wait, between half and the whole of the present ceiling.
    mutating func next(using rng: inout some RandomNumberGenerator) -> Duration {
        self.next(atMost: Self.longest, using: &rng)
    }

    /// The next wait, between half and the whole of the present ceiling, or of `limit` where that is less. Waits that
    /// were cut do not raise the ceiling: who is hurried does not pay for it later.
    mutating func next(atMost limit: Duration, using rng: inout some RandomNumberGenerator) -> Duration {
        let wait = min(self.ceiling, limit) * Double.random(in: 0.5...1, using: &rng)
        if self.ceiling <= limit { self.ceiling = min(self.ceiling * 2, Self.longest) }
        return wait
    }

    mutating func reset() { self.ceiling = Self.first }
}
