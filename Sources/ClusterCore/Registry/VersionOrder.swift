import TunnelWire

/// The keys of one owner by the version of their entries, lowest first.
///
/// A version is only ever appended. The place of an entry that was overtaken stays until such places are the larger part,
/// then they are dropped together: appending costs O(1) on average, finding a version O(log n).
struct VersionOrder: Sendable {
    struct Place: Sendable {
        var version: UInt64
        var key: RegistryKey
    }

    private(set) var places: [Place] = []

    /// Whether the places without an entry are worth dropping, given how many have one.
    func isSparse(entries: Int) -> Bool { self.places.count > 2 * entries + 64 }

    mutating func append(_ version: UInt64, _ key: RegistryKey) { self.places.append(Place(version: version, key: key)) }

    mutating func replace(with places: [Place]) { self.places = places }

    /// The index of the first place above `version`.
    func firstIndex(above version: UInt64) -> Int {
        var low = 0
        var high = self.places.count
        while low < high {
            let middle = (low + high) / 2
            if self.places[middle].version <= version { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
