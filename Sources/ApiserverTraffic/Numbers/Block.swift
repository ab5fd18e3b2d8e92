import NIOCore

/// A piece of traffic of which every byte is known beforehand: its payload is a function of its key (which stream it belongs
/// to) and its number in it. So whoever reads it can tell what is missing, doubled, out of order or changed.
///
/// On the wire: magic and payload length (4 bytes each), key and number (8 bytes each), payload; big endian.
package struct Block: Sendable, Equatable {
    package static let headerLength = 24
    /// Payload bytes of the largest block; a longer one is taken for corrupt.
    package static let largest = 64 << 10
    static let magic: UInt32 = 0x6774_6e6c

    package var key: UInt64
    package var number: UInt64
    /// Payload bytes; 0 says that the stream ends here, and `number` how many blocks there were.
    package var length: Int

    package init(key: UInt64, number: UInt64, length: Int) {
        self.key = key
        self.number = number
        self.length = length
    }

    package func write(to buffer: inout ByteBuffer) {
        buffer.reserveCapacity(minimumWritableBytes: Self.headerLength + self.length)
        buffer.writeMultipleIntegers(Self.magic, UInt32(self.length), self.key, self.number)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: self.length) { bytes in
            var (pattern, index) = (Pattern(self.key, self.number), 0)
            while index < self.length {
                let word = pattern.next()
                if self.length - index >= 8 {
                    bytes.storeBytes(of: word, toByteOffset: index, as: UInt64.self)
                    index += 8
                } else {
                    bytes[index] = UInt8(truncatingIfNeeded: word)
                    index += 1
                }
            }
            return self.length
        }
    }

    /// Whether these bytes, `length` of them, are the payload.
    func matches(_ payload: ByteBuffer) -> Bool {
        payload.withUnsafeReadableBytes { bytes in
            guard bytes.count == self.length else { return false }
            var (pattern, index) = (Pattern(self.key, self.number), 0)
            while index < bytes.count {
                let word = pattern.next()
                if bytes.count - index >= 8 {
                    guard bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) == word else { return false }
                    index += 8
                } else {
                    guard bytes[index] == UInt8(truncatingIfNeeded: word) else { return false }
                    index += 1
                }
            }
            return true
        }
    }

    /// A key from a name, such as a request's id: FNV-1a, 64 bits. It need not withstand anybody, only tell streams apart.
    package static func key(of name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

/// The words of a block's payload: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
private struct Pattern {
    private var state: UInt64

    init(_ key: UInt64, _ number: UInt64) { self.state = key ^ (number &* 0xd134_2543_de82_ef95) }

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
