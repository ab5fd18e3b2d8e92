/// Which server to dial next, when, and when to give up on a session,
/// sans-IO: the answers to everything that can happen to the client's link.
///
/// ```
/// fresh ──── session made ───→ up ──── link lost ───→ resuming ──── resumed ───→ up
///   ↑                                                     │
///   └──────────── session over (any of the rules) ────────┘
/// ```
struct DialPlan: Sendable {
    /// What came of a dial that was to resume a session.
    enum ResumeFailure: Sendable, Equatable {
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
        /// The session is over: end it, then dial for a new one after this long.
        case abandon(after: Duration)
        /// Dial for a new session beside the old one; when it stands, the old one is over.
        case replace
    }

    private var backoff = Backoff()
    private var refusals = 0
    private let serverCount: Int
    /// The server to dial for a new session, an index into the list.
    private(set) var server = 0
    /// Servers that have refused this client since the last one that did not, by index.
    private var refusedBy: Set<Int> = []
    private(set) var wasEverAccepted = false

    /// Two refused connections this far apart mean that the process is gone and not coming back by itself.
    private static let secondLook = Duration.milliseconds(200)

    init(serverCount: Int) { self.serverCount = max(1, serverCount) }

    /// A session stands.
    mutating func connected() {
        self.backoff.reset()
        self.refusals = 0
        self.refusedBy = []
        self.wasEverAccepted = true
    }

    /// A dial for a new session came to nothing. `isRefusal`: the server refused this client's credentials.
    /// Returns the wait before the next server in the list is tried.
    mutating func freshDialFailed(isRefusal: Bool, using rng: inout some RandomNumberGenerator) -> Duration {
        if isRefusal { self.refusedBy.insert(self.server) }
        self.server = (self.server + 1) % self.serverCount
        // A whole round through the list costs one step of the backoff.
        return self.server == 0 ? self.backoff.next(using: &rng) : .zero
    }

    /// The wait before a new session after the old one was taken over by another process of the same installation: were
    /// there two of them for long, they would evict each other as fast as they can dial.
    func waitAfterTakeover(using rng: inout some RandomNumberGenerator) -> Duration {
        .seconds(15) * Double.random(in: 0.5...1, using: &rng)
    }

    /// Every server refused this client, and none ever took it: trying on makes no sense.
    var isHopeless: Bool { !self.wasEverAccepted && self.refusedBy.count == self.serverCount }

    mutating func resumeFailed(_ failure: ResumeFailure, using rng: inout some RandomNumberGenerator) -> Step {
        self.refusals = failure == .connectionRefused ? self.refusals + 1 : 0
        switch failure {
        case .connectionRefused where self.refusals >= 2:
            self.refusals = 0
            return .abandon(after: self.backoff.next(using: &rng))
        case .connectionRefused: return .resume(after: Self.secondLook)
        case .otherInstance: return .replace
        case .unknownSession: return .abandon(after: .zero)
        case .other: return .resume(after: self.backoff.next(using: &rng))
        }
    }
}
