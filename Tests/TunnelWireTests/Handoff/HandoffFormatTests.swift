import NIOCore
import Testing

@testable import TunnelWire

/// What is written is read back, in pieces of any size.
@Suite struct HandoffFormatTests {
    private static let small = [HandoffRecord(.first, "hello"), HandoffRecord(.second, ""), HandoffRecord(.first, "again")]

    /// Written out by hand from the description of the format; the checksums were computed by another program.
    @Test func golden() throws {
        let golden = hex(
            """
            67745f68616e646f 0001 05 312e322e33 \(String(repeating: "00", count: 44)) c4247cd8
            7e01 0000000000000005 5020a905 68656c6c6f cd37b22b
            7e02 0000000000000000 eb0f46f1 eb0f46f1
            0000 0000000000000008 68f30c98 0000000000000002 fe44b4c9
            """)
        let file = handoff([HandoffRecord(.first, "hello"), HandoffRecord(.second, "")])
        #expect(file == golden)
        #expect(try readHandoff(golden) == [HandoffRecord(.first, "hello"), HandoffRecord(.second, "")])
    }

    @Test func piecesOfAnySize() throws {
        let file = handoff(Self.small)
        for pieces in 1...file.count { #expect(try readHandoff(file, pieces: pieces) == Self.small, "pieces of \(pieces)") }
        #expect(try readHandoff(handoff([])) == [])
    }

    @Test func largestRecord() throws {
        var random = SeededRandom(seed: 3)
        let start = random.bytes(1_000)
        var payload = ByteBuffer(bytes: start)
        payload.writeRepeatingByte(7, count: HandoffFormat.recordPayload - start.count)
        let records = [HandoffRecord(.first, payload), HandoffRecord(.second, "behind it")]
        for pieces in [999, 65_536, 4 << 20] { #expect(try readHandoff(handoff(records), pieces: pieces) == records) }
    }

    @Test func writerCountsWhatWaits() {
        var writer = HandoffWriter(software: "v")
        #expect(writer.pendingBytes == HandoffFormat.headerBytes)
        writer.append(HandoffRecord(.first, "hello"))
        #expect(writer.pendingBytes == HandoffFormat.headerBytes + 5 + 18 && writer.records == 1)
        #expect(writer.takeOutput().reduce(0) { $0 + $1.readableBytes } == HandoffFormat.headerBytes + 5 + 18)
        #expect(writer.pendingBytes == 0 && writer.takeOutput().isEmpty)
        writer.finish()
        writer.finish()
        #expect(writer.takeOutput().reduce(0) { $0 + $1.readableBytes } == 26, "it ends once")
    }

    @Test func versionOfTheSoftware() throws {
        for (written, read) in [
            ("", ""), ("1.2.3", "1.2.3"), ("a\u{1B}[31m\n\u{E9}", "a?[31m???"),
            (String(repeating: "x", count: 60), String(repeating: "x", count: 49)),
        ] {
            var reader = HandoffReader(known: [])
            #expect(reader.software == nil)
            reader.feed(ByteBuffer(bytes: handoff([], software: written)))
            _ = try reader.next()
            #expect(reader.software == read)
        }
    }

    /// A reader says where it is, and never holds more than a piece and a record.
    @Test func readerCounts() throws {
        var reader = HandoffReader(known: [.first])
        let file = handoff([HandoffRecord(.optional, "skipped"), HandoffRecord(.first, "hello")])
        for (place, byte) in file.enumerated() {
            #expect(!reader.isComplete && reader.offset <= UInt64(place) && UInt64(place) < reader.offset + 64)
            reader.feed(ByteBuffer(bytes: [byte]))
            while let record = try reader.next() { #expect(record == HandoffRecord(.first, "hello")) }
            #expect(reader.heldBytes < HandoffFormat.headerBytes)
        }
        #expect(reader.isComplete && reader.records == 2 && reader.offset == UInt64(file.count) && reader.heldBytes == 0)
        try reader.finish()
    }

    // MARK: Kinds

    @Test func unknownOptionalKindsAreSkipped() throws {
        let large = HandoffRecord(.optional, ByteBuffer(repeating: 1, count: 300_000))
        let file = handoff([large, HandoffRecord(.first, "hello"), HandoffRecord(.optional, ""), large])
        for pieces in [7_001, 1 << 20] { #expect(try readHandoff(file, pieces: pieces) == [HandoffRecord(.first, "hello")]) }
        var reader = HandoffReader(known: [.optional])
        reader.feed(ByteBuffer(bytes: handoff([HandoffRecord(.optional, "known to this one")])))
        #expect(try reader.next() == HandoffRecord(.optional, "known to this one"))
    }

    /// What is skipped is not kept either, however slowly it comes.
    @Test func skippedRecordsAreNotHeld() throws {
        var reader = HandoffReader(known: [.first])
        var rest = handoff([HandoffRecord(.optional, ByteBuffer(repeating: 1, count: 900_000))])[...]
        while !rest.isEmpty {
            reader.feed(ByteBuffer(bytes: rest.prefix(10_000)))
            rest = rest.dropFirst(10_000)
            #expect(try reader.next() == nil)
            #expect(reader.heldBytes < 16)
        }
        try reader.finish()
    }

    @Test func unknownCriticalKindsRefuseTheFile() {
        let error = handoffRefusal(handoff([HandoffRecord(.first, "hello"), HandoffRecord(.critical, "?")], software: "7.0"))
        #expect(error == .unknownRecord(.critical, at: 87, software: "7.0"))
        #expect(
            error?.description
                == "the handoff, written by version 7.0, has a record of kind 0x7eff at byte 87, which this program "
                + "does not know and may not skip: start that version or a newer one")
    }

    // MARK: Formats

    @Test func otherFormatsAreNamed() {
        for format in [UInt16(0), HandoffFormat.newest + 1, .max] {
            // Whatever follows: a program that cannot read the format does not try.
            let forger = HandoffForger(format: format, software: Array("8.1\n".utf8))
            let error = handoffRefusal(forger.file.bytes + [1, 2, 3])
            #expect(error == .otherFormat(format, software: "8.1?"))
            #expect(
                error?.description
                    == "the handoff has format \(format), written by version 8.1?; this program reads formats 1 to 1: "
                    + "start that version or a newer one")
        }
        #expect(HandoffFormat.range == "1-1")
    }
}
