import NIOCore

/// How fast an end sends.
package struct PatternPace: Sendable, Equatable {
    /// Bytes of each write.
    package let chunk: Int
    /// Time between two writes.
    package let interval: TimeAmount

    /// 4 KiB every 125 ms: 32 KiB/s.
    package static let standard = PatternPace(chunk: 4096, interval: .milliseconds(125))
    /// What one end may ask of the other, in bytes and microseconds.
    private static let chunks = 8...65_536
    private static let microseconds: ClosedRange<Int64> = 1_000...3_600_000_000

    package init(chunk: Int, interval: TimeAmount) {
        self.chunk = chunk
        self.interval = interval
    }

    /// Reads ``words``; nil if they are none, or out of range.
    init?(words: some Sequence<some StringProtocol>) {
        let words = Array(words)
        guard words.count == 2, let chunk = Int(words[0]), Self.chunks.contains(chunk),
            let microseconds = Int64(words[1]), Self.microseconds.contains(microseconds)
        else { return nil }
        self.init(chunk: chunk, interval: .microseconds(microseconds))
    }

    /// How it is asked for: bytes and microseconds.
    var words: String { "\(chunk) \(interval.nanoseconds / 1_000)" }
}
