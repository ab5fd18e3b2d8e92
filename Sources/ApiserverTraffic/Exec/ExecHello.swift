import NIOCore

/// What the caller of a two-way stream says first. On the wire: magic, interval in milliseconds (4 bytes each), the length of
/// the id (2 bytes), the id; big endian.
struct ExecHello: Sendable, Equatable {
    static let magic: UInt32 = 0x6778_6563
    private static let longestID = 200

    var id: String
    /// Between two blocks, for both ends.
    var interval: TimeAmount

    func write(to buffer: inout ByteBuffer) {
        let id = self.id.utf8.prefix(Self.longestID)
        buffer.writeMultipleIntegers(Self.magic, UInt32(self.interval.nanoseconds / 1_000_000), UInt16(id.count))
        buffer.writeBytes(id)
    }

    /// Nil: not all of it has come. Throws for what is none.
    static func read(from buffer: inout ByteBuffer) throws -> ExecHello? {
        guard let magic = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard magic == Self.magic else { throw TrafficTrouble("no two-way stream begins like this") }
        guard let milliseconds = buffer.getInteger(at: buffer.readerIndex + 4, as: UInt32.self),
            let length = buffer.getInteger(at: buffer.readerIndex + 8, as: UInt16.self)
        else { return nil }
        guard length <= Self.longestID, (1...60_000).contains(milliseconds) else {
            throw TrafficTrouble("a two-way stream with an id or an interval that cannot be")
        }
        guard let bytes = buffer.getBytes(at: buffer.readerIndex + 10, length: Int(length)) else { return nil }
        buffer.moveReaderIndex(forwardBy: 10 + Int(length))
        return ExecHello(id: String(decoding: bytes, as: UTF8.self), interval: .milliseconds(Int64(milliseconds)))
    }

    /// The blocks that the caller sends, and those that it gets.
    var keys: (caller: UInt64, callee: UInt64) { (Block.key(of: "\(self.id)>"), Block.key(of: "\(self.id)<")) }
}
