import NIOCore
import TunnelSession
import TunnelWire

extension HandoffKind {
    /// What is known of connections besides their sessions: entries, each behind its length.
    package static let connections = HandoffKind(rawValue: 0x0201)
    /// Bytes, whose meaning and lengths stand in the records before.
    package static let bytes = HandoffKind(rawValue: 0x0202)
}

/// Writes a handoff to where it is kept, a piece at a time.
package struct HandoffOutput {
    private var writer: HandoffWriter
    private var pending = ByteBuffer()
    private let sink: (ByteBuffer) throws -> Void

    private static let piece = 256 << 10

    /// - Parameters:
    ///   - software: the version of this program.
    ///   - sink: takes what is written, in order.
    package init(software: String, sink: @escaping (ByteBuffer) throws -> Void) {
        self.writer = HandoffWriter(software: software)
        self.sink = sink
    }

    package mutating func append(_ record: HandoffRecord) throws {
        try self.flushBytes()
        self.writer.append(record)
        try self.drain()
    }

    /// Bytes go into records of their own, as many as it takes.
    package mutating func append(_ bytes: ByteBuffer) throws {
        var rest = bytes
        while let piece = rest.readSlice(length: min(rest.readableBytes, Self.piece)), piece.readableBytes > 0 {
            self.pending.writeImmutableBuffer(piece)
            if self.pending.readableBytes >= Self.piece { try self.flushBytes() }
        }
    }

    package mutating func finish() throws {
        try self.flushBytes()
        self.writer.finish()
        try self.drain()
    }

    private mutating func flushBytes() throws {
        guard self.pending.readableBytes > 0 else { return }
        self.writer.append(HandoffRecord(.bytes, self.pending))
        self.pending = ByteBuffer()
        try self.drain()
    }

    private mutating func drain() throws {
        for piece in self.writer.takeOutput() { try self.sink(piece) }
    }
}

// MARK: - Sessions and connections

extension HandoffOutput {
    package mutating func append(_ driver: FrozenDriver) throws {
        for record in FrozenSessionEncoder(driver.session) { try self.append(record) }
        try self.append(driver.connections)
    }

    /// ```
    /// connections  number u32, then entries, over as many records as it takes
    /// entry        length u16 · id u32 · flags u8 · age (ns) u64 · OPEN
    ///              · cookie, pair, bytes read, bytes written u64 · unsent, unread u32   (with a socket)
    /// bytes        unsent and unread of each connection
    /// ```
    package mutating func append(_ connections: [FrozenConnection]) throws {
        var payload = ByteBuffer(integer: UInt32(connections.count))
        for connection in connections {
            if payload.readableBytes >= Self.piece {
                try self.append(HandoffRecord(.connections, payload))
                payload = ByteBuffer()
            }
            connection.write(into: &payload)
        }
        try self.append(HandoffRecord(.connections, payload))
        for case let socket? in connections.map(\.socket) {
            try self.append(socket.unsent)
            try self.append(socket.unread)
        }
    }

    /// Five numbers (u64: fragments, credit, peer's credit, untold, length of the incomplete message), then length (u32) and end
    /// (u8) of each fragment, then all those bytes; all of it as bytes.
    package mutating func append(_ lane: GossipLane.Frozen) throws {
        var head = ByteBuffer()
        let numbers = [lane.fragments.count, lane.credit, lane.peerCredit, lane.untold, lane.incomplete.readableBytes]
        for number in numbers { head.writeInteger(UInt64(clamping: number)) }
        for fragment in lane.fragments {
            head.writeInteger(UInt32(fragment.bytes.readableBytes))
            head.writeInteger(UInt8(fragment.isLast ? 1 : 0))
        }
        try self.append(head)
        for fragment in lane.fragments { try self.append(fragment.bytes) }
        try self.append(lane.incomplete)
    }
}

/// The bits of a connection's flags.
struct FrozenConnectionFlags: OptionSet {
    var rawValue: UInt8

    static let isOpenedHere = FrozenConnectionFlags(rawValue: 1)
    static let isOpen = FrozenConnectionFlags(rawValue: 2)
    static let hasSocket = FrozenConnectionFlags(rawValue: 4)
    static let sawEnd = FrozenConnectionFlags(rawValue: 8)
    static let isOutputClosed = FrozenConnectionFlags(rawValue: 16)
    static let finishWhenDrained = FrozenConnectionFlags(rawValue: 32)
    static let isPairReset = FrozenConnectionFlags(rawValue: 64)
}

extension FrozenConnection {
    private var flags: FrozenConnectionFlags {
        var flags: FrozenConnectionFlags = []
        if self.isOpenedHere { flags.insert(.isOpenedHere) }
        if self.isOpen { flags.insert(.isOpen) }
        guard let socket else { return flags }
        flags.insert(.hasSocket)
        if socket.sawEnd { flags.insert(.sawEnd) }
        if socket.isOutputClosed { flags.insert(.isOutputClosed) }
        if socket.finishWhenDrained { flags.insert(.finishWhenDrained) }
        if socket.isPairReset { flags.insert(.isPairReset) }
        return flags
    }

    fileprivate func write(into payload: inout ByteBuffer) {
        var entry = ByteBuffer()
        entry.writeInteger(self.id)
        entry.writeInteger(self.flags.rawValue)
        entry.writeInteger(UInt64(clamping: self.age.wholeNanoseconds))
        self.open.write(into: &entry)
        if let socket {
            for number in [socket.cookie, socket.pair, socket.bytesRead, socket.bytesWritten] { entry.writeInteger(number) }
            entry.writeInteger(UInt32(socket.unsent.readableBytes))
            entry.writeInteger(UInt32(socket.unread.readableBytes))
        }
        payload.writeInteger(UInt16(entry.readableBytes))
        payload.writeBuffer(&entry)
    }
}
