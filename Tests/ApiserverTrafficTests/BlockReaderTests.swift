import ChaosCore
import NIOCore
import Testing

@testable import ApiserverTraffic

@Suite("Blocks, of which every byte is known") struct BlockReaderTests {
    private static let key = Block.key(of: "worker-1/list/7")

    private static func bytes(_ numbers: [UInt64], length: Int = 200, end: UInt64? = nil) -> ByteBuffer {
        var buffer = ByteBuffer()
        for number in numbers { Block(key: self.key, number: number, length: length).write(to: &buffer) }
        if let end { Block(key: self.key, number: end, length: 0).write(to: &buffer) }
        return buffer
    }

    private static func harms(_ findings: [BlockReader.Finding]) -> [Observation.Harm] {
        findings.compactMap { if case .harm(let harm, _, _) = $0 { harm } else { nil } }
    }

    private static func read(_ buffer: ByteBuffer, piece: Int = .max) -> (reader: BlockReader, findings: [BlockReader.Finding]) {
        var (reader, rest, findings) = (BlockReader(key: self.key, next: 1), buffer, [BlockReader.Finding]())
        while rest.readableBytes > 0 {
            guard let part = rest.readSlice(length: min(piece, rest.readableBytes)) else { break }
            findings += reader.read(part)
        }
        return (reader, findings)
    }

    @Test("whole blocks are found however they are cut", arguments: [1, 7, 23, 24, 25, 223, 224, 225, 10_000])
    func cutAnywhere(_ piece: Int) {
        let (reader, findings) = Self.read(Self.bytes([1, 2, 3], end: 3), piece: piece)
        #expect(
            findings == [
                .block(number: 1, length: 200, isNew: true), .block(number: 2, length: 200, isNew: true),
                .block(number: 3, length: 200, isNew: true), .end(count: 3),
            ])
        #expect(reader.lost == nil && !reader.hasPart && reader.next == 4)
    }

    @Test("lengths that are no multiple of a word", arguments: [1, 7, 8, 9, 63, 4_096, Block.largest])
    func anyLength(_ length: Int) {
        #expect(Self.read(Self.bytes([1], length: length)).findings == [.block(number: 1, length: length, isNew: true)])
    }

    @Test func whatIsMissingIsLost() {
        let (reader, findings) = Self.read(Self.bytes([1, 2, 5]))
        #expect(Self.harms(findings).isEmpty, "they may come yet")
        guard case .harm(.lost, 2, _)? = reader.lost else { return #expect(Bool(false), "\(String(describing: reader.lost))") }
    }

    @Test func whatComesLateIsReorderedAndNotLost() {
        let (reader, findings) = Self.read(Self.bytes([1, 3, 2, 4]))
        #expect(Self.harms(findings) == [.reordered] && reader.lost == nil)
    }

    @Test func whatComesAgainIsRepeated() {
        let (reader, findings) = Self.read(Self.bytes([1, 2, 2, 3]))
        #expect(Self.harms(findings) == [.repeated] && reader.lost == nil)
        #expect(findings.contains(.block(number: 2, length: 200, isNew: false)))
    }

    @Test("any changed byte of a payload is noticed, and the next block is read all the same")
    func everyByteCounts() {
        for offset in stride(from: Block.headerLength, to: Block.headerLength + 200, by: 13) {
            var buffer = Self.bytes([1, 2])
            buffer.setInteger((buffer.getInteger(at: offset, as: UInt8.self) ?? 0) ^ 0x40, at: offset)
            let (reader, findings) = Self.read(buffer)
            #expect(Self.harms(findings) == [.corrupt] && !reader.isBroken)
            #expect(findings.contains(.block(number: 2, length: 200, isNew: true)))
        }
    }

    @Test("a byte too few or too many in the middle is corrupt, and nothing more is believed", arguments: [true, false])
    func slipped(_ isMissing: Bool) {
        var bytes = Array(Self.bytes([1, 2, 3]).readableBytesView)
        if isMissing { bytes.remove(at: 100) } else { bytes.insert(7, at: 100) }
        let (reader, findings) = Self.read(ByteBuffer(bytes: bytes))
        #expect(Self.harms(findings).first == .corrupt && reader.isBroken)
        var later = reader
        #expect(later.read(Self.bytes([4])).isEmpty)
    }

    @Test func anotherStreamsBlockIsCorrupt() {
        var buffer = ByteBuffer()
        Block(key: 1, number: 1, length: 10).write(to: &buffer)
        let (reader, findings) = Self.read(buffer)
        #expect(Self.harms(findings) == [.corrupt] && reader.isBroken)
    }

    @Test func aLengthBeyondTheLargestIsRefusedBeforeItIsWaitedFor() {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(Block.magic, UInt32(Block.largest + 1), Self.key, UInt64(1))
        #expect(Self.read(buffer).reader.isBroken)
    }
}

