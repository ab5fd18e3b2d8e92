import NIOCore
import Testing
import TunnelWire

/// The rules of the decoder, one by one.
@Suite struct DecoderTests {
    // MARK: Data is passed on as it comes

    @Test func dataIsNotGathered() throws {
        var decoder = FrameDecoder()
        #expect(try decoder.take(rawFrame(0x05, stream: 1, Array(repeating: 7, count: 9)).prefix(8)).isEmpty)
        #expect(try decoder.take([7, 7]) == [.data(stream: 1, bytes: ByteBuffer(bytes: [7, 7]))])
        #expect(decoder.heldBytes == 0)
        #expect(decoder.received == 10, "a piece of a frame counts as soon as it is passed on")
        #expect(try decoder.take([7, 7, 7]) == [.data(stream: 1, bytes: ByteBuffer(bytes: [7, 7, 7]))])
        #expect(try decoder.take([7, 7, 7, 7] + rawFrame(0x07, stream: 1)).count == 2)
        #expect(decoder.received == 25)
    }

    @Test func anEmptyDataFrameIsCountedAndSaysNothing() throws {
        var decoder = FrameDecoder()
        #expect(try decoder.take(rawFrame(0x05, stream: 1)).isEmpty)
        #expect(decoder.received == 8)
    }

    @Test func theLargestDataFrameIsTaken() throws {
        var decoder = FrameDecoder()
        let frames = try decoder.take(rawFrame(0x05, stream: 1, Array(repeating: 1, count: 65_536)))
        #expect(frames == [.data(stream: 1, bytes: ByteBuffer(repeating: 1, count: 65_536))])
    }

    // MARK: Lengths

    private static let limits: [(type: UInt8, limit: Int)] =
        (0x01...0x08).map { ($0, $0 == 0x05 ? 65_536 : 2_048) }
        + [(0x10, 65_536), (0x11, 65_536), (0x12, 65_536), (0x13, 2_048), (0x14, 2_048), (0x95, 65_536), (0x96, 2_048)]
        + [(0x41, 512), (0x42, 512), (0x43, 512), (0x44, 512), (0x50, 4_096), (0x51, 1_024), (0x52, 1_024)]
        + [(0x80, 65_536), (0xBF, 65_536), (0xC0, 65_536), (0xFF, 65_536)]

    /// The header alone decides: no byte of a payload that is too long is waited for.
    @Test(arguments: Self.limits)
    func anOverLongPayloadIsRefusedByItsHeader(type: UInt8, limit: Int) throws {
        let stream: StreamID = (0x01...0x08).contains(type) ? 1 : 0
        let header = { (length: Int) in
            ByteBuffer(integer: FrameHeader(stream: stream, type: FrameType(rawValue: type), length: length).packed)
        }
        for length in [limit + 1, 0xFF_FFFF] {
            var decoder = FrameDecoder()
            decoder.feed(header(length))
            #expect(refusal(try decoder.next()) == .tooLong)
            #expect(decoder.received == 0)
            #expect(decoder.heldBytes == 0)
        }
        var decoder = FrameDecoder()
        decoder.feed(header(limit))
        #expect(try decoder.next() == nil)
        #expect(decoder.heldBytes == 0, "nothing is set aside for bytes that have not come")
    }

    /// Only the payload of the frame at hand is kept, and never more than its type allows.
    @Test func heldBytesAreThoseOfOneFrame() throws {
        var decoder = FrameDecoder()
        let frame = rawFrame(0x10, Array(repeating: 9, count: 65_536))
        for start in stride(from: 0, to: frame.count, by: 997) {
            let frames = try decoder.take(frame[start..<min(start + 997, frame.count)])
            #expect(frames.isEmpty == (start + 997 < frame.count))
            #expect(decoder.heldBytes <= 65_536)
        }
        #expect(decoder.heldBytes == 0)
        _ = try decoder.take(rawFrame(0x85, Array(repeating: 9, count: 65_536)).dropLast())
        #expect(decoder.heldBytes == 0, "nothing is kept of a frame that will be skipped")
        _ = try decoder.take([9] + rawFrame(0x07, stream: 1).prefix(5))
        #expect(decoder.heldBytes == 5)
    }

    // MARK: Unknown types

    @Test(arguments: UInt8.min...UInt8.max)
    func everyTypeOctet(type: UInt8) throws {
        let known: Set<UInt8> = [
            0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x10, 0x11, 0x12, 0x13, 0x14, 0x17, 0x41, 0x42, 0x43, 0x44, 0x50,
            0x51, 0x52, 0x60, 0x95, 0x96,
        ]
        let stream: StreamID = (0x01...0x08).contains(type) ? 1 : 0
        var decoder = FrameDecoder()
        let wire = rawFrame(type, stream: stream, [1, 2, 3]) + rawFrame(0x42, [4])
        if known.contains(type) {
            #expect(try decoder.take(wire).count == 2)
        } else if type >= 0x80 {
            #expect(try decoder.take(wire).count == 1, "an optional frame is skipped and what follows it is read")
        } else {
            #expect(refusal(try decoder.take(wire)) == .unknownFrame)
        }
        let isCounted = type & 0x40 == 0 && (known.contains(type) || type >= 0x80)
        #expect(decoder.received == (isCounted ? 11 : 0))
    }

