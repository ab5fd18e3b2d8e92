import Timing
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

    /// When an ACK becomes due if nothing more arrives; nil also while one waits for the link to take bytes.
    var deadline: Moment? { self.isForced ? nil : self.since.map { $0 + self.delay } }

    /// An ACK that is due now goes out at the next opportunity, and no timer needs to ask for it again.
    mutating func timePassed(_ received: UInt64, now: Moment) {
        if self.isDue(received, now: now) { self.isForced = true }
    }

    mutating func sent(_ received: UInt64) {
        self.lastSent = received
        self.since = nil
        self.isForced = false
    }

    /// The counts were exchanged in a handshake, which is an acknowledgement too.
    mutating func linkAttached(_ received: UInt64) { self.sent(received) }
}
