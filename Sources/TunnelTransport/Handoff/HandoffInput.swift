import NIOCore
import TunnelSession
import TunnelWire

/// Reads a handoff in the order in which it was written.
package struct HandoffInput {
    private var reader: HandoffReader
    private let source: () throws -> ByteBuffer?
    /// A record that was looked at and not taken.
    private var ahead: HandoffRecord?
    private var bytes = ByteBuffer()

    /// - Parameters:
    ///   - known: the kinds of records that the caller understands, besides those of sessions and connections.
    ///   - source: the next piece; nil at the end.
    package init(known: Set<HandoffKind>, source: @escaping () throws -> ByteBuffer?) {
        self.reader = HandoffReader(known: known.union(HandoffKind.ofSession).union([.connections, .bytes]))
        self.source = source
    }

    /// Who wrote it; nil before the first record was read.
    package var software: String? { self.reader.software }

    /// The next record; nil behind the last one.
    package mutating func next() throws -> HandoffRecord? {
        if let ahead = self.ahead {
            self.ahead = nil
            return ahead
        }
        while true {
            if let record = try self.reader.next() { return record }
            guard let piece = try self.source() else {
                try self.reader.finish()
                return nil
            }
            self.reader.feed(piece)
        }
    }

    /// Reads to the end: throws if anything is damaged or missing.
    package mutating func check() throws {
        while try self.next() != nil {}
    }

    private mutating func next(_ kind: HandoffKind) throws -> ByteBuffer {
        guard let record = try self.next() else { throw WireError(.malformed, "a handoff ends too early") }
        guard record.kind == kind else { throw WireError(.unexpected, "a record 0x\(record.kind) where 0x\(kind) belongs") }
        return record.payload
    }

    /// The next bytes of records that hold nothing else.
    package mutating func read(_ count: Int) throws -> ByteBuffer {
        var result = ByteBuffer()
        while result.readableBytes < count {
            if self.bytes.readableBytes == 0 { self.bytes = try self.next(.bytes) }
            let length = min(count - result.readableBytes, self.bytes.readableBytes)
            guard length > 0, let piece = self.bytes.readSlice(length: length) else {
                throw WireError(.malformed, "a record without bytes")
            }
            result.writeImmutableBuffer(piece)
        }
        return result
    }
}

// MARK: - Sessions and connections

extension HandoffInput {
    package mutating func readDriver() throws -> FrozenDriver {
        var decoder = FrozenSessionDecoder()
        while let record = try self.next() {
            guard HandoffKind.ofSession.contains(record.kind) else { break }
            if let session = try decoder.take(record) {
                return FrozenDriver(session: session, connections: try self.readConnections())
            }
        }
        throw WireError(.malformed, "a session is not whole")
    }

    package mutating func readConnections() throws -> [FrozenConnection] {
        var payload = try self.next(.connections)
        let count = Int(try payload.readWire(UInt32.self, "number of connections"))
        var connections: [FrozenConnection] = []
        var lengths: [(unsent: Int, unread: Int)] = []
        while connections.count < count {
            if payload.readableBytes == 0 { payload = try self.next(.connections) }
            let length = Int(try payload.readWire(UInt16.self, "length of a connection"))
            guard var entry = payload.readSlice(length: length) else { throw WireError(.malformed, "a connection is cut short") }
            let (connection, unsent, unread) = try FrozenConnection.read(&entry)
            connections.append(connection)
            lengths.append((unsent, unread))
        }
        for index in connections.indices where connections[index].socket != nil {
            connections[index].socket?.unsent = try self.read(lengths[index].unsent)
            connections[index].socket?.unread = try self.read(lengths[index].unread)
        }
        return connections
    }

    package mutating func readLane() throws -> GossipLane.Frozen {
        var head = try self.read(5 * 8)
        var numbers: [Int] = []
        for _ in 0..<5 { numbers.append(Int(clamping: try head.readWire(UInt64.self, "a number of a lane"))) }
        var lane = GossipLane.Frozen()
        (lane.credit, lane.peerCredit, lane.untold) = (numbers[1], numbers[2], numbers[3])
        guard numbers[0] <= 1 << 20, numbers[4] <= ClusterLimits.dataMessage,
            max(lane.credit, lane.peerCredit, lane.untold) <= ClusterLimits.gossipWindow
        else { throw WireError(.malformed, "a lane beyond its bounds") }
        var table = try self.read(numbers[0] * 5)
        var pieces: [(length: Int, isLast: Bool)] = []
        for _ in 0..<numbers[0] {
            let length = Int(try table.readWire(UInt32.self, "length of a fragment"))
            let isLast = try table.readWire(UInt8.self, "end of a message") != 0
            guard length <= Limits.framePayload else { throw WireError(.malformed, "a fragment of \(length) bytes") }
            pieces.append((length, isLast))
        }
        for (length, isLast) in pieces { lane.fragments.append((try self.read(length), isLast)) }
        lane.incomplete = try self.read(numbers[4])
        return lane
    }
}

extension FrozenConnection {
    fileprivate static func read(_ entry: inout ByteBuffer) throws -> (FrozenConnection, unsent: Int, unread: Int) {
        let id = try entry.readWire(StreamID.self, "stream of a connection")
        let flags = FrozenConnectionFlags(rawValue: try entry.readWire(UInt8.self, "flags"))
        let age = Duration.nanoseconds(Int64(clamping: try entry.readWire(UInt64.self, "age")))
        var connection = FrozenConnection(
            id: id, open: try Open(reading: &entry), isOpenedHere: flags.contains(.isOpenedHere),
            isOpen: flags.contains(.isOpen), age: age)
        guard flags.contains(.hasSocket) else { return (connection, 0, 0) }
        var numbers: [UInt64] = []
        for _ in 0..<4 { numbers.append(try entry.readWire(UInt64.self, "a number of a connection")) }
        let unsent = Int(try entry.readWire(UInt32.self, "unsent bytes"))
        let unread = Int(try entry.readWire(UInt32.self, "unread bytes"))
        connection.socket = FrozenSocket(
            descriptor: -1, cookie: numbers[0], unsent: ByteBuffer(), unread: ByteBuffer(), sawEnd: flags.contains(.sawEnd),
            isOutputClosed: flags.contains(.isOutputClosed), finishWhenDrained: flags.contains(.finishWhenDrained),
            bytesRead: numbers[2], bytesWritten: numbers[3], pair: numbers[1], isPairReset: flags.contains(.isPairReset))
        return (connection, unsent, unread)
    }
}
