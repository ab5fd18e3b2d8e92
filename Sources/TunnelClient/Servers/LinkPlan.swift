import Settings
import Timing
import TunnelSession
import TunnelWire

/// Which endpoint to dial and when, so that sessions with `links` *different* servers stand; sans-IO.
///
/// Every missing link is a *vacancy*: a moment from which on it may be filled. While another link is up a vacancy opens
/// only after a random while, for the lost link may come back, and a thousand clients that lose one server must not reach
/// the next in one moment; without any link it opens at once. An open vacancy lets one attempt run. An attempt that was
/// not answered within 300 ms no longer fills it: another endpoint is tried beside it, so servers that swallow everything
/// do not delay the rest.
///
/// An endpoint:
/// ```
/// waiting (until `due`) ── dialled ──→ in flight ── session began ──→ standing ── session ended ──→ waiting
///                                          └────────── failed ─────────────→ waiting
/// ```
/// The driver pulls `next` until nil after every event and when `nextTimer` has come. A link that is lost is redialled by
/// whoever holds the session; the plan hears of it, and of how that ended.
struct LinkPlan: Sendable {
    /// What to do now.
    enum Step: Sendable, Equatable {
        /// Look the name up, then say `resolved` or `resolveFailed`.
        case resolve(HostPort)
        /// Dial for a new session, then say `sessionBegan` or `dialFailed`.
        case dial(Endpoint)
        /// End this session, it is one too many; then say `sessionEnded`.
        case retire(Endpoint)
    }

    /// An attempt that is older no longer counts as one that may succeed any moment.
    static let patience = Duration.milliseconds(300)
    /// A vacancy opens within this long while another link is up.
    static let replacementSpread = Duration.seconds(2)
    /// A vacancy opens within this long while no link is up.
    static let firstAttemptSpread = Duration.milliseconds(100)
    /// How often at most to look whether an address leads elsewhere by now, or a name to more addresses; a random
    /// quarter is added.
    static let secondLook = Duration.seconds(60)
    /// How long one link too many is kept.
    static let surplusPatience = Duration.seconds(60)
    /// How long to wait before looking again for a link that may be retired.
    static let surplusRecheck = Duration.seconds(5)
    /// How long the answer to a lookup serves further attempts.
    static let lookupFreshness = Duration.seconds(1)
    /// How long somebody's waiting connection hurries the attempts.
    static let hurryDuration = Duration.seconds(5)
    /// The longest wait between two attempts at an endpoint while hurried.
    static let hurriedWait = Duration.milliseconds(500)
    /// The longest wait for a server where another process of this installation took over; at least half of it.
    static let takeoverWait = Duration.seconds(15)
    /// The most addresses used of one name.
    static let mostAddressesOfName = 16

    /// How many links to hold.
    private(set) var links: Int
    /// The known entries, in the directory's order.
    var entries: [HostPort] = []
    /// Of the entries that are names.
    var names: [HostPort: Name] = [:]
    /// Of every known endpoint.
    var places: [Endpoint: Place] = [:]
    var dials: [Endpoint: Dial] = [:]
    var standing: [Endpoint: Standing] = [:]
    /// For each missing link, when it may be filled; sorted.
    var vacancies: [Moment]
    /// Servers to be left alone, and until when.
    var shunned: [WireID: Moment] = [:]
    /// Addresses still to be tried because somebody asked for this server, and what of them was tried.
    var demanded: [HostPort] = []
    var demandTried: Set<Endpoint> = []
    /// The entries that the configuration says.
    var configured: Set<HostPort> = []
    var hurriedUntil = Moment.beginning
    /// When to look for a link to retire; nil while there is none too many.
    var surplusReview: Moment?
    var everBegan = false
    /// When `next` was last asked.
    var lastLook = Moment.beginning

    /// A plan that wants `links` links from the start.
    init(links: Int) {
        self.links = max(1, links)
        self.vacancies = Array(repeating: .beginning, count: self.links)
    }

    /// Takes another number of links; further ones are dialled at once, those too many go as any surplus does.
    mutating func setLinks(_ links: Int) {
        self.links = max(1, links)
        self.closeVacancies()
        let missing = self.links - self.hotLinks - self.vacancies.count
        if missing > 0 { self.vacancies.insert(contentsOf: Array(repeating: .beginning, count: missing), at: 0) }
    }

    /// Sessions that have a link and whose server takes new streams.
    var hotLinks: Int { self.standing.values.count(where: \.isHot) }

    /// Every known endpoint refused this client's credentials when it was last asked, and none ever took them: trying on
    /// makes no sense.
    var isHopeless: Bool {
        let known = self.endpoints
        return !self.everBegan && !known.isEmpty && known.allSatisfy { self.places[$0]?.isRefused == true }
    }

    /// The next thing to do at this moment; nil when there is none before `nextTimer`.
    mutating func next(now: Moment, using rng: inout some RandomNumberGenerator) -> Step? {
        self.lastLook = now
        self.shunned = self.shunned.filter { $0.value > now }
        if let endpoint = self.surplus(now: now) {
            self.standing[endpoint]?.isRetiring = true
            return .retire(endpoint)
        }
        if let step = self.demandedStep(now: now) { return step }
        guard self.openVacancies(now: now) > self.youngAttempts(now: now) else { return nil }
        if let best = self.bestCandidate(among: self.endpoints, now: now) { return self.attempt(best, now: now) }
        // Nothing to dial: perhaps a name leads to more servers by now.
        guard let name = self.entries.first(where: { self.names[$0]?.isDue(now: now) ?? false }) else { return nil }
        return self.lookUp(name, now: now)
    }

    /// When `next` may have something to do again without any event; always later than it was last asked.
    var nextTimer: Moment? {
        var moments = [self.surplusReview].compactMap(\.self)
        if !self.demanded.isEmpty { moments += self.dials.values.filter(\.isDemanded).map { $0.since + Self.patience } }
        if !self.vacancies.isEmpty {
            moments += self.vacancies
            moments += self.dials.values.map { $0.since + Self.patience }
            moments += self.standing.values.compactMap { $0.successor?.until }
            moments += self.names.values.map { $0.lookup.map { $0 + Self.patience } ?? $0.lookAgain }
            moments += self.endpoints.filter { !self.isTaken($0) }.map { self.due($0) }
        }
        return moments.filter { $0 > self.lastLook }.min()
    }

    private func openVacancies(now: Moment) -> Int { self.vacancies.count { $0 <= now } }

    /// Dials and lookups that may be answered any moment.
    private func youngAttempts(now: Moment) -> Int {
        self.dials.values.count { now - $0.since < Self.patience }
            + self.names.values.count { name in name.lookup.map { now - $0 < Self.patience } ?? false }
    }
}

extension Moment {
    /// Before everything that happens.
    static let beginning = Moment(nanoseconds: 0)
}
