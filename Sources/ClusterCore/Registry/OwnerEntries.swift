import DequeModule
import Timing
import TunnelWire

/// The entries of one owner, as the owner itself or another server has them.
///
/// Usually *settled* (`asOf` == `version`): every entry up to `version` is here, as the owner had it then; one that the owner
/// changed later may be missing or the older one still, until the delta that brings the change.
/// In the midst of a *reset* (`version` < `asOf`) only the entries up to `version` are confirmed; those that were here before
/// stay visible until the reset has reached `asOf`, then whatever it did not confirm goes. A cut reset is therefore as good as
/// a cut delta: it is continued from `version`, by anyone who has settled at `asOf` or later, so that nothing which was
/// deleted before comes back.
struct OwnerEntries: Sendable {
    struct Entry: Sendable {
        var version: UInt64
        /// Nil: a tombstone.
        var record: RegistryRecord?
        /// As it travels, in bytes.
        var size: Int
        /// The reset that confirmed it.
        var reset: UInt32
    }

    struct Tombstone: Sendable {
        var version: UInt64
        var key: RegistryKey
        var since: Moment
    }

    /// A key whose visible record is another one now.
    struct Change: Sendable {
        var key: RegistryKey
        var record: RegistryRecord?
    }

    private(set) var generation: UInt64
    private(set) var version: UInt64 = 0
    private(set) var asOf: UInt64 = 0
    private(set) var collected: UInt64 = 0
    private(set) var entries: [RegistryKey: Entry] = [:]
    /// How many entries have a record.
    private(set) var liveCount = 0
    /// Of the settled entries; kept up only while settled.
    private(set) var order = VersionOrder()
    /// Oldest first; some, never most of them, are overtaken.
    private(set) var tombstones: Deque<Tombstone> = []
    private var reset: UInt32 = 0
    /// What the version was when the reset began.
    private var versionBefore: UInt64 = 0

    init(generation: UInt64) { self.generation = generation }

    /// Nothing of an owner that was known before: only who knows at least as much can tell of it.
    init(afterForgetting known: RegistryVersion) {
        self.generation = known.generation
        self.asOf = known.version
        self.versionBefore = known.version
    }

    /// Nothing is missing below `version`, so that others may be told.
    var isSettled: Bool { self.version == self.asOf }

    /// For people and for checks: it does not go back while a reset is under way.
    var knownVersion: RegistryVersion {
        RegistryVersion(generation: self.generation, version: max(self.version, self.versionBefore))
    }

    func record(_ key: RegistryKey) -> RegistryRecord? { self.entries[key]?.record }

    /// The keys with a record, sorted.
    func sortedKeys() -> [RegistryKey] { self.entries.compactMap { $1.record == nil ? nil : $0 }.sorted() }

    // MARK: - By the owner

    /// The owner's own change: it gets the next version. O(1) on average.
    mutating func publish(_ entry: RegistryEntry, size: Int, now: Moment) {
        self.put(entry, size: size, now: now)
        self.version = entry.version
        self.asOf = entry.version
        self.tidy()
    }

    /// The owner's entries anew, above `floor`, under a generation that is not lower. Its tombstones are collected with it:
    /// whoever knew an earlier state has to start from nothing.
    mutating func republish(generation: UInt64, above floor: UInt64, now: Moment) {
        let old = self
        self = OwnerEntries(generation: generation)
        self.version = floor
        for place in old.order.places {
            guard let entry = old.entries[place.key], entry.version == place.version, let record = entry.record else { continue }
            self.version += 1
            self.put(RegistryEntry(key: place.key, version: self.version, record: record), size: entry.size, now: now)
        }
        self.asOf = self.version
        self.collected = floor
    }

    /// Collects the owner's tombstones that are older than `age`.
    mutating func collect(olderThan age: Duration, now: Moment) {
        while let first = self.tombstones.first, now - first.since > age { self.dropFirstTombstone(first) }
        self.tidy()
    }

    // MARK: - By the others

    /// Collects as the owner did, if nothing can be missing below `limit`.
    mutating func collect(upTo limit: UInt64) {
        guard self.isSettled, limit <= self.version, limit > self.collected else { return }
        while let first = self.tombstones.first, first.version <= limit { self.dropFirstTombstone(first) }
        self.collected = limit
        self.tidy()
    }

