import Settings
import Timing
import TunnelSession

/// Which endpoints there are.
extension LinkPlan {
    /// Takes the known server addresses. Sessions with servers that are not among them any more go on.
    /// - Parameter configured: how many of them, from the first on, the configuration says; nil: all. The others are
    ///   hearsay.
    mutating func setEntries(
        _ entries: [HostPort], configured: Int? = nil, now: Moment, using rng: inout some RandomNumberGenerator
    ) {
        self.configured = Set(entries.prefix(configured ?? entries.count))
        self.entries = entries.withoutDuplicates()
        let known = Set(self.entries)
        self.names = self.names.filter { known.contains($0.key) }
        for entry in self.entries where entry.isName && self.names[entry] == nil { self.names[entry] = Name() }
        self.reviewPlaces(now: now, using: &rng)
    }

    /// A name was looked up. `addresses`: IP address and port each, as text; what is none is passed over.
    mutating func resolved(
        _ entry: HostPort, _ addresses: [String], now: Moment, using rng: inout some RandomNumberGenerator
    ) {
        let usable = addresses.compactMap { HostPort($0) }.filter { !$0.isName }.withoutDuplicates()
        guard !usable.isEmpty else { return self.resolveFailed(entry, now: now, using: &rng) }
        self.lookupEnded(entry, now: now, using: &rng)
        self.names[entry]?.addresses = Array(usable.prefix(Self.mostAddressesOfName))
        self.reviewPlaces(now: now, using: &rng)
    }

    /// A name could not be looked up: the addresses it had stay in use.
    mutating func resolveFailed(_ entry: HostPort, now: Moment, using rng: inout some RandomNumberGenerator) {
        self.lookupEnded(entry, now: now, using: &rng)
        self.failed(Endpoint(entry: entry), now: now, using: &rng)
    }

    /// Somebody wants a session with this server: its addresses are dialled at once, one after the other, each once,
    /// whatever other links are up.
    /// - Returns: whether there is any way to it: a session with it, or an address.
    mutating func demand(server: String, addresses: [HostPort]) -> Bool {
        if self.standing.values.contains(where: { $0.name == server }) { return true }
        let known = Set(self.entries)
        self.demanded = addresses.withoutDuplicates().filter { known.contains($0) }
        self.demandTried = []
        return !self.demanded.isEmpty
    }

    /// The server that was asked for is reached.
    mutating func demandIsMet() {
        self.demanded = []
        self.demandTried = []
    }

    private mutating func lookupEnded(_ entry: HostPort, now: Moment, using rng: inout some RandomNumberGenerator) {
        guard var name = self.names[entry] else { return }
        name.lookup = nil
        name.answered = now
        name.lookAgain = now + Self.secondLook * Double.random(in: 1...1.25, using: &rng)
        self.names[entry] = name
    }

    /// Keeps what is known of the endpoints there still are, and takes in new ones.
    private mutating func reviewPlaces(now: Moment, using rng: inout some RandomNumberGenerator) {
        let current = self.endpoints
        let known = Set(current)
        self.places = self.places.filter { known.contains($0.key) }
        for endpoint in current where self.places[endpoint] == nil {
            self.places[endpoint] = Place(rank: rng.next(), due: now)
        }
    }
}
