import NIOCore
import Testing

@testable import ChaosHarness

@Suite("What was done to a pattern")
struct PatternHarmTests {
    private static let words = PatternWords(stream: 7, direction: .down)

    @Test("bytes that are missing are told, and how many", arguments: [1, 3, 8, 24, 1_000, 16_384])
    func lost(_ count: Int) throws {
        for place in [0, 5, 160, 4_001] {
            let sent = self.bytes(40_000)
            var received = sent
            received.removeSubrange(place..<place + count)
            let harm = try self.harm(to: received)
            #expect(harm == .lost(UInt64(count)), "at \(place)")
        }
    }

    @Test("bytes that came twice are told, and how many", arguments: [1, 3, 8, 24, 1_000, 16_384])
    func doubled(_ count: Int) throws {
        for place in [0, 5, 160, 4_001] {
            let sent = self.bytes(40_000)
            var received = sent
            received.insert(contentsOf: sent[place..<place + count], at: place + count)
            let harm = try self.harm(to: received)
            #expect(harm == .doubled(UInt64(count)), "at \(place)")
        }
    }

    @Test("blocks that changed places are told from bytes that are missing", arguments: [16, 1_024, 16_000])
    func reordered(_ size: Int) throws {
        let sent = self.bytes(40_000)
        let (begin, middle, end) = (64, 64 + size, 64 + 2 * size)
        var received = Array(sent[..<begin])
        received += sent[middle..<end]
        received += sent[begin..<middle]
        received += sent[end...]
        #expect(try self.harm(to: received) == .reordered)
    }

    @Test("bytes that are wrong in their place are told", arguments: [1, 8, 1_000])
    func changed(_ count: Int) throws {
        var sent = self.bytes(8_000)
        for index in 333..<333 + count { sent[index] ^= 0x11 }
        #expect(try self.harm(to: sent) == .changed)
    }

    @Test("another stream's bytes, and too few to say, are no more than wrong")
    func unknown() throws {
        var foreign = ByteBuffer()
        var writer = PatternWriter(PatternWords(stream: 8, direction: .down))
        writer.next(8_000, into: &foreign)
        #expect(try self.harm(to: self.bytes(80) + Array(foreign.readableBytesView)) == .unknown)
        #expect(try self.harm(to: self.bytes(80) + [0xFF, 0xFF]) == .unknown)
    }

    @Test("an end that comes too early has lost what was announced")
    func cutShort() {
        var reader = PatternReader(Self.words)
        var writer = PatternWriter(Self.words)
        var all = ByteBuffer()
        writer.next(160, into: &all)
        var received = ByteBuffer(bytes: all.readableBytesView.prefix(80))
        writer.trailer(into: &received)
        let before = reader
        let whole = received
        do throws(PatternFault) {
            try reader.read(&received)
            Issue.record("nothing wrong was seen")
        } catch {
            #expect(PatternExamination(of: error, in: whole, by: before).harm == .lost(80))
        }
    }

    // MARK: Helpers

    private func bytes(_ count: Int) -> [UInt8] {
        var writer = PatternWriter(Self.words)
        var buffer = ByteBuffer()
        writer.next(count, into: &buffer)
        return Array(buffer.readableBytesView)
    }

    /// What is found when the bytes arrive in pieces of 1000.
    private func harm(to bytes: [UInt8]) throws -> PatternHarm {
        var reader = PatternReader(Self.words)
        var examination: PatternExamination?
        for begin in stride(from: 0, to: bytes.count, by: 1_000) {
            let piece = ByteBuffer(bytes: bytes[begin..<min(begin + 1_000, bytes.count)])
            guard examination == nil else {
                examination?.add(piece)
                continue
            }
            let before = reader
            var rest = piece
            do throws(PatternFault) { try reader.read(&rest) } catch {
                examination = PatternExamination(of: error, in: piece, by: before)
            }
        }
        return try #require(examination, "nothing wrong was seen").harm
    }
}
