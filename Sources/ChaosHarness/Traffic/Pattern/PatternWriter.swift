import NIOCore

/// Produces one direction of a stream's pattern.
struct PatternWriter {
    private let words: PatternWords
    /// Bytes of pattern produced.
    private(set) var count: UInt64 = 0

    init(_ words: PatternWords) { self.words = words }

    /// The next `size` bytes of pattern, rounded down to whole words.
    mutating func next(_ size: Int, into buffer: inout ByteBuffer) {
        let step = UInt64(PatternWords.size)
        for _ in 0..<size / PatternWords.size {
            buffer.writeInteger(words.word(count / step))
            count += step
        }
    }

    /// Announces the end: without it, an end of the connection is not in order.
    func trailer(into buffer: inout ByteBuffer) {
        buffer.writeBytes(PatternWords.trailerMark)
        buffer.writeInteger(count)
    }
}
