import NIOCore
import TunnelSession
import TunnelWire

/// The bytes that a stream carries: a function of stream, direction and offset, so that a lost, doubled, moved or changed
/// byte, or one of another stream, shows at once at its place.
enum Pattern {
    /// The longest piece that can be made or compared at a time.
    static let longest = 131_072
    /// A prime, so that no shift by a frame or a buffer fits.
    private static let period = 65_521

    private static let table: ByteBuffer = {
        var random = SplitMix64(seed: 0x5EED)
        let once = (0..<Self.period).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var table = ByteBufferAllocator().buffer(capacity: Self.period + Self.longest)
        while table.readableBytes < Self.period + Self.longest { table.writeBytes(once) }
        return table
    }()

    /// The bytes that `sender` sends on `stream` from `offset` on. The storage is shared with every other piece.
    static func bytes(stream: StreamID, sender: SessionSide, offset: Int, count: Int) -> ByteBuffer {
        let key = Int(stream) * 7919 + (sender == .dialer ? 0 : 31_337)
        return Self.table.getSlice(at: (key + offset) % Self.period, length: count) ?? ByteBuffer()
    }

    /// The offset of the first byte that is not what it should be, nil when all are.
    static func mismatch(_ bytes: ByteBuffer, stream: StreamID, sender: SessionSide, offset: Int) -> Int? {
        let expected = Self.bytes(stream: stream, sender: sender, offset: offset, count: bytes.readableBytes)
        guard expected != bytes else { return nil }
        let place = zip(expected.readableBytesView, bytes.readableBytesView).firstIndex { $0 != $1 }
        return offset + (place ?? expected.readableBytes)
    }
}

extension Sequence {
    fileprivate func firstIndex(where isWanted: (Element) -> Bool) -> Int? {
        self.enumerated().first { isWanted($0.element) }?.offset
    }
}
