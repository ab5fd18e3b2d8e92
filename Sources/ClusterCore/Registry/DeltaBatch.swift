import TunnelWire

/// The answer to one digest while it is put together: at most so many messages of at most so many bytes.
struct DeltaBatch {
    private let limit: Int
    private let messages: Int
    private var done: [RegistryDelta] = []
    private var parts: [RegistryDelta.Part] = []
    private var room: Int
    /// Something did not fit: whoever gets this has to ask again.
    private(set) var isCut = false

    /// - Parameters:
    ///   - limit: bytes in one message.
    ///   - messages: how many there may be.
    init(limit: Int, messages: Int) {
        self.limit = limit
        self.messages = messages
        self.room = limit
    }

    /// Adds what an owner has above a version, in the order of versions, as much as there is room for.
    mutating func add(_ owner: ServerName, _ source: OwnerEntries, above base: UInt64) {
        guard !self.isCut, self.makeRoom(for: RegistryDelta.Part.header) else { return }
        self.room -= RegistryDelta.Part.header
        var part = RegistryDelta.Part(
            owner: owner, generation: source.generation, base: base, upTo: base, asOf: source.version,
            collected: source.collected, entries: [])
        let places = source.order.places
        for place in places[source.order.firstIndex(above: base)...] {
            guard let entry = source.entries[place.key], entry.version == place.version else { continue }
            if entry.size > self.room, !(part.entries.isEmpty && self.parts.isEmpty) {
                if !part.entries.isEmpty { self.parts.append(part) }
                part.base = part.upTo
                part.entries = []
                guard self.nextMessage() else { return }
                self.room -= RegistryDelta.Part.header
            }
            self.room -= entry.size
            part.entries.append(RegistryEntry(key: place.key, version: place.version, record: entry.record))
            part.upTo = place.version
        }
        // What lies between the last entry and the owner's version was overtaken or collected.
        part.upTo = source.version
        self.parts.append(part)
    }

    /// The messages; the last one says whether there was more.
    consuming func finished() -> [RegistryDelta] {
        if !self.parts.isEmpty { self.done.append(RegistryDelta(parts: self.parts)) }
        if self.isCut, !self.done.isEmpty { self.done[self.done.count - 1].hasMore = true }
        return self.done
    }

    private mutating func makeRoom(for bytes: Int) -> Bool {
        if self.parts.isEmpty || (self.room >= bytes && self.parts.count < RegistryLimits.owners) { return true }
        return self.nextMessage()
    }

    private mutating func nextMessage() -> Bool {
        self.done.append(RegistryDelta(parts: self.parts))
        self.parts = []
        self.room = self.limit
        if self.done.count >= self.messages { self.isCut = true }
        return !self.isCut
    }
}
