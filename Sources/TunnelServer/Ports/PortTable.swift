import Timing
import TunnelWire

/// What a mapped port leads to.
struct PortHolder: Hashable, Sendable {
    var client: String
    var exposure: String
}

/// Which ports this server listens on, and for whom: those that clients' configurations name, wherever in the cluster the
/// client is, and those that the leader gave out. Sans-IO.
struct PortTable: Sendable {
    /// A registration that names a port, at one server.
    private struct Claim: Sendable {
        var holder: PortHolder
        /// Milliseconds since 1970.
        var claimedAt: UInt64
        var isHealthy: Bool
    }

    /// Which client at which server.
    struct Source: Hashable, Sendable {
        var server: ServerName
        var client: String
    }

    private var claims: [UInt16: [Source: [Claim]]] = [:]
    private var claimed: [Source: Set<UInt16>] = [:]
    private var assigned: [UInt16: MappedPort] = [:]
    private var ports: [PortHolder: UInt16] = [:]
    /// The health of exposures with an assigned port, by who says so.
    private var assignedHealth: [PortHolder: [Source: Bool]] = [:]
    /// The exposures of a registration that have, or wait for, an assigned port.
    private var wanting: [Source: Set<PortHolder>] = [:]
    /// Claims that vanished: the port stays as it is for a while, because the client may be on its way to another server.
    private var lingering: [UInt16: (holder: PortHolder, until: Moment)] = [:]
    /// The highest token heard of for each port.
    private var tokens: [UInt16: Ballot] = [:]
    /// Ports where something may be different now.
    private(set) var changed: Set<UInt16> = []

    /// How long a port stays when nobody claims it any more.
    static let linger = Duration.seconds(60)

    // MARK: Reading

    /// Whom the port belongs to; nil: nobody. An assigned port is its holder's; of several claims the oldest holds, then the one
    /// with the lesser client name.
    func holder(of port: UInt16) -> PortHolder? {
        if let assigned = self.assigned[port] { return PortHolder(client: assigned.client, exposure: assigned.exposure) }
        return self.claimant(of: port) ?? self.lingering[port]?.holder
    }

    /// The same, but for a port that is only kept for a client that went away: another one may have it.
    func firmHolder(of port: UInt16) -> PortHolder? {
        if let assigned = self.assigned[port] { return PortHolder(client: assigned.client, exposure: assigned.exposure) }
        return self.claimant(of: port)
    }

    private func claimant(of port: UInt16) -> PortHolder? {
        self.claims[port]?.values.joined().min {
            ($0.claimedAt, $0.holder.client, $0.holder.exposure) < ($1.claimedAt, $1.holder.client, $1.holder.exposure)
        }?.holder
    }

    /// Whether to listen: not while every registration of the exposure says that its target is down. Without any, those who
    /// connect wait for the client.
    func isWanted(_ port: UInt16) -> Bool {
        guard let holder = self.holder(of: port) else { return false }
        var health: [Bool] = []
        for claims in self.claims[port]?.values.map(\.self) ?? [] {
            health += claims.filter { $0.holder == holder }.map(\.isHealthy)
        }
        if self.assigned[port] != nil, let said = self.assignedHealth[holder] { health += said.values }
        return health.isEmpty || health.contains(true)
    }

    /// The port that the leader gave to an exposure.
    func assignedPort(of holder: PortHolder) -> UInt16? { self.ports[holder] }

    /// When the holder's client was first granted this port; nil if it has not been.
    func claimedAt(_ port: UInt16, by holder: PortHolder) -> UInt64? {
        self.claims[port]?.values.joined().filter { $0.holder == holder }.map(\.claimedAt).min()
    }

    /// Every port that somebody holds.
    var all: [UInt16] { Set(self.claims.keys).union(self.assigned.keys).union(self.lingering.keys).sorted() }

    /// What may be different since this was last called.
    mutating func takeChanged() -> [UInt16] {
        defer { self.changed = [] }
        return self.changed.sorted()
    }

    var nextLingerEnd: Moment? { self.lingering.values.map(\.until).min() }

    // MARK: Changes

    /// A client's registration at a server, or none any more.
    mutating func set(_ source: Source, _ record: ClientRecord?, now: Moment) {
        var former: [UInt16: PortHolder] = [:]
        for port in self.claimed.removeValue(forKey: source) ?? [] { former[port] = self.remove(source, from: port) }
        for holder in self.wanting.removeValue(forKey: source) ?? [] {
            self.assignedHealth[holder]?[source] = nil
            if self.assignedHealth[holder]?.isEmpty == true { self.assignedHealth[holder] = nil }
            if let port = self.ports[holder] { self.changed.insert(port) }
        }
        for exposure in record?.exposures ?? [] { self.add(exposure, source) }
        // A client that is there and does not name the port any more has given it up.
        guard record == nil else { return }
        for (port, holder) in former where self.claims[port] == nil { self.lingering[port] = (holder, now + Self.linger) }
    }

    private mutating func remove(_ source: Source, from port: UInt16) -> PortHolder? {
        let claim = self.claims[port]?.removeValue(forKey: source)?.first
        if self.claims[port]?.isEmpty == true { self.claims[port] = nil }
        self.changed.insert(port)
        return claim?.holder
    }

    private mutating func add(_ exposure: ExposureRecord, _ source: Source) {
        let holder = PortHolder(client: source.client, exposure: exposure.name)
        switch exposure.port {
        case .none: break
        case .assigned:
            self.assignedHealth[holder, default: [:]][source] = exposure.isHealthy
            self.wanting[source, default: []].insert(holder)
            if let port = self.ports[holder] { self.changed.insert(port) }
        case .fixed(let port, let claimedAt):
            self.claims[port, default: [:]][source, default: []].append(
                Claim(holder: holder, claimedAt: claimedAt, isHealthy: exposure.isHealthy))
            self.claimed[source, default: []].insert(port)
            self.lingering[port] = nil
            self.changed.insert(port)
        }
    }

    /// All that the leader gave out. A port is never given back to the holder of a lower token than was heard of.
    mutating func assign(_ ports: [MappedPort]) {
        var next: [UInt16: MappedPort] = [:]
        for port in ports where self.tokens[port.port].map({ $0 <= port.token }) ?? true {
            next[port.port] = port
            self.tokens[port.port] = port.token
        }
        for (port, old) in self.assigned where next[port] != old { self.changed.insert(port) }
        for (port, new) in next where self.assigned[port] != new { self.changed.insert(port) }
        self.assigned = next
        self.ports = [:]
        for port in next.values { self.ports[PortHolder(client: port.client, exposure: port.exposure)] = port.port }
    }

    /// The grant of this token ends: the port is no longer known here.
    mutating func unassign(_ port: UInt16, token: Ballot) {
        self.tokens[port] = max(token, self.tokens[port] ?? .zero)
        self.changed.insert(port)
        guard let old = self.assigned[port], old.token <= token else { return }
        self.assigned[port] = nil
        self.ports[PortHolder(client: old.client, exposure: old.exposure)] = nil
    }

    /// Nobody came back for these ports.
    mutating func expire(now: Moment) {
        for (port, entry) in self.lingering where entry.until <= now {
            self.lingering[port] = nil
            self.changed.insert(port)
        }
    }
}
