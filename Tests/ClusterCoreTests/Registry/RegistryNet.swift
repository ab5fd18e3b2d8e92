import Timing
import TunnelWire

@testable import ClusterCore

/// Random numbers that a seed brings back (SplitMix64).
struct RegistryRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var word = self.state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// Registries that talk to each other, by hand: messages wait until a test delivers them.
final class RegistryNet {
    struct Envelope {
        var from: ServerName
        var to: ServerName
        var message: RegistryMessage
    }

    /// What readers of one server were told of: owner, then key.
    typealias View = [ServerName: [RegistryKey: RegistryRecord]]

    var now = Moment(nanoseconds: 1_000_000_000)
    var configuration: RegistryConfiguration
    let names: [ServerName]
    var registries: [ServerName: Registry] = [:]
    var waiting: [Envelope] = []
    /// The pairs that cannot reach each other, both ways.
    var cuts: Set<[ServerName]> = []
    /// What the `changed` actions add up to, own entries excepted.
    var views: [ServerName: View] = [:]
    /// In the order in which they were told.
    var changes: [ServerName: [RegistryAction]] = [:]
    /// What was sent: messages and bytes as they travel.
    var sent = (messages: 0, bytes: 0)
    var countsBytes = false

    init(_ count: Int, _ adjust: (inout RegistryConfiguration) -> Void = { _ in }) {
        self.configuration = RegistryConfiguration()
        adjust(&self.configuration)
        self.names = (0..<count).map { "s\($0)" }
        for name in self.names { self.start(name, generation: 1) }
    }

    func start(_ name: ServerName, generation: UInt64) {
        self.registries[name] = Registry(own: name, generation: generation, configuration: self.configuration, now: self.now)
        self.views[name] = [:]
        self.changes[name] = []
    }

    func registry(_ name: ServerName) -> Registry {
        self.registries[name] ?? Registry(own: name, generation: 0, configuration: self.configuration, now: self.now)
    }

    func peers(of name: ServerName) -> [ServerName] {
        self.names.filter { $0 != name && !self.cuts.contains([name, $0].sorted()) }
    }

    // MARK: - What happens

    func act(_ name: ServerName, _ body: (inout Registry, [ServerName], Moment) -> [RegistryAction]) {
        let peers = self.peers(of: name)
        guard var registry = self.registries.removeValue(forKey: name) else { return }
        let actions = body(&registry, peers, self.now)
        self.registries[name] = consume registry
        for action in actions { self.interpret(action, by: name) }
    }

    private func interpret(_ action: RegistryAction, by name: ServerName) {
        switch action {
        case .send(let message, let peer):
            guard self.peers(of: name).contains(peer) else { return }
            self.sent.messages += 1
            if self.countsBytes { self.sent.bytes += message.encodedLength }
            self.waiting.append(Envelope(from: name, to: peer, message: message))
        case .changed(let owner, let key, let record):
            self.views[name, default: [:]][owner, default: [:]][key] = record
            self.changes[name, default: []].append(action)
        }
    }

    func set(_ owner: ServerName, _ key: String, _ value: Int?) {
        self.act(owner) { $0.set(.sample(key), value.map { .sample($0) }, peers: $1, now: $2) }
    }

    func timer(_ name: ServerName, _ rng: inout RegistryRandom) {
        var local = rng
        self.act(name) { $0.onTimer(peers: $1, now: $2, rng: &local) }
        rng = local
    }

    func join(_ name: ServerName, _ peer: ServerName) { self.act(name) { registry, _, now in registry.joined(peer, now: now) } }

    func hide(_ owner: ServerName, at name: ServerName) {
        self.act(name) { registry, _, now in registry.ownerHidden(owner, now: now) }
    }

    func show(_ owner: ServerName, generation: UInt64 = 0, at name: ServerName) {
        self.act(name) { registry, _, now in registry.ownerShown(owner, generation: generation, now: now) }
    }

    func advance(_ span: Duration) { self.now = self.now + span }

