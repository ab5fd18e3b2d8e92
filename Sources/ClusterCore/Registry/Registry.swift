import Timing
import TunnelWire

/// What the servers know of each other's clients, services and selves (Scuttlebutt reconciliation: van Renesse, Dumitriu,
/// Gough, Thomas, "Efficient Reconciliation and Flow Control for Anti-Entropy Protocols", 2008).
///
/// Each server owns its entries and alone changes them: a change gets the next version of (owner, generation) and is pushed to
/// all peers in reach at once. Every second a digest goes to one random peer, (generation, version) of each owner, whatever
/// the number of entries; the peer answers with what the digest lacks, and with its own digest if it lacks something itself.
/// Anyone passes on the entries of anyone. Only when a link comes up, a server asks its peer for the peer's own entries alone:
/// a newcomer asks all servers at once, and each should bring its share, not everything.
///
/// ```
/// A                                     B
/// | -- digest, wants one back --------> |
/// | <------- deltas: what A lacks ----- |   ≤ 8 × 56 KiB; when that was not all, A asks again
/// | <------- digest ------------------- |   only if A has what B lacks
/// | -- deltas: what B lacks ----------> |
/// ```
///
/// A part of a delta begins at a version that its receiver has, or it is of no use; so nothing is ever missing below the
/// version that a server claims. Deleted entries stay as tombstones until their owner collects them; whoever was away for
/// longer starts that owner from nothing (`OwnerEntries`).
package struct Registry: Sendable {
    package let own: ServerName
    package let configuration: RegistryConfiguration
    /// Own entries that no peer would take: too long, or with an invalid name.
    package private(set) var refusals = 0

    var mine: OwnerEntries
    /// The others, without those that were forgotten.
    var others: [ServerName: OwnerEntries] = [:]
    /// Who is gone, and since when.
    var hidden: [ServerName: Moment] = [:]
    /// Who was gone for so long that the entries were dropped; how far they were known, so that they do not come back.
    var forgotten: [ServerName: Forgotten] = [:]
    /// The life that an owner is said to be in, while only an earlier one is known here: what that had published is over, so
    /// nothing of it is learnt or told any more.
    var lives: [ServerName: UInt64] = [:]
    /// Which peers were lately asked with a digest, and when.
    var asked: [ServerName: Question] = [:]
    /// When an answer that was cut was last continued: a transfer is under way.
    var lastContinued: Moment?
    private var nextExchange: Moment

    struct Question: Sendable {
        var at: Moment
        var forOwn: Bool
    }

    struct Forgotten: Sendable {
        var known: RegistryVersion
        var since: Moment
    }

    /// - Parameter generation: of this life of the server, higher than in all earlier ones.
    package init(own: ServerName, generation: UInt64, configuration: RegistryConfiguration = .init(), now: Moment) {
        self.own = own
        self.configuration = configuration
        self.mine = OwnerEntries(generation: min(generation, RegistryLimits.number))
        self.nextExchange = now + configuration.exchangeInterval
    }

    /// When `onTimer` wants to be called.
    package var deadline: Moment? { self.nextExchange }

    /// An own entry has a new record, or none any more. Without a change nothing is said.
    ///
    /// A record that no peer would take (longer than `RegistryLimits.entry`, an invalid name, another kind than its key's, more
    /// than the registry may hold) counts as none, so that nobody acts on an outdated one; `refusals` counts them.
    /// - Parameter peers: who is told at once; the others learn it from a digest exchange.
    package mutating func set(
        _ key: RegistryKey, _ record: RegistryRecord?, peers: [ServerName], now: Moment
    ) -> [RegistryAction] {
        guard self.mine.record(key) != record else { return [] }
        var entry = RegistryEntry(key: key, version: self.mine.version + 1, record: record)
        let isNew = self.mine.entries[key] == nil
        var size = entry.sendableSize
        if size == nil || (isNew && self.heldCount >= self.configuration.entries) {
            self.refusals += 1
            guard self.mine.record(key) != nil else { return [] }
            entry.record = nil
            size = entry.size
        }
        let base = self.mine.version
        self.mine.publish(entry, size: size ?? 0, now: now)
        let part = RegistryDelta.Part(
            owner: self.own, generation: self.mine.generation, base: base, upTo: entry.version, asOf: entry.version,
            collected: self.mine.collected, entries: [entry])
        return peers.filter { $0 != self.own }.map { .send(.delta(RegistryDelta(parts: [part])), to: $0) }
    }

    /// Collects, forgets, and asks one of the peers in reach, when it is time to.
    package mutating func onTimer(
        peers: [ServerName], now: Moment, rng: inout some RandomNumberGenerator
    ) -> [RegistryAction] {
        guard now >= self.nextExchange else { return [] }
        self.nextExchange = now + self.configuration.exchangeInterval
        self.mine.collect(olderThan: self.configuration.tombstoneAge, now: now)
        self.forget(now: now)
        let interval = self.configuration.exchangeInterval
        self.asked = self.asked.filter { now - $0.value.at < interval }
        // What is on its way already would be asked for a second time.
        if let continued = self.lastContinued, now - continued < interval { return [] }
        guard let peer = peers.filter({ $0 != self.own }).sorted().randomElement(using: &rng) else { return [] }
        return [self.ask(peer, wantsDigest: true, forOwn: false, now: now)]
    }

    /// A peer can be reached now: it is asked for its own entries at once, and may ask for those of this server.
    package mutating func joined(_ peer: ServerName, now: Moment) -> [RegistryAction] {
        peer == self.own ? [] : [self.ask(peer, wantsDigest: true, forOwn: true, now: now)]
    }

    /// The generation of this server has grown (it had lost its disk): its entries are published anew under it. A generation
    /// that is not higher changes nothing.
    package mutating func raise(generation: UInt64, peers: [ServerName], now: Moment) -> [RegistryAction] {
        guard generation > self.mine.generation, generation <= RegistryLimits.number else { return [] }
        return self.republish(generation: generation, above: 0, peers: peers, now: now)
    }

    /// How many entries are held, the hidden ones and the tombstones included.
    var heldCount: Int { self.others.values.reduce(self.mine.entries.count) { $0 + $1.entries.count } }

    mutating func republish(
        generation: UInt64, above floor: UInt64, peers: [ServerName], now: Moment
    ) -> [RegistryAction] {
        self.mine.republish(generation: generation, above: floor, now: now)
        var batch = self.newBatch()
        batch.add(self.own, self.mine, above: 0)
        let messages = batch.finished()
        return peers.filter { $0 != self.own }.flatMap { peer in messages.map { .send(.delta($0), to: peer) } }
    }

    /// A digest to a peer. It answers with what is missing here.
    mutating func ask(_ peer: ServerName, wantsDigest: Bool, forOwn: Bool, now: Moment) -> RegistryAction {
        self.asked[peer] = Question(at: now, forOwn: forOwn)
        return .send(.digest(self.digest(wantsDigest: wantsDigest, asksForOwn: forOwn)), to: peer)
    }

    func newBatch() -> DeltaBatch {
        DeltaBatch(limit: self.configuration.deltaLimit, messages: self.configuration.deltasPerDigest)
    }
}
