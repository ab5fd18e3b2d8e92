import Timing

/// The times of a control link.
package struct PeerPace: Sendable {
    /// Between two PINGs.
    package var interval: Duration
    /// A link on which nothing was heard for this long is silent.
    package var silence: Duration

    package init(interval: Duration = .milliseconds(500), silence: Duration = .seconds(3)) {
        self.interval = interval
        self.silence = silence
    }
}

/// When to send a PING on a control link, how long its round trip is, and when it has been silent for too long. Sans-IO.
///
/// Only time that this process watched counts as silence: when it was stopped or starved, its own late timer comes before
/// what the other end had sent meanwhile, and must not condemn it.
struct PeerLiveness: Sendable {
    private let pace: PeerPace
    private var unheard = Duration.zero
    private var watchedAt: Moment
    private var pingAt: Moment
    private(set) var roundTrip: Duration?

    init(_ pace: PeerPace, now: Moment) {
        self.pace = pace
        self.watchedAt = now
        self.pingAt = now
    }

    /// Some bytes came.
    mutating func heard(now: Moment) {
        self.unheard = .zero
        self.watchedAt = now
    }

    /// A PONG came with the mark of its PING, when that was sent. Marks that cannot be are ignored.
    mutating func answered(mark: Moment, now: Moment) {
        let sample = now - mark
        guard sample >= .zero, sample <= self.pace.silence * 2 else { return }
        // RFC 6298: seven parts old, one part new.
        self.roundTrip = self.roundTrip.map { ($0 * 7 + sample) / 8 } ?? sample
    }

    enum Verdict: Equatable {
        case fine
        case pingDue
        case silent
    }

    /// The timer went off.
    mutating func tick(now: Moment) -> Verdict {
        self.unheard += min(now - self.watchedAt, self.pace.interval * 2)
        self.watchedAt = now
        guard self.unheard < self.pace.silence else { return .silent }
        guard now >= self.pingAt else { return .fine }
        self.pingAt = now + self.pace.interval
        return .pingDue
    }

    /// When to call `tick` next.
    var nextTick: Moment { min(self.pingAt, self.watchedAt + (self.pace.silence - self.unheard)) }
}