    /// The pair loses its link, and what was on its way.
    func cut(_ one: ServerName, _ other: ServerName) {
        let pair = [one, other].sorted()
        self.cuts.insert(pair)
        self.waiting.removeAll { [$0.from, $0.to].sorted() == pair }
    }

    func heal(_ one: ServerName, _ other: ServerName) {
        guard self.cuts.remove([one, other].sorted()) != nil else { return }
        self.join(one, other)
        self.join(other, one)
    }

    func deliver(at index: Int) {
        guard self.waiting.indices.contains(index) else { return }
        self.hand(self.waiting.remove(at: index))
    }

    func hand(_ envelope: Envelope) {
        self.act(envelope.to) { $0.received(envelope.message, from: envelope.from, peers: $1, now: $2) }
    }

    /// Delivers in order until nobody has anything to say. Returns false if they do not come to rest.
    @discardableResult func settle(limit: Int = 20_000) -> Bool {
        var delivered = 0
        while !self.waiting.isEmpty {
            let batch = self.waiting
            self.waiting = []
            for envelope in batch { self.hand(envelope) }
            delivered += batch.count
            if delivered > limit { return false }
        }
        return true
    }

    /// One exchange by everybody, until all is said.
    func round(_ rng: inout RegistryRandom) {
        self.advance(self.configuration.exchangeInterval)
        for name in self.names { self.timer(name, &rng) }
        self.settle()
    }

    // MARK: - What there is

    /// `owner/key=value` of all that a server sees, in order.
    func visible(at name: ServerName) -> [String] {
        var lines: [String] = []
        self.registry(name).forEachVisible { owner, key, record in lines.append("\(owner)/\(key.name)=\(record.sample)") }
        return lines
    }

    /// What was told to the readers of a server since the last call: `owner/key=value`, or `owner/key gone`.
    func told(_ name: ServerName) -> [String] {
        defer { self.changes[name] = [] }
        return (self.changes[name] ?? []).map { action in
            guard case .changed(let owner, let key, let record) = action else { return "?" }
            return record.map { "\(owner)/\(key.name)=\($0.sample)" } ?? "\(owner)/\(key.name) gone"
        }
    }

    var isConverged: Bool {
        let registries = self.names.map { self.registry($0) }
        guard registries.allSatisfy({ $0.versions() == registries[0].versions() }) else { return false }
        let fingerprint = registries[0].fingerprint
        return registries.allSatisfy { $0.fingerprint == fingerprint && $0.entryCount == registries[0].entryCount }
    }
}

extension RegistryKey {
    static func sample(_ name: String) -> RegistryKey { RegistryKey(.client, name) }
}

extension RegistryRecord {
    /// A record that carries a number.
    static func sample(_ value: Int) -> RegistryRecord {
        .client(
            ClientRecord(
                installation: WireID(high: 0, low: 1), instance: WireID(high: 0, low: 2), address: "10.0.0.1:4711",
                since: UInt64(value), exposures: []))
    }

    var sample: Int {
        guard case .client(let record) = self else { return -1 }
        return Int(record.since)
    }
}

extension RegistryMessage {
    /// For a trace: whom it is about, generation:versions.
    var brief: String {
        switch self {
        case .digest(let digest):
            let owners = digest.owners.map {
                "\($0.name) \($0.generation):\($0.version)/\($0.asOf) c\($0.collected)\($0.isForgotten ? " forgotten" : "")"
            }
            return "digest\(digest.wantsDigest ? "?" : "") [\(owners.joined(separator: ", "))]"
        case .delta(let delta):
            let parts = delta.parts.map { part in
                let entries = part.entries.map { "\($0.version)=\($0.key.name)\($0.record == nil ? " gone" : "")" }
                return "\(part.owner) \(part.generation):(\(part.base), \(part.upTo)]/\(part.asOf) c\(part.collected) \(entries)"
            }
            return "delta \(parts.joined(separator: ", "))\(delta.hasMore ? " …" : "")"
        }
    }
}
