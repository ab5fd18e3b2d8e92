import TunnelWire

/// When to acknowledge: after so many bytes, or so long after the first of them.
struct AckSchedule: Sendable {
    private let bytes: UInt64
    private let delay: Duration
    private var lastSent: UInt64 = 0
    private var since: Moment?
    private var isForced = false

    init(bytes: UInt64, delay: Duration) {
        self.bytes = bytes
        self.delay = delay
    }

    /// `received` bytes in all have been taken.
    mutating func received(_ received: UInt64, now: Moment) {
        if received > self.lastSent, self.since == nil { self.since = now }
    }

    /// Whether an ACK of `received` should go out now.
    func isDue(_ received: UInt64, now: Moment) -> Bool {
        if self.isForced { return true }
        guard let since = self.since else { return false }
        return received - self.lastSent >= self.bytes || now >= since + self.delay
    }

    /// When an ACK becomes due if nothing more arrives.
    var deadline: Moment? { self.since.map { $0 + self.delay } }

    mutating func sent(_ received: UInt64) {
        self.lastSent = received
        self.since = nil
        self.isForced = false
    }

    /// The counts were exchanged in a handshake, which is an acknowledgement too.
    mutating func linkAttached(_ received: UInt64) { self.sent(received) }

    /// The next opportunity is taken, whatever the count.
    mutating func force() { self.isForced = true }
}
