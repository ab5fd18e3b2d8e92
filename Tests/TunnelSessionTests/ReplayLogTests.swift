import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

@Suite struct ReplayLogTests {
    /// Three frames: 8 bytes (FIN), 8 + 5, 8 + 3.
    private let frames = [Peer.fin(1), Peer.data(1, 5), Peer.data(3, 3)]
    private var all: [UInt8] { self.frames.flatMap(\.bytes) }

    private func log() -> ReplayLog {
        var log = ReplayLog()
        for (index, frame) in self.frames.enumerated() { log.append(frame, isControl: index == 0) }
        return log
    }

    private func replayed(_ log: inout ReplayLog) -> [UInt8] {
        var bytes: [UInt8] = []
        while let frame = log.nextReplay() { bytes += frame.bytes }
        return bytes
    }

    @Test(arguments: 0...32)
    func aNewLinkContinuesAtTheVeryByte(count: Int) throws {
        var log = self.log()
        try log.rewind(to: UInt64(count))
        #expect(log.isReplaying == (count < 32))
        #expect(log.mustFinishFrame == ![0, 8, 21, 32].contains(count))
        #expect(log.unacknowledged == UInt64(32 - count))
        #expect(self.replayed(&log) == Array(self.all.dropFirst(count)))
        #expect(!log.isReplaying && !log.mustFinishFrame)
    }

    @Test(arguments: 0...32, [3, 9, 20, 31])
    func aReplayThatIsCutStartsAgain(first: Int, second: Int) throws {
        guard second >= first else { return }
        var log = self.log()
        try log.rewind(to: UInt64(first))
        _ = log.nextReplay()
        log.stopReplay()
        #expect(!log.isReplaying)
        try log.rewind(to: UInt64(second))
        #expect(self.replayed(&log) == Array(self.all.dropFirst(second)))
    }

    @Test(arguments: 0...3, 0...32)
    func acknowledgingDuringAReplayChangesNothingOfTheRest(sentAgain: Int, count: Int) throws {
        var log = self.log()
        try log.rewind(to: 0)
        var bytes: [UInt8] = []
        for _ in 0..<sentAgain { bytes += log.nextReplay()?.bytes ?? [] }
        guard count <= bytes.count else { return }
        try log.acknowledge(UInt64(count)) { _ in }
        bytes += self.replayed(&log)
        #expect(bytes == self.all)
    }

    @Test func aFrameIsKeptUntilItsLastByteIsAcknowledged() throws {
        var log = self.log()
        var released = 0
        for (count, gone) in [(7, 0), (8, 1), (20, 1), (21, 2), (31, 2), (32, 3)] {
            try log.acknowledge(UInt64(count)) { _ in released += 1 }
            #expect(released == gone, "\(count) bytes acknowledged")
        }
        #expect(log.footprint == 0 && log.controlBytes == 0)
    }

    @Test func controlBytesAreCountedApart() throws {
        var log = self.log()
        #expect(log.controlBytes == 8)
        #expect(log.footprint == self.frames.reduce(0) { $0 + $1.storageCapacity })
        try log.acknowledge(8) { _ in }
        #expect(log.controlBytes == 0)
    }

    @Test func countsThatCannotBeAreRefused() throws {
        var log = self.log()
        try log.acknowledge(13) { _ in }
        #expect(violation { try log.acknowledge(12) { _ in } } == .impossibleCount)
        #expect(violation { try log.acknowledge(33) { _ in } } == .impossibleCount)
        #expect(violation { try log.rewind(to: 12) } == .impossibleCount)
        #expect(violation { try log.rewind(to: 33) } == .impossibleCount)
        #expect(violation { try log.rewind(to: .max) } == .impossibleCount)
        #expect(log.acknowledged == 13 && log.unacknowledged == 19)
    }

    /// A peer that lies about frames of this link, which it cannot have yet, gets nothing that would break us.
    @Test func acknowledgingWhatIsStillToBeSentAgain() throws {
        var log = self.log()
        try log.rewind(to: 10)
        try log.acknowledge(21) { _ in }
        #expect(!log.mustFinishFrame)
        #expect(self.replayed(&log) == Array(self.all.dropFirst(21)))
        try log.rewind(to: 25)
        try log.acknowledge(32) { _ in }
        #expect(!log.isReplaying && log.nextReplay() == nil)
    }

    /// The receiver counts a header only when it has all of it, so a count never falls inside one.
    @Test(arguments: 0...32)
    func theDecoderNeverCountsHalfAHeader(cut: Int) throws {
        var decoder = FrameDecoder()
        decoder.feed(ByteBuffer(bytes: self.all.prefix(cut)))
        while try decoder.next() != nil {}
        decoder.linkLost()
        let headers = [0..<8, 8..<16, 21..<29]
        for header in headers where header.contains(cut) { #expect(decoder.received == UInt64(header.lowerBound)) }
        if !headers.contains(where: { $0.contains(cut) }) { #expect(decoder.received == UInt64(cut)) }
        var log = self.log()
        try log.rewind(to: decoder.received)
        decoder.feed(ByteBuffer(bytes: self.replayed(&log)))
        while try decoder.next() != nil {}
        #expect(decoder.received == 32)
    }
}
