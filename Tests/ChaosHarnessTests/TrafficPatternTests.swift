import NIOCore
import Testing

@testable import ChaosHarness

@Suite("The counted pattern")
struct TrafficPatternTests {
    /// What a transport may do to bytes that it must not.
    enum Harm: CaseIterable {
        case lost, doubled, swapped, flipped, cutShort, foreign
    }

    @Test("is accepted in pieces of any size, and its end is seen")
    func intact() throws {
        var random = SplitMix(seed: 1)
        for _ in 0..<200 {
            let stream = random.next()
            let words = Int.random(in: 0...300, using: &random)
            let (fault, reader) = read(pattern(stream, words: words), as: stream, using: &random)
            #expect(fault == nil)
            #expect(reader.hasEnded)
            #expect(reader.count == UInt64(words * PatternWords.size))
        }
    }

    @Test("shows every byte that is lost, doubled, swapped, flipped, cut off or another stream's", arguments: Harm.allCases)
    func harmed(_ harm: Harm) throws {
        var random = SplitMix(seed: 2)
        var seen = 0
        for _ in 0..<500 {
            let stream = random.next()
            let sent = pattern(stream, words: Int.random(in: 8...300, using: &random))
            let received = apply(harm, to: sent, stream: stream, using: &random)
            // Two equal bytes swapped are no harm.
            guard received != sent else { continue }
            seen += 1
            let (fault, reader) = read(received, as: stream, using: &random)
            #expect(fault != nil || !reader.hasEnded, "\(harm) in \(sent.count) bytes was not seen")
            let first = zip(sent, received).enumerated().first { $1.0 != $1.1 }?.offset ?? min(sent.count, received.count)
            // Within the pattern the place is told exactly; the trailer has no offsets, and a cut no wrong byte.
            if first < min(sent.count - 16, received.count) { #expect(fault?.offset == UInt64(first)) }
        }
        #expect(seen > 400)
    }

    @Test("tells whole words that are missing before the end by their count")
    func missingTail() {
        var random = SplitMix(seed: 3)
        let sent = pattern(7, words: 20)
        let received = Array(sent.prefix(80) + sent.suffix(16))
        #expect(read(received, as: 7, using: &random).fault == PatternFault(offset: 80, kind: .count(announced: 160)))
    }

    @Test("allows nothing after its end")
    func excess() {
        var random = SplitMix(seed: 4)
        let received = pattern(7, words: 2) + [1]
        #expect(read(received, as: 7, using: &random).fault == PatternFault(offset: 16, kind: .excess))
    }

    @Test("differs between streams and between directions")
    func differs() {
        let bytes = [(1, PatternWords.Direction.up), (1, .down), (2, .up), (2, .down)].map { stream, direction in
            (0..<4).map { PatternWords(stream: stream, direction: direction).word($0) }
        }
        #expect(Set(bytes).count == 4)
    }

    // MARK: Helpers

    private func pattern(_ stream: UInt64, words: Int) -> [UInt8] {
        var writer = PatternWriter(PatternWords(stream: stream, direction: .down))
        var buffer = ByteBuffer()
        writer.next(words * PatternWords.size, into: &buffer)
        writer.trailer(into: &buffer)
        return Array(buffer.readableBytesView)
    }

    private func read(
        _ bytes: [UInt8], as stream: UInt64, using random: inout SplitMix
    ) -> (fault: PatternFault?, reader: PatternReader) {
        var reader = PatternReader(PatternWords(stream: stream, direction: .down))
        var rest = bytes[...]
        while !rest.isEmpty {
            let size = Int.random(in: 1...min(rest.count, 40), using: &random)
            var piece = ByteBuffer(bytes: rest.prefix(size))
            rest = rest.dropFirst(size)
            do throws(PatternFault) { try reader.read(&piece) } catch { return (error, reader) }
        }
        return (nil, reader)
    }

    private func apply(_ harm: Harm, to sent: [UInt8], stream: UInt64, using random: inout SplitMix) -> [UInt8] {
        var bytes = sent
        let place = Int.random(in: 0..<bytes.count - 1, using: &random)
        let size = min(Int.random(in: 1...64, using: &random), bytes.count - place)
        switch harm {
        case .lost: bytes.removeSubrange(place..<place + size)
        case .doubled: bytes.insert(contentsOf: bytes[place..<place + size], at: place)
        case .swapped: bytes.swapAt(place, place + 1)
        case .flipped: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case .cutShort: bytes.removeLast(size)
        case .foreign: bytes.replaceSubrange(place..., with: pattern(stream ^ 1, words: (sent.count - 16) / 8)[place...])
        }
        return bytes
    }
}

/// A seeded generator, so that a failing case can be repeated.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
