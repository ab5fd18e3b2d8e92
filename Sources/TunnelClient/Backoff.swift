/// How long to wait before the next attempt to reach a server: doubling from 100 ms to 15 s, each time a random part of
/// it, so that a fleet that lost its server does not come back in step.
struct Backoff: Sendable {
    private static let first = Duration.milliseconds(100)
    private static let longest = Duration.seconds(15)
    private var ceiling = Self.first

    /// The next wait, between half and the whole of the present ceiling.
    mutating func next(using rng: inout some RandomNumberGenerator) -> Duration {
        let wait = self.ceiling * Double.random(in: 0.5...1, using: &rng)
        self.ceiling = min(self.ceiling * 2, Self.longest)
        return wait
    }

    mutating func reset() { self.ceiling = Self.first }
}
