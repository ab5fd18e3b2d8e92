import TunnelWire

/// Of whom there is news, and how often it is still to be passed on with other messages.
struct NewsQueue: Sendable {
    private struct Entry {
        var name: ServerName
        var left: Int
    }

    /// The newest last; one for each member at most.
    private var entries: [Entry] = []

    var isEmpty: Bool { self.entries.isEmpty }

    /// About three times as often as it takes for a rumour to reach `members`.
    static func repetitions(members: Int) -> Int { 3 * (Int.bitWidth - members.leadingZeroBitCount) }

    mutating func put(_ name: ServerName, times: Int) {
        self.remove(name)
        self.entries.append(Entry(name: name, left: times))
    }

    mutating func remove(_ name: ServerName) { self.entries.removeAll { $0.name == name } }

    /// The newest that fit into `room` bytes, `count` at most.
    mutating func take(count: Int, room: Int, length: (ServerName) -> Int) -> [ServerName] {
        guard !self.entries.isEmpty else { return [] }
        var taken: [ServerName] = []
        var room = room
        for index in self.entries.indices.reversed() {
            room -= length(self.entries[index].name)
            guard room >= 0, taken.count < count else { break }
            taken.append(self.entries[index].name)
            self.entries[index].left -= 1
        }
        self.entries.removeAll { $0.left <= 0 }
        return taken
    }
}
