import NIOCore
import Testing

@testable import TunnelWire

/// A handoff that is not what was written is refused, and never trapped upon.
@Suite struct HandoffDamageTests {
    private static let records = [
        HandoffRecord(.first, "the first"), HandoffRecord(.optional, "skipped"), HandoffRecord(.second, ""),
        HandoffRecord(.first, "the last one of them"),
    ]

    @Test func cutOffAtEveryByte() {
        let file = handoff(Self.records)
        for length in 0..<file.count {
            for pieces in [1, 10, 1_000] {
                #expect(handoffRefusal(file.prefix(length), pieces: pieces) == .truncated(at: UInt64(length)))
            }
        }
        #expect(
            handoffRefusal(file.prefix(70))?.description
                == "the handoff is cut off after 70 bytes: its writer was stopped, or its file was full")
    }

    @Test func everyBitFlipped() {
        let file = handoff(Self.records)
        for bit in 0..<file.count * 8 {
            var changed = file
            changed[bit / 8] ^= 1 << (bit % 8)
            for pieces in [1, 1_000] {
                switch handoffRefusal(changed, pieces: pieces) {
                case .notAHandoff: #expect(bit / 8 < 8, "bit \(bit)")
                // The checksum that notices it lies behind the change, never far: of a header, or of the same record.
                case .damaged(let offset): #expect(offset > UInt64(bit / 8) && offset <= UInt64(bit / 8 + 64), "bit \(bit)")
                case let other: Issue.record("bit \(bit): \(String(describing: other))")
                }
            }
        }
        #expect(
            HandoffError.damaged(at: 90).description
                == "the handoff is damaged: the checksum of what lies before byte 90 is wrong")
    }

    @Test func randomBytesWritten() {
        var random = SeededRandom(seed: 5)
        let file = handoff(Self.records)
        for round in 0..<2_000 {
            var changed = file
            let start = Int.random(in: 0..<file.count, using: &random)
            let end = min(file.count, start + Int.random(in: 1...40, using: &random))
            changed.replaceSubrange(start..<end, with: random.bytes(end - start))
            guard changed != file else { continue }
            #expect(handoffRefusal(changed, pieces: Int.random(in: 1...200, using: &random)) != nil, "round \(round)")
        }
    }

    /// Nothing of a damaged record is handed out, and all records before it are.
    @Test func recordsBeforeTheDamageAreRead() throws {
        var file = handoff(Self.records)
        file[file.count - 35] ^= 1
        var reader = HandoffReader(known: [.first, .second])
        reader.feed(ByteBuffer(bytes: file))
        #expect(try reader.next() == Self.records[0])
        #expect(try reader.next() == Self.records[2])
        #expect(throws: HandoffError.self) { try reader.next() }
    }

    @Test func somethingElse() {
        let error = HandoffError.notAHandoff
        for text in ["#!/bin/sh\n", String(repeating: "gt_hando", count: 9).uppercased(), "gt_handp"] {
            #expect(handoffRefusal(Array(text.utf8)) == error)
        }
        #expect(error.description == "this is not a handoff of gotunnel: it does not begin like one")
    }

    // MARK: Records that are whole, but not where they belong

    @Test func recordsMovedDoubledOrLeftOut() {
        let file = handoff([HandoffRecord(.first, "one"), HandoffRecord(.first, "two"), HandoffRecord(.first, "six")])
        let header = Array(file[..<64])
        let one = Array(file[64..<85])
        let two = Array(file[85..<106])
        let six = Array(file[106..<127])
        let end = Array(file[127...])
        #expect(handoffRefusal(header + one + two + six + end) == nil)
        #expect(handoffRefusal(header + two + one + six + end) == .damaged(at: 78))
        #expect(handoffRefusal(header + one + one + two + six + end) == .damaged(at: 99))
        #expect(handoffRefusal(header + one + six + end) == .damaged(at: 99))
        #expect(handoffRefusal(header + one + two + end) == .damaged(at: 120))
        #expect(handoffRefusal(header + end) == .damaged(at: 78))
    }

    @Test func bytesBehindTheEnd() {
        let file = handoff(Self.records)
        for more in [[0], Array(file[64...]), [UInt8](repeating: 0, count: 4_096)] {
            for pieces in [1, file.count, 10_000] {
                #expect(handoffRefusal(file + more, pieces: pieces) == .bytesBehindTheEnd(at: UInt64(file.count)))
            }
        }
        #expect(HandoffError.bytesBehindTheEnd(at: 9).description == "the handoff goes on behind its end at byte 9")
    }

    // MARK: Forged, with checksums that are right

    @Test func longRecordsAreRefusedByTheirHeaders() throws {
        for length in [UInt64(HandoffFormat.recordPayload) + 1, 1 << 32, 1 << 63, .max] {
            for kind in [HandoffKind.first, .optional, .end] {
                var forger = HandoffForger()
                forger.add(kind, length: length)
                var reader = HandoffReader(known: [.first])
                // The record's header alone, without a byte of what it promises.
                reader.feed(ByteBuffer(bytes: forger.file.bytes.prefix(78)))
                #expect(throws: HandoffError.tooLong(kind, bytes: length, at: 64)) { try reader.next() }
                #expect(reader.heldBytes == 0)
            }
        }
        #expect(
            HandoffError.tooLong(.first, bytes: 1_048_577, at: 64).description
                == "the handoff has a record of kind 0x7e01 with 1048577 bytes at byte 64, more than 1048576")
    }

    /// A record that promises much and brings little costs its bound at most.
    @Test func promisesAreNotBelieved() throws {
        var forger = HandoffForger()
        forger.add(.first, length: UInt64(HandoffFormat.recordPayload))
        var reader = HandoffReader(known: [.first])
        reader.feed(forger.file)
        #expect(try reader.next() == nil)
        #expect(reader.heldBytes <= 4)
        #expect(throws: HandoffError.truncated(at: 82)) { try reader.finish() }
    }

    @Test func wrongCounts() {
        for (count, records) in [(UInt64(0), 2), (1, 2), (3, 2), (.max, 2), (1, 0)] {
            var forger = HandoffForger()
            for _ in 0..<records { forger.add(.first) }
            forger.end(count: count)
            #expect(handoffRefusal(forger.file.bytes) == .wrongCount(count, records: UInt64(records)))
        }
        for payload in [[], [0, 0, 0, 0, 0, 0, 0], [UInt8](repeating: 0, count: 9)] as [[UInt8]] {
            var forger = HandoffForger()
            forger.add(.end, payload)
            #expect(handoffRefusal(forger.file.bytes) == .wrongCount(0, records: 0))
        }
        #expect(
            HandoffError.wrongCount(3, records: 2).description == "the handoff says that it has 3 records, but it has 2")
    }

    @Test func headersThatLie() {
        let forger = HandoffForger(software: Array(repeating: 65, count: 49), length: 50)
        #expect(handoffRefusal(forger.file.bytes) == .damaged(at: 64))
        var misnumbered = HandoffForger()
        misnumbered.add(.first, number: 1)
        #expect(handoffRefusal(misnumbered.file.bytes) == .damaged(at: 78))
    }

    /// A caller that goes on after an error gets no record that was refused, and no trap.
    @Test func goingOnAfterAnError() {
        var random = SeededRandom(seed: 6)
        let file = handoff(Self.records)
        for _ in 0..<500 {
            var changed = file
            changed[Int.random(in: 0..<file.count, using: &random)] ^= 0x10
            var reader = HandoffReader(known: [.first, .second])
            var rest = changed[...]
            var read = 0
            while !rest.isEmpty {
                reader.feed(ByteBuffer(bytes: rest.prefix(20)))
                rest = rest.dropFirst(20)
                for _ in 0..<10 where (try? reader.next()) != nil { read += 1 }
            }
            #expect(read <= 3)
            #expect(throws: HandoffError.self) { try reader.finish() }
        }
    }
}
