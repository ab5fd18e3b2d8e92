import NIOCore
import Testing

@testable import TunnelWire

/// The beginning of a frame moves to another decoder, which goes on with the rest.
@Suite struct IncompleteFrameTests {
    private static let frames: [UInt8] =
        Open(destination: .service("apiserver"), source: "127.0.0.1:1").frame(stream: 1).bytes
        + rawFrame(FrameType.data.rawValue, stream: 1, Array(1...30)) + rawFrame(0xB0, stream: 7, Array(1...9))
        + rawFrame(FrameType.fin.rawValue, stream: 1) + rawFrame(FrameType.data.rawValue, stream: 3)
        + LinkFrames.ping(5).bytes + StreamFrames.credit(9, stream: 1).bytes

    /// What frames mean, DATA put together again: where a link is cut it comes in two pieces.
    private static func meaning(_ frames: [DecodedFrame]) -> [String] {
        var meaning: [String] = []
        var data: [UInt8] = []
        for frame in frames {
            switch frame {
            case .data(_, let bytes): data += bytes.bytes
            case .frame(let header, let payload): meaning.append("\(header) \(payload.bytes)")
            }
        }
        return meaning + ["\(data)"]
    }

    /// The link is cut behind every byte; the peer sends again what was not counted.
    @Test func cutAnywhere() throws {
        var reference = FrameDecoder()
        let expected = Self.meaning(try reference.take(Self.frames))
        let ping = Self.frames.count - LinkFrames.ping(5).readableBytes - 12..<Self.frames.count - 12
        for cut in 0...Self.frames.count {
            var first = FrameDecoder()
            var frames = try first.take(Self.frames[..<cut])
            first.linkLost()
            #expect(first.incomplete?.fault == nil)
            #expect(first.incomplete.map { UInt64($0.taken) <= first.received } ?? true)
            var second = FrameDecoder(received: first.received, incomplete: first.incomplete)
            #expect(second.received == first.received && second.incomplete == first.incomplete)
            // The count leaves out what is not sequenced.
            let sequenced = Self.frames[..<ping.lowerBound] + Self.frames[ping.upperBound...]
            frames += try second.take(sequenced.dropFirst(Int(first.received)))
            let wanted = cut >= ping.upperBound ? expected : expected.filter { !$0.contains("rawValue: 66") }
            #expect(Self.meaning(frames) == wanted, "cut behind byte \(cut)")
            #expect(second.received == reference.received)
        }
    }

    /// A newer program may know the type; it must not take the rest of such a frame for a whole one.
    @Test func unknownTypesStaySkipped() throws {
        var decoder = FrameDecoder()
        _ = try decoder.take(rawFrame(0xB0, stream: 7, Array(1...9)).prefix(10))
        let incomplete = try #require(decoder.incomplete)
        #expect(
            incomplete
                == IncompleteFrame(
                    header: FrameHeader(stream: 7, type: .skipped, length: 9), missing: 7, gathered: ByteBuffer()))
        #expect(incomplete.taken == 10 && incomplete.fault == nil)
        #expect(!FrameType.skipped.isKnown && FrameType.skipped.isOptional && FrameType.skipped.isSequenced)
    }

    @Test func onlySequencedFramesAreKept() throws {
        var decoder = FrameDecoder()
        _ = try decoder.take(LinkFrames.ping(5).bytes.prefix(12))
        #expect(decoder.incomplete == nil && decoder.received == 0)
        // A frame that has arrived wholly, its last piece not even handed out.
        decoder = FrameDecoder()
        decoder.feed(ByteBuffer(bytes: rawFrame(FrameType.data.rawValue, stream: 1, [1, 2, 3])))
        #expect(try decoder.next() != nil)
        #expect(decoder.incomplete == nil && decoder.received == 11)
    }

    @Test func faults() {
        func fault(_ type: FrameType, stream: StreamID, length: Int, missing: Int, gathered: Int) -> String? {
            IncompleteFrame(
                header: FrameHeader(stream: stream, type: type, length: length), missing: missing,
                gathered: ByteBuffer(repeating: 1, count: gathered)
            ).fault
        }
        #expect(fault(.data, stream: 1, length: 10, missing: 10, gathered: 0) == nil)
        #expect(fault(.data, stream: 1, length: 10, missing: 1, gathered: 0) == nil)
        #expect(fault(.open, stream: 1, length: 10, missing: 4, gathered: 6) == nil)
        #expect(fault(.skipped, stream: 1, length: 10, missing: 4, gathered: 0) == nil)
        #expect(fault(.ping, stream: 0, length: 8, missing: 4, gathered: 4) == "an incomplete frame that is not sequenced")
        #expect(
            fault(FrameType(rawValue: 0x30), stream: 0, length: 8, missing: 4, gathered: 0)
                == "an incomplete frame: unknown_frame: frame type 48 is critical and not known here")
        #expect(
            fault(.open, stream: 1, length: 2_049, missing: 4, gathered: 2_045)
                == "an incomplete frame: too_long: frame type 1 with 2049 bytes of payload")
        #expect(
            fault(.open, stream: 0, length: 8, missing: 4, gathered: 4)
                == "an incomplete frame: unexpected: frame type 1 on stream 0")
        #expect(
            fault(.data, stream: 1, length: 10, missing: 11, gathered: 0) == "an incomplete frame of 10 bytes that lacks 11")
        #expect(fault(.data, stream: 1, length: 10, missing: 0, gathered: 0) == "an incomplete frame of 10 bytes that lacks 0")
        #expect(fault(.data, stream: 1, length: 0, missing: 1, gathered: 0) == "an incomplete frame of 0 bytes that lacks 1")
        #expect(
            fault(.data, stream: 1, length: 10, missing: 4, gathered: 6)
                == "an incomplete frame that lacks 4 of 10 bytes, with 6 bytes gathered")
        #expect(
            fault(.open, stream: 1, length: 10, missing: 4, gathered: 5)
                == "an incomplete frame that lacks 4 of 10 bytes, with 5 bytes gathered")
    }
}
