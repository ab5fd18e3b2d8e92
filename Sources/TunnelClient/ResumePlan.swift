import Timing
import TunnelSession

/// When to dial the server of a session again after its link broke, and when to give up on the session, sans-IO.
///
/// ```
/// up ── link lost ──→ resuming ── resumed ──→ up
///                        └── any of the rules ──→ over
/// ```
struct ResumePlan: Sendable {
    /// What came of a dial that was to resume a session.
    enum Failure: Sendable, Equatable {
        /// Nobody listens there.
        case connectionRefused
        /// Another instance answers there; nothing is proved until it has authenticated itself.
        case otherInstance
        /// The right instance does not know the session.
        case unknownSession
        /// Anything that may pass.
        case other
    }

    /// What to do now.
    enum Step: Sendable, Equatable {
        /// Dial again, for the same session, after this long.
        case resume(after: Duration)
        /// The session is over.
        case abandon
        /// Dial for a new session beside the old one; when it stands, the old one is over.
        case replace
    }

    private var backoff = Backoff()
    private var refusals = 0
    private var linkedAt: Moment?
    /// How many links in a row did not last.
    private var shortLived = 0

    /// A link that lasted less counts as one that did not; one that lasted long ends the count.
    private static let short = Duration.seconds(1)
    private static let long = Duration.seconds(10)
    /// The pause before the next dial grows by this with each link that did not last, up to a second.
    private static let pauseStep = Duration.milliseconds(10)

    /// Two refused connections this far apart mean that the process is gone and not coming back by itself.
    private static let secondLook = Duration.milliseconds(200)

    /// Between two dials of a server that does not answer. Short, and not growing: all this is bounded by the session's
    /// window, and a network that comes back within it should find somebody who dials just then.
    private static let longestWait = Duration.milliseconds(250)
    /// An attempt to connect takes at least this long, or so many round trips. The kernel repeats an unanswered SYN after
    /// 1, 3 and 7 s: one that waited for those would miss a network that comes back in between.
    private static let shortestPatience = Duration.milliseconds(500)
    private static let tripsOfPatience = 4

    /// How long an attempt to connect may take.
    static func patience(roundTrip: Duration?) -> Duration {
        max(Self.shortestPatience, (roundTrip ?? .zero) * Self.tripsOfPatience)
    }

    /// A link carries the session.
    mutating func connected(now: Moment) {
        self.backoff.reset()
        self.refusals = 0
        self.linkedAt = now
    }

    /// The link is gone. How long to wait before the first dial: not at all, unless links break as fast as they are made.
    /// A handshake costs both ends too much to be repeated without pause for ever.
    mutating func lost(now: Moment) -> Duration {
        let lasted = self.linkedAt.map { now - $0 } ?? .zero
        if lasted >= Self.long { self.shortLived = 0 }
        guard lasted < Self.short else { return .zero }
        self.shortLived += 1
        return self.shortLived == 1 ? .zero : min(Self.pauseStep * self.shortLived, .seconds(1))
    }

    mutating func failed(_ failure: Failure, using rng: inout some RandomNumberGenerator) -> Step {
        self.refusals = failure == .connectionRefused ? self.refusals + 1 : 0
        switch failure {
        case .connectionRefused where self.refusals >= 2: return .abandon
        case .connectionRefused: return .resume(after: Self.secondLook)
        case .otherInstance: return .replace
        case .unknownSession: return .abandon
        case .other: return .resume(after: self.backoff.next(atMost: Self.longestWait, using: &rng))
        }
    }
}