    /// PEERS is optional and known here: counted and continued like every sequenced frame, and handed over, not skipped.
    @Test func aCutOptionalFrameThatIsKnownGoesOnAndComesOut() throws {
        let peers = Peers(version: 7, servers: [PeerServer(name: "a", addresses: [PeerAddress(host: "::1", port: 1)])])
        let frame = peers.frame().bytes
        for cut in 8..<frame.count {
            var decoder = FrameDecoder()
            #expect(try decoder.take(frame.prefix(cut)).isEmpty)
            decoder.linkLost()
            #expect(decoder.received == UInt64(cut) && decoder.heldBytes == cut - 8)
            let frames = try decoder.take(frame.dropFirst(cut))
            #expect(frames == [.frame(FrameHeader(stream: 0, type: .peers, length: frame.count - 8), payload: peers.payload())])
            #expect(decoder.received == UInt64(frame.count) && decoder.heldBytes == 0)
        }
    }

    @Test func aCutOptionalFrameGoesOnWhenItIsSequenced() throws {
        var decoder = FrameDecoder()
        #expect(try decoder.take(rawFrame(0x85, stream: 3, [1, 2, 3, 4]).prefix(10)).isEmpty)
        #expect(decoder.received == 10)
        decoder.linkLost()
        #expect(try decoder.take([3, 4] + rawFrame(0x42)).count == 1)
        #expect(decoder.received == 12)
    }

    // MARK: Streams

    @Test(arguments: [UInt8(0x01), 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08])
    func streamFramesNeedAStream(type: UInt8) {
        var decoder = FrameDecoder()
        #expect(refusal(try decoder.take(rawFrame(type))) == .unexpected)
    }

    @Test(arguments: [UInt8(0x10), 0x11, 0x12, 0x13, 0x14, 0x41, 0x42, 0x43, 0x44, 0x50, 0x51, 0x52, 0x95, 0x96])
    func otherFramesTravelOnStreamZero(type: UInt8) {
        var decoder = FrameDecoder()
        #expect(refusal(try decoder.take(rawFrame(type, stream: 1))) == .unexpected)
    }

    /// Before a peer has proved anything, only HELLO, PROOF, WELCOME and CLOSE are taken, and nothing else is even skipped.
    @Test(arguments: UInt8.min...UInt8.max)
    func onlyHandshakeFramesInAHandshake(type: UInt8) throws {
        let stream: StreamID = (0x01...0x08).contains(type) ? 1 : 0
        var decoder = FrameDecoder(isHandshake: true)
        let header = Array(rawFrame(type, stream: stream, [0]).prefix(8))
        if [0x44, 0x50, 0x51, 0x52].contains(type) {
            #expect(try decoder.take(header + [0]).count == 1)
        } else {
            #expect([.unexpected, .unknownFrame].contains(refusal(try decoder.take(header))))
        }
        #expect(decoder.received == 0)
        #expect(decoder.heldBytes == 0)
    }

    // MARK: Lost links

    @Test func aCutUnsequencedFrameIsForgotten() throws {
        let close = Close(.silent, "quiet").frame().bytes
        for cut in 0..<close.count {
            var decoder = FrameDecoder()
            #expect(try decoder.take(close.prefix(cut)).isEmpty)
            decoder.linkLost()
            #expect(decoder.heldBytes == 0)
            #expect(decoder.received == 0)
            let fin = FrameHeader(stream: 1, type: .fin, length: 0)
            #expect(try decoder.take(rawFrame(0x07, stream: 1)) == [.frame(fin, payload: ByteBuffer())], "cut at \(cut)")
        }
    }

    @Test func aCutControlFrameKeepsWhatCame() throws {
        let frame = GoAway(deadlineMilliseconds: 1, reason: "drain").frame().bytes
        var decoder = FrameDecoder()
        #expect(try decoder.take(frame.prefix(13)).isEmpty)
        #expect(decoder.received == 13)
        #expect(decoder.heldBytes == 5)
        decoder.linkLost()
        #expect(decoder.heldBytes == 5)
        let frames = try decoder.take(frame.dropFirst(13))
        #expect(frames.count == 1)
        guard case .frame(_, var payload)? = frames.first else { return }
        #expect(try GoAway(reading: &payload).reason == "drain")
    }

    @Test func unreadBytesAreHandedOver() throws {
        var decoder = FrameDecoder()
        decoder.feed(ByteBuffer(bytes: rawFrame(0x52) + [1, 2, 3]))
        #expect(try decoder.next() != nil)
        #expect(decoder.takeUnread().bytes == [1, 2, 3])
        #expect(decoder.heldBytes == 0)
    }
}
