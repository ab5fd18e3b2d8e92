import NIOCore
import Testing
import TunnelWire

/// The two promises of the decoder: it does not matter how bytes are cut into reads, and it does not matter where a link
/// is cut, as long as the next one goes on from the count.
@Suite struct DecoderPropertyTests {
    /// One conversation of every kind of frame, cut in two reads at many places, and then in reads of one byte.
    @Test func anySplitGivesTheSameFrames() {
        var random = SeededRandom(seed: 1)
        let wire = Traffic(frames: 20, using: &random).link(after: 0, using: &random).bytes
        for cut in stride(from: 0, through: wire.count, by: 1 + wire.count / 150) {
            let steps = [FrameDecoderCheck.Step(length: cut, breaksLink: false)]
            #expect(FrameDecoderCheck.compare(wire: wire, steps: steps) == nil, "cut at \(cut)")
        }
        let single = FrameDecoderCheck.Step(length: 1, breaksLink: false)
        #expect(FrameDecoderCheck.compare(wire: Array(wire.prefix(500)), steps: Array(repeating: single, count: 500)) == nil)
    }

    @Test(arguments: UInt64(1)...100)
    func manySplitsGiveTheSameFrames(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let wire = Traffic(frames: 12, using: &random).link(after: 0, using: &random).bytes
        let longest = [3, 9, 40, 700].randomElement(using: &random) ?? 9
        var steps: [FrameDecoderCheck.Step] = []
        for _ in 0..<(2 * wire.count / longest) {
            steps.append(.init(length: Int.random(in: 0...longest, using: &random), breaksLink: false))
        }
        #expect(FrameDecoderCheck.compare(wire: wire, steps: steps) == nil)
    }

    /// Links break at random bytes until all has arrived: about ten thousand cuts over all seeds. Every sequenced frame
    /// comes out once and in order, and of the unsequenced ones those that arrived whole.
    @Test(arguments: UInt64(1)...400)
    func cutLinksLoseNothing(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let traffic = Traffic(frames: Int.random(in: 1...25, using: &random), using: &random)
        let total = UInt64(traffic.stream.count)
        var decoder = FrameDecoder()
        var collector = Collector()
        var expectedUnsequenced: [[UInt8]] = []
        var links = 0
        while decoder.received < total {
            try #require(links < 2_000, "the count does not come to its end")
            let before = decoder.received
            let link = traffic.link(after: Int(before), using: &random)
            // Short links most of the time; the more of them break, the longer they live, so that an end comes.
            let cut = Int.random(in: 0...min(link.bytes.count, 60 + links * 40), using: &random)
            expectedUnsequenced += link.unsequencedFrames(within: cut)
            var rest = link.bytes.prefix(cut)
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...200, using: &random))
                rest = rest.dropFirst(piece.count)
                for frame in try decoder.take(piece) { collector.take(frame) }
                #expect(decoder.heldBytes <= Limits.framePayload)
            }
            #expect(decoder.received >= before && decoder.received - before <= UInt64(cut))
            decoder.linkLost()
            links += 1
        }
        var reference = ReferenceDecoder()
        reference.take(traffic.stream)
        #expect(decoder.received == total)
        #expect(collector.sequenced == reference.items)
        #expect(collector.unsequenced == expectedUnsequenced)
        #expect(decoder.heldBytes == 0)
    }

    /// One cut at every byte of a conversation, and what comes after it.
    @Test func aCutAtEveryByte() throws {
        var random = SeededRandom(seed: 7)
        let traffic = Traffic(frames: 14, using: &random)
        var reference = ReferenceDecoder()
        reference.take(traffic.stream)
        let first = traffic.link(after: 0, using: &random)
        for cut in 0...first.bytes.count {
            var decoder = FrameDecoder()
            var collector = Collector()
            for frame in try decoder.take(first.bytes.prefix(cut)) { collector.take(frame) }
            decoder.linkLost()
            let second = traffic.link(after: Int(decoder.received), using: &random)
            for frame in try decoder.take(second.bytes) { collector.take(frame) }
            #expect(collector.sequenced == reference.items, "cut at \(cut)")
            #expect(decoder.received == UInt64(traffic.stream.count), "cut at \(cut)")
        }
    }
}
