import Timing
import TunnelSession

/// How much the kernel may hold unsent on a link (TCP_NOTSENT_LOWAT): five milliseconds at the rate that was measured
/// while the link was full, so that a frame that becomes urgent does not wait behind many that do not.
struct UnsentBound {
    /// In bytes.
    static let range = 16_384...131_072
    private static let horizon = 0.005
    private static let window = Duration.milliseconds(250)

    private(set) var bytes = Self.range.upperBound
    private var passed = 0
    private var wasFull = false
    private var since: Moment?

    /// `count` bytes were written; `isFull` says whether the link takes more. Returns a bound that differs much from the last one.
    mutating func wrote(_ count: Int, isFull: Bool, now: Moment) -> Int? {
        guard let since = self.since else {
            self.since = now
            return nil
        }
        self.passed += count
        self.wasFull = self.wasFull || isFull
        let elapsed = now - since
        guard elapsed >= Self.window else { return nil }
        defer { (self.passed, self.wasFull, self.since) = (0, false, now) }
        // A link that was never full says nothing about how fast it could be.
        guard self.wasFull, elapsed < Self.window * 4 else { return nil }
        let rate = Double(self.passed) / elapsed.inSeconds
        let wanted = min(max(Int(rate * Self.horizon), Self.range.lowerBound), Self.range.upperBound)
        guard abs(wanted - self.bytes) > self.bytes / 4 else { return nil }
        self.bytes = wanted
        return wanted
    }
}
