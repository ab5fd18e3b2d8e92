import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// Records that are whole and wrong. The checksums are right: a bug or an enemy wrote them.
@Suite struct FrozenSessionDecoderTests {
    private static let wrong = "a frozen session cannot go on, its streams are reset: its record of kind "

    private static func records(_ frozen: FrozenSession = .rich()) -> [HandoffRecord] { Array(FrozenSessionEncoder(frozen)) }

    /// What a decoder says of the first record that it refuses, nil when it refuses none.
    private func refusal(_ records: [HandoffRecord], _ decoder: inout FrozenSessionDecoder) -> String? {
        for record in records {
            do throws(ThawError) {
                _ = try decoder.take(record)
            } catch {
                return error.description
            }
        }
        return nil
    }

    private func refusal(_ records: [HandoffRecord]) -> String? {
        var decoder = FrozenSessionDecoder()
        return self.refusal(records, &decoder)
    }

    @Test func order() {
        let records = Self.records()
        #expect(self.refusal(records) == nil)
        #expect(self.refusal(Array(records.dropFirst())) == Self.wrong + "0x102 is wrong: it belongs to no session")
        #expect(self.refusal(records + [records[1]]) == Self.wrong + "0x102 is wrong: it belongs to no session")
        #expect(self.refusal([records[0], records[0]]) == Self.wrong + "0x101 is wrong: it begins inside another session")
        let foreign = HandoffRecord(HandoffKind(rawValue: 0x0201), ByteBuffer())
        #expect(self.refusal([records[0], foreign]) == Self.wrong + "0x201 is wrong: it is not part of a session")
    }

    /// After an error the decoder is as good as new.
    @Test func nextSessionAfterAnError() throws {
        var decoder = FrozenSessionDecoder()
        let records = Self.records()
        #expect(self.refusal([records[0], records[0]], &decoder) != nil)
        #expect(!decoder.isPending)
        #expect(self.refusal(Array(records.dropLast()), &decoder) == nil)
        #expect(decoder.isPending)
        let last = try #require(records.last)
        #expect(try decoder.take(last)?.normalised == FrozenSession.rich().normalised)
        #expect(!decoder.isPending)
    }

    /// A record may grow at its end, never shrink.
    @Test func fixedRecordsCutShortAndLonger() throws {
        for kind in [HandoffKind.session, .sessionEnd] {
            var records = Self.records()
            let place = try #require(records.firstIndex { $0.kind == kind })
            let whole = records[place].payload
            for length in 0..<whole.readableBytes {
                records[place].payload = try #require(whole.getSlice(at: whole.readerIndex, length: length))
                #expect(self.refusal(records)?.hasPrefix(Self.wrong + "0x\(kind) is wrong: ") == true, "\(kind), \(length) bytes")
            }
            records[place].payload = whole
            records[place].payload.writeString("a later version knows what this means")
            #expect(self.refusal(records) == nil)
        }
    }

    @Test func listsCutShort() throws {
        for (kind, says) in [
            (HandoffKind.replay, ["a frame's header is cut short", "a frame is cut short"]),
            (.control, ["a frame's header is cut short", "a frame is cut short"]),
            (.streams, ["length of a stream is missing", "a stream is cut short"]),
            (
                .queued,
                ["stream of queued bytes is missing", "length of queued bytes is missing", "bytes of stream 2 are cut short"]
            ),
        ] {
            var records = Self.records()
            let place = try #require(records.firstIndex { $0.kind == kind })
            let whole = records[place].payload
            for length in 1..<min(whole.readableBytes, 400) {
                records[place].payload = try #require(whole.getSlice(at: whole.readerIndex, length: length))
                let refusal = try #require(self.refusal(records), "\(kind), \(length) bytes")
                // Cut between two entries, it is the numbers at the end that do not fit.
                let known = says.map { Self.wrong + "0x\(kind) is wrong: " + $0 }
                let later = ["0x106 is wrong: ", "0x105 is wrong: bytes for stream "].map { Self.wrong + $0 }
                #expect(known.contains(refusal) || later.contains(where: refusal.hasPrefix), "\(kind), \(length) bytes")
            }
        }
    }

