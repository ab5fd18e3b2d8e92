import NIOCore

/// The bounds of what peers tell each other of the registry.
package enum RegistryLimits {
    /// Servers in one digest, or with a part in one delta.
    package static let owners = 256
    /// One entry as it travels: key, version and record. The record of the largest REGISTER there can be (64 KiB: 1 024
    /// exposures with names of 59 bytes and fixed ports) takes 56 100 bytes, because names travel packed; with the header
    /// of its part and of its message it stays below the 64 KiB of a frame.
    package static let entry = 56_832
    /// The highest version and generation: far beyond any real one, far below an overflow.
    package static let number = UInt64(1) << 62
}

/// What one server knows of another one's entries, or offers of its own.
package struct RegistryDigest: Equatable, Sendable {
    /// How far the sender has come with one owner.
    package struct Owner: Equatable, Sendable {
        package var name: ServerName
        package var generation: UInt64
        /// The sender has every entry up to this version.
        package var version: UInt64
        /// The sender's entries are those that the owner had at this version or later. Higher than `version` only in the
        /// midst of a reset; whoever has collected tombstones above it has to start from nothing.
        package var asOf: UInt64
        /// Tombstones up to this version are collected.
        package var collected: UInt64
        /// The owner has been gone for so long that the sender dropped its entries and does not want them back.
        package var isForgotten: Bool

        package init(
            name: ServerName, generation: UInt64, version: UInt64, asOf: UInt64? = nil, collected: UInt64,
            isForgotten: Bool = false
        ) {
            self.name = name
            self.generation = generation
            self.version = version
            self.asOf = asOf ?? version
            self.collected = collected
            self.isForgotten = isForgotten
        }

        fileprivate func write(into buffer: inout ByteBuffer) {
            buffer.writePackedName(self.name)
            buffer.writeInteger(UInt8(self.isForgotten ? 1 : 0) | UInt8(self.asOf != self.version ? 2 : 0))
            buffer.writeInteger(self.generation)
            buffer.writeInteger(self.version)
            buffer.writeInteger(self.collected)
            if self.asOf != self.version { buffer.writeInteger(self.asOf) }
        }

        fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
            self.name = try buffer.readPackedName("owner")
            let flags = try buffer.readWire(UInt8.self, "owner flags")
            self.isForgotten = flags & 1 != 0
            self.generation = try buffer.readRegistryNumber("generation")
            self.version = try buffer.readRegistryNumber("version")
            self.collected = try buffer.readRegistryNumber("collected version")
            self.asOf = flags & 2 != 0 ? try buffer.readRegistryNumber("version of a reset") : self.version
            guard self.version <= self.asOf, self.collected <= self.asOf else {
                throw WireError(.malformed, "a digest whose versions contradict each other")
            }
        }
    }

    /// Sorted by name, each once. Owners beyond `RegistryLimits.owners` do not travel.
    package var owners: [Owner]
    /// The receiver is to answer with its own digest if the sender knows something that it lacks.
    package var wantsDigest: Bool
    /// The sender asks for the receiver's own entries alone, because it asks the other owners as well.
    package var asksForOwn: Bool

    package init(owners: [Owner], wantsDigest: Bool, asksForOwn: Bool = false) {
        self.owners = owners
        self.wantsDigest = wantsDigest
        self.asksForOwn = asksForOwn
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(self.wantsDigest ? 1 : 0) | UInt8(self.asksForOwn ? 2 : 0))
        let owners = self.owners.prefix(RegistryLimits.owners)
        buffer.writeInteger(UInt16(owners.count))
        for owner in owners { owner.write(into: &buffer) }
    }

    fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
        let flags = try buffer.readWire(UInt8.self, "digest flags")
        self.wantsDigest = flags & 1 != 0
        self.asksForOwn = flags & 2 != 0
        let count = try buffer.readRegistryOwnerCount()
        self.owners = []
        for _ in 0..<count {
            let owner = try Owner(reading: &buffer)
            if let last = self.owners.last, last.name >= owner.name {
                throw WireError(.malformed, "a digest that is out of order at \(owner.name)")
            }
            self.owners.append(owner)
        }
    }
}

/// One entry on its way: without a record it is a tombstone.
package struct RegistryEntry: Equatable, Sendable {
    package var key: RegistryKey
    package var version: UInt64
    package var record: RegistryRecord?

    package init(key: RegistryKey, version: UInt64, record: RegistryRecord?) {
        self.key = key
        self.version = version
        self.record = record
    }

    /// The bytes of the entry as it travels.
    package func encoded() -> [UInt8] {
        var buffer = ByteBuffer()
        self.write(into: &buffer)
        return Array(buffer.readableBytesView)
    }

    /// The bytes of the entry as it travels.
    package var size: Int {
        var buffer = ByteBuffer()
        self.write(into: &buffer)
        return buffer.readableBytes
    }

    /// The size of an entry that a peer would take: its names are valid, its record belongs to its key and is not too long.
    /// Nil: a peer would not.
    package var sendableSize: Int? {
        guard self.record.map({ $0.kind == self.key.kind }) ?? true else { return nil }
        var buffer = ByteBuffer()
        self.write(into: &buffer)
        let size = buffer.readableBytes
        guard size <= RegistryLimits.entry, (try? RegistryEntry(reading: &buffer)) == self else { return nil }
        return size
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        self.key.write(into: &buffer)
        buffer.writeInteger(self.version)
        buffer.writeInteger(UInt8(self.record == nil ? 0 : 1))
        self.record?.write(into: &buffer)
    }

    fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
        let start = buffer.readableBytes
        self.key = try RegistryKey(reading: &buffer)
        self.version = try buffer.readRegistryNumber("entry version")
        let hasRecord = try buffer.readWire(UInt8.self, "entry flags") & 1 != 0
        self.record = hasRecord ? try RegistryRecord(self.key.kind, reading: &buffer) : nil
        guard start - buffer.readableBytes <= RegistryLimits.entry else {
            throw WireError(.tooLong, "a registry entry of \(start - buffer.readableBytes) bytes")
        }
    }
}