    /// What a part would do here.
    enum Use { case nothing, delta, reset }

    func use(of part: RegistryDelta.Part) -> Use {
        // What somebody cut who knows less than was known here may hold what has been deleted since.
        guard part.generation == self.generation, part.asOf >= self.asOf else { return .nothing }
        if part.isReset, part.collected > self.asOf || (self.asOf == 0 && part.upTo > 0) { return .reset }
        guard part.collected <= self.asOf, part.base <= self.version, part.upTo > self.version else { return .nothing }
        return .delta
    }

    /// Applies a part of this generation; returns what is visible of it, nil if the part is of no use here.
    mutating func apply(_ part: RegistryDelta.Part, now: Moment) -> [Change]? {
        switch self.use(of: part) {
        case .nothing: return nil
        case .delta: break
        case .reset: self.beginReset(part)
        }
        var changes: [Change] = []
        for entry in part.entries where entry.version > self.version {
            if let change = self.take(entry, now: now) { changes.append(change) }
        }
        let wasSettled = self.isSettled
        self.version = part.upTo
        if self.asOf <= self.version {
            self.asOf = self.version
            if !wasSettled { changes += self.finishReset(now: now) }
        }
        self.collect(upTo: part.collected)
        self.tidy()
        return changes
    }

    private mutating func beginReset(_ part: RegistryDelta.Part) {
        self.versionBefore = self.knownVersion.version
        self.reset += 1
        self.version = 0
        self.asOf = part.asOf
    }

    private mutating func take(_ entry: RegistryEntry, now: Moment) -> Change? {
        let old = self.entries[entry.key]
        // An honest peer never sends an older one; the versions of a key only grow whoever sends.
        if let old, old.version >= entry.version {
            if old.version == entry.version { self.entries[entry.key]?.reset = self.reset }
            return nil
        }
        self.put(entry, size: entry.size, now: now)
        return old?.record == entry.record ? nil : Change(key: entry.key, record: entry.record)
    }

    /// The reset is complete: what it did not confirm is gone, and the index is made anew. O(n log n).
    private mutating func finishReset(now: Moment) -> [Change] {
        var gone: [RegistryKey] = []
        var places: [VersionOrder.Place] = []
        for (key, entry) in self.entries {
            if entry.reset == self.reset {
                places.append(VersionOrder.Place(version: entry.version, key: key))
            } else {
                gone.append(key)
            }
        }
        gone.sort()
        var changes: [Change] = []
        for key in gone {
            guard self.entries.removeValue(forKey: key)?.record != nil else { continue }
            self.liveCount -= 1
            changes.append(Change(key: key, record: nil))
        }
        places.sort { $0.version < $1.version }
        self.order.replace(with: places)
        let tombstones = places.filter { self.entries[$0.key]?.record == nil }
        self.tombstones = Deque(tombstones.map { Tombstone(version: $0.version, key: $0.key, since: now) })
        return changes
    }

    // MARK: - Storage

    private mutating func put(_ entry: RegistryEntry, size: Int, now: Moment) {
        let stored = Entry(version: entry.version, record: entry.record, size: size, reset: self.reset)
        let old = self.entries.updateValue(stored, forKey: entry.key)
        self.liveCount += (entry.record == nil ? 0 : 1) - (old?.record == nil ? 0 : 1)
        self.order.append(entry.version, entry.key)
        if entry.record == nil {
            self.tombstones.append(Tombstone(version: entry.version, key: entry.key, since: now))
        }
    }

    private mutating func dropFirstTombstone(_ first: Tombstone) {
        self.tombstones.removeFirst()
        guard let entry = self.entries[first.key], entry.version == first.version else { return }
        self.entries[first.key] = nil
        self.collected = max(self.collected, first.version)
    }

    private mutating func tidy() {
        guard self.isSettled else { return }
        if self.order.isSparse(entries: self.entries.count) {
            self.order.replace(with: self.order.places.filter { self.entries[$0.key]?.version == $0.version })
        }
        if self.tombstones.count > 2 * (self.entries.count - self.liveCount) + 64 {
            self.tombstones = Deque(self.tombstones.filter { self.entries[$0.key]?.version == $0.version })
        }
    }
}
