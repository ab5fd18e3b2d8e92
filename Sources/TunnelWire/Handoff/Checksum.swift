/// CRC-32C (Castagnoli; RFC 3720, appendix B.4): finds damage, every burst of up to 32 bits among it. It is no protection
/// against somebody who wants a handoff to look right.
package struct Checksum: Sendable {
    private var state: UInt32 = ~0

    package init() {}

    /// The checksum of everything that was added.
    package var value: UInt32 { ~self.state }

    /// Adds one integer in big-endian order.
    package mutating func add<T: FixedWidthInteger>(_ integer: T) {
        withUnsafeBytes(of: integer.bigEndian) { self.add($0) }
    }

    /// Adds bytes, eight at a time (Kounavis and Berry, 2008): a handoff may be hundreds of MiB, and its streams wait.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var state = self.state
        Self.tables.withUnsafeBufferPointer { tables in
            var offset = 0
            while offset + 8 <= bytes.count {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) ^ UInt64(state)
                state = tables[1792 + Int(word & 0xFF)]
                state ^= tables[1536 + Int(word >> 8 & 0xFF)]
                state ^= tables[1280 + Int(word >> 16 & 0xFF)]
                state ^= tables[1024 + Int(word >> 24 & 0xFF)]
                state ^= tables[768 + Int(word >> 32 & 0xFF)]
                state ^= tables[512 + Int(word >> 40 & 0xFF)]
                state ^= tables[256 + Int(word >> 48 & 0xFF)]
                state ^= tables[Int(word >> 56)]
                offset += 8
            }
            while offset < bytes.count {
                state = tables[Int((state ^ UInt32(bytes[offset])) & 0xFF)] ^ (state >> 8)
                offset += 1
            }
        }
        self.state = state
    }

    /// Eight tables of 256: table k holds what a byte becomes with k zero bytes behind it.
    private static let tables: [UInt32] = {
        var tables: [UInt32] = []
        for byte in UInt32(0)..<256 {
            var remainder = byte
            for _ in 0..<8 { remainder = (remainder >> 1) ^ (remainder & 1 == 1 ? 0x82F6_3B78 : 0) }
            tables.append(remainder)
        }
        for entry in 256..<2048 {
            let before = tables[entry - 256]
            tables.append(tables[Int(before & 0xFF)] ^ (before >> 8))
        }
        return tables
    }()
}
