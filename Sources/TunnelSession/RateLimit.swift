import Timing

/// A token bucket: so many bytes a second on average, with a burst of a tenth of a second (at least 64 KiB).
struct RateLimit: Sendable {
    private let bytesPerSecond: Double
    private let burst: Double
    private var available: Double
    private var filledAt: Moment

    init(bytesPerSecond: Int, now: Moment) {
        self.bytesPerSecond = Double(max(1, bytesPerSecond))
        self.burst = max(65_536, self.bytesPerSecond / 10)
        self.available = self.burst
        self.filledAt = now
    }

    /// Whether something may pass. What passes may overdraw the bucket; the debt is waited for.
    mutating func isOpen(now: Moment) -> Bool {
        self.fill(now: now)
        return self.available > 0
    }

    /// Time has passed. Once the bucket is open again it asks for no timer, even if nothing can be sent yet.
    mutating func fill(now: Moment) {
        let elapsed = (now - self.filledAt).inSeconds
        guard elapsed > 0 else { return }
        self.available = min(self.burst, self.available + elapsed * self.bytesPerSecond)
        self.filledAt = now
    }

    mutating func spend(_ bytes: Int) { self.available -= Double(bytes) }

    /// When something may pass again; nil while it may.
    var opensAt: Moment? {
        guard self.available <= 0 else { return nil }
        return self.filledAt + .nanoseconds(Int64((1 - self.available) / self.bytesPerSecond * 1e9) + 1)
    }
}
