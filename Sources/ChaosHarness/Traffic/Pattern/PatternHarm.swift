import NIOCore

/// What was done to a pattern that is wrong, found from the bytes that came after the first wrong one.
///
/// A byte that differs says only where; whether bytes are missing before what follows, came a second time, changed places or
/// were changed, is known by where in the pattern the following bytes belong.
enum PatternHarm: Equatable, Sendable {
    /// So many bytes are missing, and everything after them is right.
    case lost(UInt64)
    /// So many bytes came a second time.
    case doubled(UInt64)
    /// Bytes came too early, and what belongs before them later.
    case reordered
    /// Bytes are wrong in their place, and what follows is right.
    case changed
    /// What follows is found nowhere near: another stream's bytes, or too few to say.
    case unknown

    /// How much may be looked at.
    static let window = 262_144
    /// Words on each side in which following bytes are looked for.
    private static let reach: UInt64 = 65_536
    private static let size = UInt64(PatternWords.size)

    /// In one word, for reports.
    var name: String {
        switch self {
        case .lost: "lost"
        case .doubled: "doubled"
        case .reordered: "reordered"
        case .changed: "changed"
        case .unknown: "unknown"
        }
    }

    /// - Parameters:
    ///   - offset: bytes of pattern that were right.
    ///   - bytes: what came after them.
    static func find(in bytes: [UInt8], at offset: UInt64, of words: PatternWords) -> PatternHarm {
        let pieces = self.pieces(bytes, offset, words)
        guard let first = pieces.first else { return .unknown }
        // What was skipped came after all.
        if pieces.contains(where: { $0.place < first.place && $0.place >= offset }) { return .reordered }
        let expected = offset + first.index
        if first.place == expected { return .changed }
        if first.place > expected { return .lost(first.place - expected) }
        return .doubled(expected - first.place)
    }

    /// A run of right words: at which byte of what came, and where it belongs in the pattern.
    private struct Piece {
        var index: UInt64
        var place: UInt64
    }

    /// The runs of right words, in the order in which they came.
    private static func pieces(_ bytes: [UInt8], _ offset: UInt64, _ words: PatternWords) -> [Piece] {
        let middle = offset / size
        let near = (middle > reach ? middle - reach : 0)...(middle + reach)
        var places: [UInt64: UInt64] = [:]
        for index in near { places[words.word(index)] = index * size }
        var found: [Piece] = []
        var index = 0
        while index + PatternWords.size <= bytes.count {
            guard let place = places[word(bytes, index)] else {
                index += 1
                continue
            }
            let begin = index
            var next = place
            while index + PatternWords.size <= bytes.count, places[word(bytes, index)] == next {
                index += PatternWords.size
                next += size
            }
            found.append(Piece(index: UInt64(begin), place: place))
        }
        return found
    }

    private static func word(_ bytes: [UInt8], _ index: Int) -> UInt64 {
        bytes[index..<index + PatternWords.size].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