    @Test func entriesOfStreams() throws {
        func refusal(_ entry: [UInt8]) -> String? {
            let start = [Self.records()[0]]
            return self.refusal(start + [HandoffRecord(.streams, ByteBuffer(bytes: [0, UInt8(entry.count)] + entry))])
        }
        let entry: [UInt8] = [0, 0, 0, 1, 4, 0] + [UInt8](repeating: 0, count: 16)
        #expect(refusal(entry) == nil)
        #expect(refusal(entry + [1, 2, 3]) == nil, "a later version may say more")
        for length in 0..<entry.count { #expect(refusal(Array(entry.prefix(length)))?.hasSuffix(" is missing") == true) }
        for phase in [0, 5, 255] as [UInt8] {
            var changed = entry
            changed[4] = phase
            #expect(refusal(changed) == Self.wrong + "0x104 is wrong: phase \(phase) of stream 1")
        }
    }

    @Test func sides() {
        for side in [0, 3, 255] as [UInt8] {
            var record = Self.records()[0]
            record.payload.setInteger(side, at: record.payload.readerIndex)
            #expect(self.refusal([record]) == Self.wrong + "0x101 is wrong: side \(side)")
        }
    }

    @Test func queuedBytesOfNobody() {
        func refusal(_ id: StreamID, length: UInt32, bytes: Int) -> String? {
            var payload = ByteBuffer()
            payload.writeInteger(id)
            payload.writeInteger(length)
            payload.writeRepeatingByte(1, count: bytes)
            return self.refusal(
                Self.records().filter { [.session, .streams].contains($0.kind) } + [HandoffRecord(.queued, payload)])
        }
        #expect(refusal(2, length: 3, bytes: 3) == nil)
        #expect(refusal(77, length: 3, bytes: 3) == Self.wrong + "0x105 is wrong: bytes for stream 77, which is not there")
        for length in [0, 4, .max] as [UInt32] {
            #expect(refusal(2, length: length, bytes: 3) == Self.wrong + "0x105 is wrong: bytes of stream 2 are cut short")
        }
    }

    /// A session of which a record is missing is not a session.
    @Test func recordsLeftOut() throws {
        let says: [(HandoffKind, String)] = [
            (.replay, "0 unacknowledged frames came, not 4"), (.control, "0 control frames came, not 4"),
            (.queued, "0 queued bytes came, not 70022"),
        ]
        for (kind, text) in says {
            #expect(self.refusal(Self.records().filter { $0.kind != kind }) == Self.wrong + "0x106 is wrong: " + text)
        }
        let rest = Self.records().filter { $0.kind != .streams && $0.kind != .queued }
        #expect(self.refusal(rest) == Self.wrong + "0x106 is wrong: 0 streams came, not 6")
    }

    @Test func incompleteFramesThatPromiseMuch() {
        var record = Self.records()[0]
        record.payload.setInteger(UInt32.max, at: record.payload.writerIndex - 4)
        #expect(self.refusal([record]) == Self.wrong + "0x101 is wrong: an incomplete frame is cut short")
    }

    /// The bound on streams holds while they are read, before a thaw could judge it.
    @Test func tooManyStreams() throws {
        var decoder = FrozenSessionDecoder(mostStreams: 6)
        #expect(self.refusal(Self.records(), &decoder) == nil)
        decoder = FrozenSessionDecoder(mostStreams: 5)
        #expect(self.refusal(Self.records(), &decoder) == Self.wrong + "0x104 is wrong: more than 5 streams")
        #expect(FrozenSession.mostStreams == 1_048_576, "more than any configuration allows")
        #expect(!decoder.isPending)
    }

    /// Any change of any byte of any record either shows or makes another session, and never traps.
    @Test func everyByteChanged() throws {
        var frozen = FrozenSession.rich()
        for index in frozen.streams.indices { frozen.streams[index].queued.removeAll { $0.readableBytes > 99 } }
        let records = Self.records(frozen)
        var refused = 0
        var thawed = 0
        for place in records.indices {
            for byte in 0..<records[place].payload.readableBytes {
                for change in [0x01, 0x80, 0xFF] as [UInt8] {
                    var changed = records
                    let index = changed[place].payload.readerIndex + byte
                    let old = changed[place].payload.getInteger(at: index, as: UInt8.self) ?? 0
                    changed[place].payload.setInteger(old ^ change, at: index)
                    if let refusal = self.refusalToThaw(changed) {
                        refused += 1
                        let isOneLine = refusal.utf8.count <= 300 && refusal.utf8.allSatisfy { (0x20...0x7E).contains($0) }
                        #expect(isOneLine, "\(refusal)")
                    } else {
                        thawed += 1
                    }
                }
            }
        }
        #expect(refused > 500 && thawed > 500, "\(refused) refused, \(thawed) taken")
    }

    private func refusalToThaw(_ records: [HandoffRecord]) -> String? {
        var decoder = FrozenSessionDecoder()
        do throws(ThawError) {
            for record in records {
                guard let session = try decoder.take(record) else { continue }
                _ = try Session(thawing: session, configuration: SessionConfiguration(), now: .start)
            }
            return nil
        } catch {
            return error.description
        }
    }
}
