import TunnelWire

@testable import ClusterCore

/// Knows all that the owners ever published, and what each server was seen to hold.
struct RegistryJudge {
    private struct Life: Hashable {
        var owner: ServerName
        var generation: UInt64
    }

    private struct Place: Hashable {
        var observer: ServerName
        var life: Life
        var key: RegistryKey
    }

    private struct Published: Equatable {
        var key: RegistryKey
        var record: RegistryRecord?
    }

    /// By life, then version.
    private var history: [Life: [UInt64: Published]] = [:]
    private var latest: [Life: [RegistryKey: UInt64]] = [:]
    /// The highest version of a key that a server was seen to hold, and whether it holds it still.
    private var held: [Place: (version: UInt64, isHeld: Bool)] = [:]
    private var generations: [[ServerName]: UInt64] = [:]
    private var versions: [[ServerName]: RegistryVersion] = [:]

    /// To be called after each change by an owner.
    mutating func published(by owner: ServerName, _ mine: OwnerEntries) {
        let life = Life(owner: owner, generation: mine.generation)
        for (key, entry) in mine.entries {
            self.history[life, default: [:]][entry.version] = Published(key: key, record: entry.record)
            self.latest[life, default: [:]][key] = entry.version
        }
    }

    /// What a server held before it restarted says nothing of what it holds now.
    mutating func restarted(_ observer: ServerName) {
        self.held = self.held.filter { $0.key.observer != observer }
        self.generations = self.generations.filter { $0.key[0] != observer }
        self.versions = self.versions.filter { $0.key[0] != observer }
    }

    /// What is wrong with a server's registry; nil: nothing.
    mutating func verdict(on registry: Registry, view: RegistryNet.View) -> String? {
        for owner in registry.forgotten.keys { self.forgive(registry.own, owner) }
        for (owner, entries) in registry.others.sorted(by: { $0.key < $1.key }) {
            if let wrong = self.verdict(registry.own, owner, entries) { return "\(registry.own) of \(owner): \(wrong)" }
        }
        return self.verdict(on: view, of: registry)
    }

    private mutating func verdict(_ observer: ServerName, _ owner: ServerName, _ entries: OwnerEntries) -> String? {
        let life = Life(owner: owner, generation: entries.generation)
        if entries.generation < self.generations[[observer, owner], default: 0] { return "an earlier life came back" }
        self.generations[[observer, owner]] = entries.generation
        if let before = self.versions[[observer, owner]], before.generation == entries.generation,
            before.version > entries.knownVersion.version
        {
            return "the version went back from \(before.version) to \(entries.knownVersion.version)"
        }
        self.versions[[observer, owner]] = entries.knownVersion
        if entries.liveCount != entries.sortedKeys().count { return "the count is wrong" }
        for (key, entry) in entries.entries {
            let published = self.history[life]?[entry.version]
            guard published == Published(key: key, record: entry.record) else {
                return "\(key.name) at \(entry.version) was never published so"
            }
        }
        return self.watch(observer, life, entries)
    }

    /// Versions of a key only grow, and what is gone comes back only with a higher one.
    private mutating func watch(_ observer: ServerName, _ life: Life, _ entries: OwnerEntries) -> String? {
        for number in 0..<10 {
            let place = Place(observer: observer, life: life, key: .sample("k\(number)"))
            let entry = entries.entries[place.key]
            guard let before = self.held[place] else {
                if let entry { self.held[place] = (entry.version, true) }
                continue
            }
            guard let entry else {
                // In the midst of a reset from nothing it may just not have arrived yet.
                if entries.isSettled { self.held[place] = (before.version, false) }
                continue
            }
            if entry.version < before.version || (entry.version == before.version && !before.isHeld) {
                return "\(place.key.name) came back: \(entry.version) after \(before.version)"
            }
            self.held[place] = (entry.version, true)
        }
        return self.missing(life, entries)
    }

    /// An owner that is forgotten as a whole may come back as a whole, as it was.
    private mutating func forgive(_ observer: ServerName, _ owner: ServerName) {
        let life = Life(owner: owner, generation: self.generations[[observer, owner], default: 0])
        for number in 0..<10 {
            self.held[Place(observer: observer, life: life, key: .sample("k\(number)"))]?.isHeld = true
        }
    }

    /// A server that has settled at a version holds what the owner had then; it may lack what was overtaken later.
    private func missing(_ life: Life, _ entries: OwnerEntries) -> String? {
        guard entries.isSettled else { return nil }
        for (key, version) in self.latest[life] ?? [:] where version <= entries.version {
            let entry = entries.entries[key]
            if entry == nil, self.history[life]?[version]?.record == nil { continue }
            if entry?.version != version {
                return "\(key.name) at \(version) is missing, although all up to \(entries.version) is said to be here"
            }
        }
        return nil
    }

    private func verdict(on view: RegistryNet.View, of registry: Registry) -> String? {
        var visible: RegistryNet.View = [:]
        registry.forEachVisible { owner, key, record in
            if owner != registry.own { visible[owner, default: [:]][key] = record }
        }
        guard visible != view.filter({ !$0.value.isEmpty }) else { return nil }
        return "\(registry.own): readers were told something else than they see"
    }
}
