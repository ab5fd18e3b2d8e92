import ClusterCore
import TunnelWire

/// What servers say of each other's entries, against the world's own record of what each owner has set.
struct RegistryCheck: Sendable {
    /// One deed of an owner.
    private struct Deed: Sendable {
        var stamp: UInt64
        var life: Int
        var record: RegistryRecord?
    }

    private struct Owner: Sendable {
        var life = 0
        /// The highest generation of all its lives.
        var generation: UInt64 = 0
        /// It lost its disk, or found an old one: until it has learnt from others how far it was, what they keep of its earlier
        /// lives may come back for a while. In the end it must be gone all the same.
        var isDoubtful = false
        var deeds: [RegistryKey: [Deed]] = [:]
        /// What it has now.
        var entries: [RegistryKey: RegistryRecord] = [:]
    }

    /// One entry as one server sees it.
    private struct Sight: Sendable {
        var record: RegistryRecord?
        /// The deed that it is from.
        var stamp: UInt64
        /// The owner was shown as gone, so that the entry may come back unchanged.
        var isHidden: Bool
    }

    private struct View: Sendable {
        var entries: [RegistryKey: Sight] = [:]
        var isGone = false
        /// The latest life of the owner of which anything was seen.
        var life = 0
    }

    private let count: Int
    private var owners: [Owner]
    /// By observer, then owner.
    private var views: [View]
    private var stamp: UInt64 = 0

    init(count: Int) {
        self.count = count
        self.owners = Array(repeating: Owner(), count: count)
        self.views = Array(repeating: View(), count: count * count)
    }

    mutating func started(_ place: Int, life: Int, generation: UInt64 = .max) {
        self.stamp += 1
        self.owners[place].isDoubtful = generation <= self.owners[place].generation
        self.owners[place].life = life
        self.owners[place].entries = [:]
        for owner in 0..<self.count { self.views[place * self.count + owner] = View() }
    }

    mutating func publishes(_ place: Int, generation: UInt64) {
        self.owners[place].generation = max(self.owners[place].generation, generation)
    }

    mutating func set(_ place: Int, _ key: RegistryKey, _ record: RegistryRecord?) {
        self.stamp += 1
        self.owners[place].deeds[key, default: []].append(Deed(stamp: self.stamp, life: self.owners[place].life, record: record))
        self.owners[place].entries[key] = record
    }

    mutating func member(_ state: MemberView.State, _ subject: Int, seenBy place: Int) {
        self.views[place * self.count + subject].isGone = state == .dead || state == .left
    }

    mutating func changed(
        _ owner: Int, _ key: RegistryKey, _ record: RegistryRecord?, seenBy name: ServerName, _ place: Int
    ) -> String? {
        let index = place * self.count + owner
        let known = self.views[index].entries[key]
        guard let record else {
            guard known?.record != nil else { return nil }
            let isHidden = self.views[index].isGone
            self.views[index].entries[key]?.record = nil
            self.views[index].entries[key]?.isHidden = isHidden
            return nil
        }
        // The oldest deed that explains it: the same record may have been set more than once.
        let deeds = self.owners[owner].deeds[key] ?? []
        let isDoubtful = self.owners[owner].isDoubtful
        let floor = isDoubtful ? 0 : known.map { $0.isHidden || $0.record != nil ? $0.stamp : $0.stamp + 1 } ?? 0
        let life = isDoubtful ? 0 : self.views[index].life
        guard let deed = deeds.first(where: { $0.record == record && $0.stamp >= floor && $0.life >= life }) else {
            let isOld = deeds.contains { $0.record == record }
            return isOld
                ? "\(name) has an entry of s\(owner) back that was over: \(key.kind) \(key.name)"
                : "\(name) has an entry that s\(owner) never set: \(key.kind) \(key.name)"
        }
        self.views[index].entries[key] = Sight(record: record, stamp: deed.stamp, isHidden: false)
        self.views[index].life = max(self.views[index].life, deed.life)
        return nil
    }

    /// What differs between what a server sees of an owner and what the owner has.
    func difference(_ owner: Int, seenBy place: Int) -> String? {
        let seen = self.views[place * self.count + owner].entries.compactMapValues(\.record)
        let real = self.owners[owner].entries
        guard seen != real else { return nil }
        for key in Set(seen.keys).union(real.keys).sorted() where seen[key] != real[key] {
            let what = seen[key] == nil ? "lacks" : (real[key] == nil ? "still has" : "has another record of")
            return "s\(place) \(what) \(key.kind) \(key.name) of s\(owner)"
        }
        return nil
    }
}
