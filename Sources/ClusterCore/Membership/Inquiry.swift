import Timing
import TunnelWire

/// What this server is finding out about one member.
struct Inquiry: Sendable {
    var probe: Probe?
    var suspicion: Suspicion?
    var evidence: Evidence?

    var isEmpty: Bool { self.probe == nil && self.suspicion == nil && self.evidence == nil }

    var deadline: Moment? {
        var deadline = Moment.earlier(self.probe?.indirectAt, self.probe?.deadline)
        deadline = Moment.earlier(deadline, self.suspicion?.deadline)
        return Moment.earlier(deadline, self.evidence?.windowEnd)
    }
}

/// A ping that waits for its answer.
struct Probe: Sendable {
    var sequence: UInt64
    /// When others are asked to ping as well; nil: they are asked.
    var indirectAt: Moment?
    var deadline: Moment
    /// Who was asked, and when.
    var helpers: [ServerName] = []
    var askedAt: Moment?
    /// Who of them had no answer either, but said so: this server hears well.
    var nacks: Set<ServerName> = []
}

/// The time that a suspected member has to refute.
struct Suspicion: Sendable {
    var begun: Moment
    /// This server has found it silent itself; otherwise it was told.
    var isOwn: Bool
    /// The local health when it began.
    var multiplier: Int
    /// When the member is declared dead.
    var deadline: Moment
    /// How long, and how often, it was put off because this server was late.
    var postponement = Duration.zero
    var postponements = 0

    init(begun: Moment, isOwn: Bool, multiplier: Int) {
        self.begun = begun
        self.isOwn = isOwn
        self.multiplier = multiplier
        self.deadline = begun
    }

    /// Counts from now on again.
    mutating func restart(now: Moment) {
        self.deadline = now + (self.deadline - self.begun - self.postponement)
        self.begun = now
        self.postponement = .zero
    }

    mutating func postpone(by span: Duration) {
        self.postponement += span
        self.deadline = self.deadline + span
    }

    /// How long a member has: from the longest span without anybody else who suspects it, quickly down to the shortest.
    static func span(
        confirmations: Int, expected: Int, configuration: MembershipConfiguration
    ) -> Duration {
        guard confirmations < expected else { return configuration.suspicionMinimum }
        let harmonic = { (count: Int) in (1...max(1, count)).reduce(0) { $0 + 1_000 / $1 } }
        let share = confirmations == 0 ? 0 : harmonic(confirmations) * 1_000 / harmonic(expected)
        return configuration.suspicionMaximum - (configuration.suspicionMaximum - configuration.suspicionMinimum) * share / 1_000
    }
}

/// A member's link broke, or nobody listens at its address: it is probably gone.
struct Evidence: Sendable {
    /// Of the requests to the helpers.
    var sequence: UInt64
    /// So long the helpers have to reach it; nil: that time is over.
    var windowEnd: Moment?
    /// Dialled again since, and refused.
    var isRefused = false
    /// Who was asked to reach it.
    var helpers: [ServerName]
    /// Who of them could not.
    var unreachable: Set<ServerName> = []

    /// Nobody reaches it: it is dead.
    var isProof: Bool {
        self.isRefused && (self.windowEnd == nil || self.helpers.allSatisfy(self.unreachable.contains))
    }
}

/// A ping for another who had no answer.
struct Errand: Sendable {
    var requester: ServerName
    /// The requester's.
    var requestSequence: UInt64
    var target: ServerName
    /// Of the ping.
    var sequence: UInt64
    var deadline: Moment
}

/// How well this server keeps its own time (Lifeguard): one that is itself late gives others more time.
struct LocalHealth: Sendable {
    /// 0: well.
    private(set) var score = 0
    private var worsenedAt: Moment?

    func multiplier(limit: Int) -> Int { min(1 + self.score, limit) }

    /// Once in `spacing` at most: one hiccup shows in many ways.
    mutating func worsen(now: Moment, spacing: Duration, limit: Int) {
        if let last = self.worsenedAt, now < last + spacing { return }
        self.worsenedAt = now
        self.score = min(self.score + 1, limit - 1)
    }

    mutating func improve() { self.score = max(0, self.score - 1) }
}
