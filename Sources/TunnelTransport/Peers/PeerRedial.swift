import Timing

/// When to dial a peer again for a data session, and when to give a session up whose link broke. Sans-IO.
struct PeerRedial: Sendable {
    /// What came of a dial that was to resume a session.
    enum Failure: Sendable, Equatable {
        /// Nobody listens there.
        case connectionRefused
        /// Another instance answers there; nothing is proved until it has authenticated itself.
        case otherInstance
        /// The right instance does not know the session, or wants no more of this server.
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

    private static let first = Duration.milliseconds(100)
    private static let longest = Duration.seconds(2)
    /// Two refused connections this far apart mean that the process is gone.
    private static let secondLook = Duration.milliseconds(200)
    /// A link that lasted less does not make the next wait shorter.
    private static let short = Duration.seconds(1)

    private var ceiling = Self.first
    private var refusedAt: Moment?
    private var linkedAt: Moment?

    /// The next wait, between half and the whole of a ceiling that doubles.
    mutating func wait(using rng: inout some RandomNumberGenerator) -> Duration {
        let wait = self.ceiling * Double.random(in: 0.5...1, using: &rng)
        self.ceiling = min(self.ceiling * 2, Self.longest)
        return wait
    }

    /// Somebody knows that the peer is there: the next waits are short again.
    mutating func encourage() { self.ceiling = Self.first }

    /// A link carries the session.
    mutating func linked(now: Moment) {
        self.linkedAt = now
        self.refusedAt = nil
    }

    /// The link is gone. How long to wait before the first dial: not at all, unless it did not last.
    mutating func lost(now: Moment, using rng: inout some RandomNumberGenerator) -> Duration {
        self.didLast(now: now) ? .zero : self.wait(using: &rng)
    }

    /// The session is over. How long to wait before another is dialled.
    mutating func ended(now: Moment, using rng: inout some RandomNumberGenerator) -> Duration {
        self.refusedAt = nil
        _ = self.didLast(now: now)
        return self.wait(using: &rng)
    }

    /// Whether the link that is gone now has earned short waits.
    private mutating func didLast(now: Moment) -> Bool {
        let lasted = self.linkedAt.map { now - $0 } ?? .zero
        self.linkedAt = nil
        guard lasted >= Self.short else { return false }
        self.encourage()
        return true
    }

    /// A dial to resume came to nothing.
    mutating func failed(
        _ failure: Failure, isRestarting: Bool, now: Moment, using rng: inout some RandomNumberGenerator
    ) -> Step {
        guard failure == .connectionRefused else {
            self.refusedAt = nil
            return switch failure {
            case .otherInstance: .replace
            case .unknownSession: .abandon
            case .other, .connectionRefused: .resume(after: self.wait(using: &rng))
            }
        }
        guard !isRestarting else { return .resume(after: self.wait(using: &rng)) }
        guard let refusedAt = self.refusedAt else {
            self.refusedAt = now
            return .resume(after: Self.secondLook)
        }
        return now - refusedAt >= Self.secondLook ? .abandon : .resume(after: Self.secondLook - (now - refusedAt))
    }
}
