import Timing
import TunnelWire

/// What one stream may still receive, and how much it is given next.
///
/// The window starts at 64 KiB and doubles while half of it is used up within a round trip: then the window, not
/// the path, was the limit. It never holds more than `window` bytes that the local program has not taken.
struct CreditWindow: Sendable {
    private(set) var window = Limits.initialCredit
    /// Bytes that the peer may still send.
    private(set) var remaining = Limits.initialCredit
    /// Bytes received and not yet taken by the local program.
    private(set) var outstanding = 0
    /// Bytes taken since credit was last given.
    private var taken = 0
    private var lastGrant: Moment?

    /// What the window holds beyond what every stream has.
    var growth: Int { self.window - Limits.initialCredit }

    /// False when the peer sent more than it was allowed.
    mutating func receive(_ bytes: Int) -> Bool {
        guard bytes <= self.remaining else { return false }
        self.remaining -= bytes
        self.outstanding += bytes
        return true
    }

    /// The local program has taken `bytes`. True when credit is due.
    mutating func take(_ bytes: Int) -> Bool {
        let bytes = min(bytes, self.outstanding)
        self.outstanding -= bytes
        self.taken += bytes
        return self.isDue
    }

    /// Half the window has been taken since the last grant.
    var isDue: Bool { self.taken >= self.window / 2 }

    /// The credit to give now, in bytes. The window may grow by up to `room`, to at most `maximum`.
    mutating func grant(now: Moment, roundTrip: Duration?, maximum: Int, room: Int) -> UInt32 {
        if let last = self.lastGrant, now - last <= roundTrip ?? .milliseconds(100) {
            let larger = min(self.window * 2, maximum, self.window + room)
            if larger > self.window { self.window = larger }
        }
        self.lastGrant = now
        self.taken = 0
        let credit = max(0, self.window - self.outstanding - self.remaining)
        self.remaining += credit
        return UInt32(clamping: credit)
    }
}

extension CreditWindow {
    /// Goes on where another one was: what is neither `remaining` nor `outstanding` of the window has been taken. Nothing is
    /// known of when credit was last given, so the first grant does not grow the window.
    init(window: Int, remaining: Int, outstanding: Int) {
        self.init()
        self.window = window
        self.remaining = remaining
        self.outstanding = outstanding
        self.taken = window - remaining - outstanding
    }
}
