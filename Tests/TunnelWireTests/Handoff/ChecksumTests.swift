import Testing

@testable import TunnelWire

@Suite struct ChecksumTests {
    /// The examples of RFC 3720, appendix B.4, and the check value that catalogues of checksums give.
    @Test func knownValues() {
        #expect(Self.checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(Self.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(Self.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(Self.checksum(Array(0..<32)) == 0x46DD_794E)
        #expect(Self.checksum(Array((0..<32).reversed())) == 0x113F_DB5C)
        #expect(Checksum().value == 0)
    }

    /// Eight bytes at a time, or fewer: where the bytes are cut makes no difference.
    @Test func piecesMakeNoDifference() {
        var random = SeededRandom(seed: 1)
        let bytes = random.bytes(40)
        let whole = Self.checksum(bytes)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                #expect(Self.checksum(Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])) == whole)
            }
        }
    }

    @Test func integersAreBigEndian() {
        var checksum = Checksum()
        checksum.add(UInt16(0x0102))
        checksum.add(UInt64(0x0304_0506_0708_090A))
        checksum.add(UInt32(0x0B0C_0D0E))
        #expect(checksum.value == Self.checksum(Array(1...14)))
    }

    @Test func everyBitMatters() {
        let bytes = [UInt8](repeating: 0x5A, count: 21)
        let whole = Self.checksum(bytes)
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(Self.checksum(changed) != whole, "bit \(bit)")
        }
    }

    private static func checksum(_ pieces: [UInt8]...) -> UInt32 {
        var checksum = Checksum()
        for piece in pieces { piece.withUnsafeBytes { checksum.add($0) } }
        return checksum.value
    }
}
