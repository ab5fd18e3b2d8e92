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

    /// Two refused connections this far apart mean that the process is gone and not coming back by itself.
    private static let secondLook = Duration.milliseconds(200)

    /// A link carries the session.
    mutating func connected() {
        self.backoff.reset()
        self.refusals = 0
    }

    mutating func failed(_ failure: Failure, using rng: inout some RandomNumberGenerator) -> Step {
        self.refusals = failure == .connectionRefused ? self.refusals + 1 : 0
        switch failure {
        case .connectionRefused where self.refusals >= 2: return .abandon
        case .connectionRefused: return .resume(after: Self.secondLook)
        case .otherInstance: return .replace
        case .unknownSession: return .abandon
        case .other: return .resume(after: self.backoff.next(using: &rng))
        }
    }
}
