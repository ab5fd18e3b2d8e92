import Settings
import Timing
import TunnelSession
import TunnelWire

/// What is known of endpoints, and which comes next.
extension LinkPlan {
    /// What is known of a DNS name.
    struct Name: Sendable {
        /// What it led to when it was last resolved with success.
        var addresses: [HostPort] = []
        /// Since when a lookup is under way.
        var lookup: Moment?
        /// When the last lookup was answered.
        var answered: Moment?
        /// When to look for new addresses though nothing is to be dialled.
        var lookAgain = Moment.beginning

        /// Whether a dial may use the addresses without asking anew.
        func isFresh(now: Moment) -> Bool { self.answered.map { now - $0 < LinkPlan.lookupFreshness } ?? false }
        /// Whether a lookup takes so long that the last known addresses are used meanwhile.
        func isSlow(now: Moment) -> Bool { self.lookup.map { now - $0 >= LinkPlan.patience } ?? false }
        func isDue(now: Moment) -> Bool { self.lookup == nil && self.lookAgain <= now }
    }

    /// What is known of an endpoint.
    struct Place: Sendable {
        /// Decides among equals; random, so that a fleet with one list spreads over its servers.
        let rank: UInt64
        /// In a row.
        var failures = 0
        var backoff = Backoff()
        /// Not to be dialled before.
        var due: Moment
        /// The server that answered there last.
        var server: WireID?
        /// When to look whether it still does, while a session with that server stands elsewhere.
        var secondLook = Moment.beginning
        /// The last answer was that this client's credentials are not accepted.
        var isRefused = false

        init(rank: UInt64, due: Moment) {
            self.rank = rank
            self.due = due
        }
    }

    /// A dial in flight.
    struct Dial: Sendable {
        let since: Moment
        /// Dialled because somebody asked for its server, whatever other links are up.
        var isDemanded: Bool
        /// Who answers there, by its own unproved word, and since when that is known.
        var met: (server: WireID, at: Moment)?
        /// What was made of that.
        var verdict = Verdict.go
    }

    /// Every endpoint that may be dialled, in the order of the entries. A name without addresses stands for itself.
    var endpoints: [Endpoint] {
        self.entries.flatMap { entry in
            let addresses = self.names[entry]?.addresses ?? []
            return addresses.isEmpty ? [Endpoint(entry: entry)] : addresses.map { Endpoint(entry: entry, address: $0) }
        }
    }

    /// The step of a server that was asked for: its addresses are tried one after the other, each once.
    mutating func demandedStep(now: Moment) -> Step? {
        while let entry = self.demanded.first {
            let isWaiting = self.dials.values.contains { $0.isDemanded && now - $0.since < Self.patience }
            if isWaiting || self.names[entry]?.lookup != nil { return nil }
            let places = self.endpoints.filter { $0.entry == entry && !self.isTaken($0) && !self.demandTried.contains($0) }
            let best = places.min { self.preference($0) < self.preference($1) }
            guard let best else {
                // On its way there already: then not as one too many.
                for endpoint in self.dials.keys where endpoint.entry == entry { self.dials[endpoint]?.isDemanded = true }
                self.demanded.removeFirst()
                continue
            }
            let needsLookup = entry.isName && self.names[entry]?.isFresh(now: now) != true
            if needsLookup { return self.lookUp(entry, now: now) }
            self.demandTried.insert(best)
            // A name that leads nowhere.
            if best.isUnresolved { continue }
            return self.dial(best, isDemanded: true, now: now)
        }
        return nil
    }

    /// The endpoint to try next: one never tried or with the fewest failures in a row, those that lead to a connected
    /// server last.
    func bestCandidate(among endpoints: [Endpoint], now: Moment) -> Endpoint? {
        let candidates = endpoints.filter { endpoint in
            let isBeingLookedUp = self.names[endpoint.entry].map { $0.lookup != nil && !$0.isSlow(now: now) } ?? false
            let isUseless = endpoint.isUnresolved && self.names[endpoint.entry]?.lookup != nil
            return self.due(endpoint) <= now && !isBeingLookedUp && !isUseless && !self.isTaken(endpoint)
        }
        return candidates.min { self.preference($0) < self.preference($1) }
    }

    /// Less comes first.
    private func preference(_ endpoint: Endpoint) -> (Int, Int, UInt64) {
        guard let place = self.places[endpoint] else { return (3, 0, 0) }
        // What servers only told of and nobody ever answered at comes behind what the configuration says: hearsay must
        // not keep a client from the servers that it was given.
        let isHearsay = place.server == nil && !self.configured.contains(endpoint.entry)
        return (self.isAlias(endpoint) ? 2 : isHearsay ? 1 : 0, place.failures, place.rank)
    }

    /// Dials the endpoint, or resolves its name first.
    mutating func attempt(_ endpoint: Endpoint, now: Moment) -> Step {
        if let name = self.names[endpoint.entry] {
            let isUsable = name.isFresh(now: now) || name.isSlow(now: now)
            if endpoint.isUnresolved || !isUsable { return self.lookUp(endpoint.entry, now: now) }
        }
        return self.dial(endpoint, isDemanded: false, now: now)
    }

    mutating func lookUp(_ entry: HostPort, now: Moment) -> Step {
        self.names[entry]?.lookup = now
        return .resolve(entry)
    }

    private mutating func dial(_ endpoint: Endpoint, isDemanded: Bool, now: Moment) -> Step {
        self.dials[endpoint] = Dial(since: now, isDemanded: isDemanded)
        return .dial(endpoint)
    }

    /// When the endpoint may be dialled, were there need.
    func due(_ endpoint: Endpoint) -> Moment {
        guard let place = self.places[endpoint] else { return .beginning }
        let due = self.isAlias(endpoint) ? max(place.secondLook, place.due) : place.due
        return max(due, place.server.flatMap { self.shunned[$0] } ?? due)
    }

    /// Whether it is in use, or is the same place as one that is.
    func isTaken(_ endpoint: Endpoint) -> Bool {
        if self.dials[endpoint] != nil || self.standing[endpoint] != nil { return true }
        let target = endpoint.target
        return self.dials.keys.contains { $0.target == target } || self.standing.keys.contains { $0.target == target }
    }

    /// Whether it leads to a server with which there is a session already, or soon will be.
    func isAlias(_ endpoint: Endpoint) -> Bool {
        guard let server = self.places[endpoint]?.server else { return false }
        return self.holds(server, elsewhereThan: endpoint, at: self.lastLook)
    }

    /// Whether a session with this server stands or is being made at another endpoint.
    func holds(_ server: WireID, elsewhereThan endpoint: Endpoint, at now: Moment) -> Bool {
        self.standing.contains { $0.key != endpoint && $0.value.holds(server, at: now) }
            || self.dials.contains { $0.key != endpoint && $0.value.verdict == .go && $0.value.met?.server == server }
    }
}