@Suite("Numbers in a row") struct SequenceCheckTests {
    @Test func gapsAreCountedAndFilled() {
        var check = SequenceCheck(next: 5)
        #expect(check.meet(5) == .fine && check.meet(9) == .ahead(3) && check.lost == 3)
        #expect(check.meet(7) == .late && check.lost == 2)
        #expect(check.meet(7) == .repeated && check.meet(9) == .repeated && check.meet(3) == .repeated)
        #expect(check.meet(10) == .fine && check.next == 11 && check.lost == 2)
    }

    @Test func whatAnybodySaysIsBounded() {
        var check = SequenceCheck(next: 1)
        #expect(check.meet(.max - 1) == .ahead(Int(clamping: UInt64.max - 2)))
        #expect(check.lost == Int(clamping: UInt64.max - 2))
    }
}

@Suite("Uploads and answers") struct AnswerCheckTests {
    private static let id = "worker-1/upload/3"

    private static func body(_ numbers: [UInt64], end: UInt64?) -> ByteBuffer {
        var buffer = ByteBuffer()
        for number in numbers { Block(key: Block.key(of: self.id), number: number, length: 100).write(to: &buffer) }
        if let end { Block(key: Block.key(of: self.id), number: end, length: 0).write(to: &buffer) }
        return buffer
    }

    private static func upload(_ body: ByteBuffer) -> (text: String, harms: [FoundHarm]) {
        var check = UploadCheck(id: self.id)
        check.read(body)
        return check.conclude()
    }

    @Test func aWholeUploadIsTaken() {
        let (text, harms) = Self.upload(Self.body([1, 2, 3], end: 3))
        #expect(text == "took 3 blocks\n" && harms.isEmpty)
    }

    @Test func whatTheUploadLacksIsSaid() {
        #expect(Self.upload(Self.body([1, 3], end: 3)).harms.map(\.harm) == [.lost])
        #expect(Self.upload(Self.body([1, 2], end: 3)).harms.map(\.harm) == [.lost])
        #expect(Self.upload(Self.body([1, 2], end: nil)).harms.map(\.harm) == [.lost])
        #expect(Self.upload(Self.body([1, 2, 2], end: 2)).harms.map(\.harm) == [.repeated])
        #expect(Self.upload(Self.body([1, 2], end: .max)).harms.map(\.harm) == [.lost])
        #expect(Self.upload(Self.body([1, .max], end: 1)).harms.map(\.harm) == [.lost])
    }

    private static func answer(_ numbers: [UInt64], of count: UInt64, status: Int = 200) -> (String?, [Observation.Harm]) {
        var check = AnswerCheck(.list(id: self.id, blocks: count), upload: 0)
        check.begin(status: status)
        check.read(self.body(numbers, end: nil))
        let failure = check.conclude()
        return (failure, check.harms.map(\.harm))
    }

    @Test func aListIsWholeOrItIsSaidWhatIsWrong() {
        #expect(Self.answer([1, 2, 3], of: 3) == (nil, []))
        #expect(Self.answer([1, 2], of: 3).1 == [.lost])
        #expect(Self.answer([1, 2, 3, 4], of: 3).1 == [.repeated])
        #expect(Self.answer([1, 3, 2], of: 3).1 == [.reordered])
        let refused = Self.answer([], of: 3, status: 503)
        #expect(refused.0?.hasPrefix("answered with status 503") == true && refused.1.isEmpty)
    }
}
