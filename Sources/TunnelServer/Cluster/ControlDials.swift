import Timing
import TunnelWire

/// When to dial which peer for a control link. Sans-IO.
///
/// Every server dials every other, so that a pair that can reach each other in one direction only still has a link. An address
/// is known from the configuration or from the members; who answers there is known when somebody has.
struct ControlDials: Sendable {
    private struct Place: Sendable {
        /// Who answered there last.
        var peer: ServerName?
        var due: Moment
        var isDialling = false
        /// The link that was dialled there stands.
        var isLinked = false
        var failures = 0
    }

    private var places: [PeerAddress: Place] = [:]
    private var configured: Set<PeerAddress> = []
    private var learned: [ServerName: [PeerAddress]] = [:]

    private static let first = Duration.milliseconds(100)
    private static let longest = Duration.seconds(2)
    /// An address that leads to this server itself, or to a peer that has a link already, is looked at again after so long.
    static let secondLook = Duration.seconds(60)

    /// The addresses that the configuration says, without this server's own.
    mutating func configure(_ addresses: some Sequence<PeerAddress>, now: Moment) {
        self.configured = Set(addresses)
        self.review(now)
    }

    /// Where a member says that it is dialled.
    mutating func learn(_ name: ServerName, _ addresses: [PeerAddress], now: Moment) {
        guard self.learned[name] != addresses else { return }
        self.learned[name] = addresses
        self.review(now)
    }

    mutating func forget(_ name: ServerName, now: Moment) {
        self.learned[name] = nil
        self.review(now)
    }

    private mutating func review(_ now: Moment) {
        let wanted = self.learned.values.reduce(into: self.configured) { $0.formUnion($1) }
        self.places = self.places.filter { wanted.contains($0.key) || $0.value.isDialling || $0.value.isLinked }
        for address in wanted where self.places[address] == nil { self.places[address] = Place(due: now) }
    }

    // MARK: Dialling

    var deadline: Moment? {
        self.places.values.filter { !$0.isDialling && !$0.isLinked }.map(\.due).min()
    }

    /// The addresses to dial now.
    mutating func due(now: Moment) -> [PeerAddress] {
        let due = self.places.filter { !$0.value.isDialling && !$0.value.isLinked && $0.value.due <= now }.keys
            .sorted { ($0.host, $0.port) < ($1.host, $1.port) }
        for address in due { self.places[address]?.isDialling = true }
        return due
    }

    /// Dial this peer soon, whatever the backoff says.
    mutating func hurry(_ name: ServerName, now: Moment) {
        for (address, place) in self.places where self.leads(address, place, to: name) { self.places[address]?.due = now }
    }

    private func leads(_ address: PeerAddress, _ place: Place, to name: ServerName) -> Bool {
        place.peer == name || (place.peer == nil && self.learned[name]?.contains(address) ?? false)
    }

    /// Who is known to be at an address.
    func peer(at address: PeerAddress) -> ServerName? {
        self.places[address]?.peer ?? self.learned.filter { $0.value.contains(address) }.keys.min()
    }

    mutating func linked(_ address: PeerAddress, to name: ServerName) {
        guard self.places[address] != nil else { return }
        self.places[address]?.peer = name
        self.places[address]?.isDialling = false
        self.places[address]?.isLinked = true
        self.places[address]?.failures = 0
    }

    /// The address leads to somebody with whom there is a link already, or to this server.
    mutating func superfluous(_ address: PeerAddress, peer name: ServerName?, now: Moment) {
        guard self.places[address] != nil else { return }
        if let name { self.places[address]?.peer = name }
        self.places[address]?.isDialling = false
        self.places[address]?.due = now + Self.secondLook
    }

    mutating func failed(_ address: PeerAddress, now: Moment, rng: inout some RandomNumberGenerator) {
        guard let place = self.places[address] else { return }
        self.places[address]?.isDialling = false
        self.places[address]?.failures += 1
        let ceiling = min(Self.first * (1 << min(place.failures, 5)), Self.longest)
        self.places[address]?.due = now + ceiling * Double.random(in: 0.5...1, using: &rng)
    }

    /// The link that was dialled there is gone: it is dialled again at once, unless it did not last.
    mutating func lost(_ address: PeerAddress, lasted: Duration, now: Moment, rng: inout some RandomNumberGenerator) {
        guard self.places[address] != nil else { return }
        self.places[address]?.isLinked = false
        if lasted < .seconds(1) {
            self.failed(address, now: now, rng: &rng)
        } else {
            self.places[address]?.due = now
        }
        self.review(now)
    }
}
