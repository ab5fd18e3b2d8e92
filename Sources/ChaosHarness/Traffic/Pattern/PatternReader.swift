import NIOCore

/// Where a pattern stopped being what was sent.
struct PatternFault: Error, Equatable, CustomStringConvertible {
    enum Kind: Equatable {
        /// A byte of the pattern differs.
        case byte(expected: UInt8, found: UInt8)
        /// The pattern was broken off by something that is no trailer.
        case trailer
        /// Bytes came after the trailer.
        case excess
        /// The trailer announces another number of bytes than came.
        case count(announced: UInt64)
    }

    /// Bytes of pattern that were right before it.
    let offset: UInt64
    let kind: Kind

    var description: String {
        switch kind {
        case .byte(let expected, let found): "byte \(offset) is \(found) instead of \(expected)"
        case .trailer: "the pattern breaks off at byte \(offset)"
        case .excess: "bytes came after the end at byte \(offset)"
        case .count(let announced): "ended at byte \(offset), but \(announced) were sent"
        }
    }
}

/// Verifies one direction of a stream's pattern as it arrives, in pieces of any size.
///
/// States: pattern → trailer → ended. After a fault it must not be used again.
struct PatternReader {
    private enum State {
        case pattern
        /// The first bytes of the trailer.
        case trailer([UInt8])
        case ended
    }

    let words: PatternWords
    private var state = State.pattern
    /// Bytes of pattern that arrived and were right.
    private(set) var count: UInt64 = 0

    init(_ words: PatternWords) { self.words = words }

    /// Whether the whole trailer was read.
    var hasEnded: Bool { if case .ended = state { true } else { false } }

    /// What was taken for the beginning of a trailer, and is not counted.
    var pending: [UInt8] { if case .trailer(let begun) = state { begun } else { [] } }

    /// Verifies and consumes all of `bytes`.
    mutating func read(_ bytes: inout ByteBuffer) throws(PatternFault) {
        while bytes.readableBytes > 0 {
            switch state {
            case .pattern: try readPattern(&bytes)
            case .trailer(let begun): try readTrailer(begun, &bytes)
            case .ended: throw PatternFault(offset: count, kind: .excess)
            }
        }
    }

    /// One word, or one byte where a word came in pieces or is wrong.
    private mutating func readPattern(_ bytes: inout ByteBuffer) throws(PatternFault) {
        let place = count % UInt64(PatternWords.size)
        let word = words.word(count / UInt64(PatternWords.size))
        if place == 0, bytes.getInteger(at: bytes.readerIndex) == word {
            bytes.moveReaderIndex(forwardBy: PatternWords.size)
            count += UInt64(PatternWords.size)
            return
        }
        guard let found = bytes.readInteger(as: UInt8.self) else { return }
        if place == 0, found < 0x80 {
            state = .trailer([found])
            return
        }
        let expected = UInt8(truncatingIfNeeded: word >> (56 - 8 * place))
        guard found == expected else { throw PatternFault(offset: count, kind: .byte(expected: expected, found: found)) }
        count += 1
    }

    private mutating func readTrailer(_ begun: [UInt8], _ bytes: inout ByteBuffer) throws(PatternFault) {
        let mark = PatternWords.trailerMark
        var trailer = begun
        trailer += bytes.readBytes(length: min(bytes.readableBytes, mark.count + 8 - begun.count)) ?? []
        guard trailer.prefix(mark.count).elementsEqual(mark.prefix(trailer.count)) else {
            throw PatternFault(offset: count, kind: .trailer)
        }
        guard trailer.count == mark.count + 8 else {
            state = .trailer(trailer)
            return
        }
        let announced = trailer.dropFirst(mark.count).reduce(0) { $0 << 8 | UInt64($1) }
        guard announced == count else { throw PatternFault(offset: count, kind: .count(announced: announced)) }
        state = .ended
    }
}