/// Entries, in the order of their versions.
package struct RegistryDelta: Equatable, Sendable {
    /// Entries of one owner: all that it has in (base, upTo], as of version `asOf`.
    package struct Part: Equatable, Sendable {
        package var owner: ServerName
        package var generation: UInt64
        /// The part is of use to whoever has every entry up to here.
        package var base: UInt64
        /// And who applied it has every entry up to here.
        package var upTo: UInt64
        /// What the sender had when it cut the part. Equal to `upTo`: there is no more.
        package var asOf: UInt64
        package var collected: UInt64
        /// By rising version.
        package var entries: [RegistryEntry]

        package init(
            owner: ServerName, generation: UInt64, base: UInt64, upTo: UInt64, asOf: UInt64, collected: UInt64,
            entries: [RegistryEntry]
        ) {
            self.owner = owner
            self.generation = generation
            self.base = base
            self.upTo = upTo
            self.asOf = asOf
            self.collected = collected
            self.entries = entries
        }

        /// The part begins at nothing: it may take the place of all that its receiver had.
        package var isReset: Bool { self.base == 0 }

        /// The most bytes that a part takes besides its entries.
        package static let header = 1 + 2 * ((Limits.name + 2) / 3) + 5 * 8 + 2

        fileprivate func write(into buffer: inout ByteBuffer) {
            buffer.writePackedName(self.owner)
            for number in [self.generation, self.base, self.upTo, self.asOf, self.collected] { buffer.writeInteger(number) }
            let entries = self.entries.prefix(Int(UInt16.max))
            buffer.writeInteger(UInt16(entries.count))
            for entry in entries { entry.write(into: &buffer) }
        }

        fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
            self.owner = try buffer.readPackedName("owner")
            self.generation = try buffer.readRegistryNumber("generation")
            self.base = try buffer.readRegistryNumber("base")
            self.upTo = try buffer.readRegistryNumber("version")
            self.asOf = try buffer.readRegistryNumber("latest version")
            self.collected = try buffer.readRegistryNumber("collected version")
            guard self.base <= self.upTo, self.upTo <= self.asOf, self.collected <= self.asOf else {
                throw WireError(.malformed, "a delta of \(self.owner) whose versions contradict each other")
            }
            let count = Int(try buffer.readWire(UInt16.self, "entry count"))
            self.entries = []
            var last = self.base
            for _ in 0..<count {
                let entry = try RegistryEntry(reading: &buffer)
                guard entry.version > last, entry.version <= self.upTo else {
                    throw WireError(.malformed, "a delta of \(self.owner) that is out of order")
                }
                last = entry.version
                self.entries.append(entry)
            }
        }
    }

    package var parts: [Part]
    /// The sender had more to say than one answer may hold: ask again.
    package var hasMore: Bool

    package init(parts: [Part], hasMore: Bool = false) {
        self.parts = parts
        self.hasMore = hasMore
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(self.hasMore ? 1 : 0))
        let parts = self.parts.prefix(RegistryLimits.owners)
        buffer.writeInteger(UInt16(parts.count))
        for part in parts { part.write(into: &buffer) }
    }

    fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.hasMore = try buffer.readWire(UInt8.self, "delta flags") & 1 != 0
        let count = try buffer.readRegistryOwnerCount()
        self.parts = []
        for _ in 0..<count { self.parts.append(try Part(reading: &buffer)) }
    }
}

/// What the registries of two servers say to each other.
package enum RegistryMessage: Equatable, Sendable {
    /// How far the sender has come with each owner. The answer: what it lacks.
    case digest(RegistryDigest)
    case delta(RegistryDelta)

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .digest(let digest):
            buffer.writeInteger(UInt8(1))
            digest.write(into: &buffer)
        case .delta(let delta):
            buffer.writeInteger(UInt8(2))
            delta.write(into: &buffer)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "kind of registry message") {
        case 1: self = .digest(try RegistryDigest(reading: &buffer))
        case 2: self = .delta(try RegistryDelta(reading: &buffer))
        case let kind: throw WireError(.malformed, "unknown kind of registry message \(kind)")
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func readRegistryNumber(_ what: StaticString) throws(WireError) -> UInt64 {
        let number = try self.readWire(UInt64.self, what)
        guard number <= RegistryLimits.number else { throw WireError(.malformed, "\(what) \(number) is beyond any real one") }
        return number
    }

    fileprivate mutating func readRegistryOwnerCount() throws(WireError) -> Int {
        let count = Int(try self.readWire(UInt16.self, "owner count"))
        guard count <= RegistryLimits.owners else { throw WireError(.tooLong, "\(count) owners of registry entries") }
        return count
    }
}
