import Crypto
import Foundation

/// A stream of bytes without a short period, the same for the same seed: what was sent, known at every offset.
struct Pattern: Sendable {
    private let block: [UInt8]
    private var start = 0

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        // A length that shares no factor with any frame or buffer.
        let length = 262_147
        self.block = [UInt8](unsafeUninitializedCapacity: length + 8) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for offset in stride(from: 0, to: length, by: 8) {
                raw.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
            }
            count = length
        }
    }

    /// The same bytes from another place on: cheaper to have many of than patterns of their own.
    func shifted(by offset: Int) -> Pattern {
        var shifted = self
        shifted.start = (self.start + offset) % self.block.count
        return shifted
    }

    /// Calls `body` with up to `count` bytes of the stream from `offset`, at least one.
    func withBytes<Value>(at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
        try self.block.withUnsafeBytes { bytes in
            let start = (self.start + offset) % bytes.count
            return try body(UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + count)]))
        }
    }

    /// Where `bytes`, which begin at `offset` of the stream, first differ from it; nil where they do not.
    func difference(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int? {
        var checked = 0
        while checked < bytes.count {
            let differs: Int? = self.withBytes(at: offset + checked, count: bytes.count - checked) { expected in
                let piece = UnsafeRawBufferPointer(rebasing: bytes[checked..<checked + expected.count])
                defer { checked += expected.count }
                guard let left = piece.baseAddress, let right = expected.baseAddress else { return nil }
                return memcmp(left, right, expected.count) == 0 ? nil : checked
            }
            if let differs { return offset + differs }
        }
        return nil
    }

    /// SHA-256 of the first `count` bytes.
    func digest(_ count: Int) -> SHA256.Digest {
        var hash = SHA256()
        var done = 0
        while done < count {
            self.withBytes(at: done, count: count - done) {
                hash.update(bufferPointer: $0)
                done += $0.count
            }
        }
        return hash.finalize()
    }
}

/// What a reader made of a stream that should be a pattern.
struct Received: Sendable {
    var count = 0
    /// The offset of the first wrong byte.
    var firstDifference: Int?
    var digest: SHA256.Digest
    var end: RawSocket.End
}
