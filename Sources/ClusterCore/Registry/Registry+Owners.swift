import Timing
import TunnelWire

/// Owners that go and come back, and what readers see.
extension Registry {
    /// An owner is dead or has left: its entries are gone for readers. They are kept for `forgetAfter`.
    package mutating func ownerHidden(_ owner: ServerName, now: Moment) -> [RegistryAction] {
        guard owner != self.own, self.hidden[owner] == nil else { return [] }
        self.hidden[owner] = now
        guard let entries = self.others[owner] else { return [] }
        return entries.sortedKeys().map { .changed(owner: owner, $0, nil) }
    }

    /// An owner is there. If it was hidden, what is still known of it is there again. If it was forgotten, or has begun another
    /// life since, it is asked at once: what an earlier life had published is over. An owner that was not hidden is shown as it
    /// was until its new life has published: it may have kept its clients.
    /// - Parameter generation: of the life that it is said to be in.
    package mutating func ownerShown(_ owner: ServerName, generation: UInt64 = 0, now: Moment) -> [RegistryAction] {
        self.heardOf(min(generation, RegistryLimits.number), of: owner)
        guard self.hidden.removeValue(forKey: owner) != nil else { return [] }
        let gone = self.forgotten.removeValue(forKey: owner)
        if let life = self.lives[owner], self.others[owner] != nil || gone != nil {
            self.others[owner] = OwnerEntries(generation: life)
            self.lives[owner] = nil
            return [self.ask(owner, wantsDigest: true, forOwn: true, now: now)]
        }
        if let gone {
            self.others[owner] = OwnerEntries(afterForgetting: gone.known)
            return [self.ask(owner, wantsDigest: true, forOwn: true, now: now)]
        }
        guard let entries = self.others[owner] else { return [] }
        return entries.sortedKeys().map { .changed(owner: owner, $0, entries.record($0)) }
    }

    private mutating func heardOf(_ generation: UInt64, of owner: ServerName) {
        let known = self.others[owner]?.generation ?? self.forgotten[owner]?.known.generation ?? 0
        guard owner != self.own, generation > max(known, self.lives[owner] ?? 0) else { return }
        self.lives[owner] = generation
    }

    /// Whether what was published under this generation is known to be over.
    func isOver(_ generation: UInt64, of owner: ServerName) -> Bool { self.lives[owner].map { generation < $0 } ?? false }

    /// Drops the entries of those who have been gone for too long. How far they were known is kept, so that a peer that still
    /// has them does not bring them back.
    mutating func forget(now: Moment) {
        for (owner, since) in self.hidden where now - since >= self.configuration.forgetAfter {
            let life = self.lives.removeValue(forKey: owner)
            guard let entries = self.others.removeValue(forKey: owner) else { continue }
            var known = entries.knownVersion
            if let life, life > known.generation { known = RegistryVersion(generation: life - 1, version: 0) }
            self.forgotten[owner] = Forgotten(known: known, since: now)
        }
    }

    // MARK: - Reading

    /// An entry of an owner; nil: there is none, or its owner is gone.
    package func record(_ owner: ServerName, _ key: RegistryKey) -> RegistryRecord? {
        self.hidden[owner] == nil ? self.entries(of: owner)?.record(key) : nil
    }

    /// Who has an entry under this key, this server included, sorted by owner. One look-up for each owner, whatever the number
    /// of entries.
    package func owners(of key: RegistryKey) -> [(owner: ServerName, record: RegistryRecord)] {
        var found: [(owner: ServerName, record: RegistryRecord)] = []
        if let record = self.mine.record(key) { found.append((self.own, record)) }
        for (owner, entries) in self.others where self.hidden[owner] == nil {
            if let record = entries.record(key) { found.append((owner, record)) }
        }
        return found.sorted { $0.owner < $1.owner }
    }

    /// Every visible entry, this server's included, by owner and key. O(n log n).
    package func forEachVisible(_ body: (ServerName, RegistryKey, RegistryRecord) -> Void) {
        for owner in self.visibleOwners {
            guard let entries = self.entries(of: owner) else { continue }
            for key in entries.sortedKeys() {
                if let record = entries.record(key) { body(owner, key, record) }
            }
        }
    }

    /// How many entries are visible, this server's included.
    package var entryCount: Int { self.visibleOwners.reduce(0) { $0 + (self.entries(of: $1)?.liveCount ?? 0) } }

    /// How far each visible owner that has published anything is known, this server included.
    package func versions() -> [ServerName: RegistryVersion] {
        var versions: [ServerName: RegistryVersion] = [:]
        for owner in self.visibleOwners { versions[owner] = self.entries(of: owner)?.knownVersion }
        return versions.filter { $0.value.version > 0 }
    }

    /// The same for the same visible entries, versions included, in any process. O(n).
    package var fingerprint: UInt64 {
        var sum = UInt64(0)
        for owner in self.visibleOwners {
            guard let entries = self.entries(of: owner) else { continue }
            let start = Self.hash(owner.utf8, from: 0xCBF2_9CE4_8422_2325)
            // A sum, so that the order does not matter.
            for (key, entry) in entries.entries where entry.record != nil {
                let bytes = RegistryEntry(key: key, version: entry.version, record: entry.record).encoded()
                sum &+= Self.hash(bytes, from: start)
            }
        }
        return sum
    }

    func entries(of owner: ServerName) -> OwnerEntries? { owner == self.own ? self.mine : self.others[owner] }

    private var visibleOwners: [ServerName] {
        ([self.own] + self.others.keys.filter { self.hidden[$0] == nil }).sorted()
    }

    /// FNV-1a (RFC 9923), 64 bits.
    private static func hash(_ bytes: some Sequence<UInt8>, from start: UInt64) -> UInt64 {
        var hash = start
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash
    }
}
