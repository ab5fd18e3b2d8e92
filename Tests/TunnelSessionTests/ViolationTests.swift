import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// What a peer may not do, and what it is told.
@Suite struct ViolationTests {
    /// An acceptor with the peer's stream 1 open, 3 being answered, and its own 2 waiting for an answer.
    private func acceptor() throws -> Session {
        var session = try Session.attached(.acceptor)
        try session.take(Peer.open(1), Peer.open(3))
        session.opened(1)
        _ = try session.open(.test)
        _ = session.frames()
        return session
    }

    private func kind(_ frames: ByteBuffer...) throws -> WireError.Kind? {
        var session = try self.acceptor()
        return violation { try session.take(frames) }
    }

    @Test func whatIsAllowed() throws {
        #expect(try self.kind(Peer.data(1, 65_536), Peer.fin(1), Peer.credit(1, 5), Peer.accepted(2), Peer.opened(2)) == nil)
        #expect(try self.kind(Peer.refused(2), Peer.reset(3), Peer.reset(1), Peer.open(9)) == nil)
        #expect(try self.kind(Peer.opened(2), Peer.data(2, 1)) == nil, "ACCEPTED may be left out")
    }

    @Test func dataBeforeOpened() throws {
        #expect(try self.kind(Peer.data(3, 1)) == .unexpected)
        #expect(try self.kind(Peer.data(2, 1)) == .unexpected)
        #expect(try self.kind(Peer.accepted(2), Peer.data(2, 1)) == .unexpected)
        #expect(try self.kind(Peer.fin(3)) == .unexpected)
    }

    @Test func dataOrFinAfterFin() throws {
        #expect(try self.kind(Peer.fin(1), Peer.data(1, 1)) == .unexpected)
        #expect(try self.kind(Peer.fin(1), Peer.fin(1)) == .unexpected)
    }

    @Test func moreThanTheCredit() throws {
        #expect(try self.kind(Peer.data(1, 65_535), Peer.data(1, 2)) == .creditExceeded)
        #expect(try self.kind(Peer.data(1, 65_536), Peer.data(1, 1)) == .creditExceeded)
    }

    @Test func creditThatOverflows() throws {
        #expect(try self.kind(Peer.credit(1, 0x7FFF_FFFF - 65_536)) == nil)
        #expect(try self.kind(Peer.credit(1, 0x7FFF_FFFF - 65_535)) == .creditExceeded)
        #expect(try self.kind(Peer.credit(1, .max)) == .creditExceeded)
    }

    @Test func countsThatCannotBe() throws {
        let sent = try self.acceptor().sent
        #expect(sent > 16)
        #expect(try self.kind(LinkFrames.ack(sent)) == nil)
        #expect(try self.kind(LinkFrames.ack(sent + 1)) == .impossibleCount)
        #expect(try self.kind(LinkFrames.ack(.max)) == .impossibleCount)
        #expect(try self.kind(LinkFrames.ack(8), LinkFrames.ack(7)) == .impossibleCount)
    }

    @Test func aResumeWithACountThatCannotBe() throws {
        for count in [0, .max] as [UInt64] {
            var session = try self.acceptor()
            try session.take(LinkFrames.ack(8))
            session.detach(now: .start)
            #expect(violation { try session.attach(peerReceived: count, now: .start) } == .impossibleCount)
            #expect(!session.isAttached && session.resumes == 0, "it can still be resumed by an honest peer")
            try session.attach(peerReceived: 8, now: .start)
        }
    }

    @Test func openWithAnIdThatIsNotThePeers() throws {
        #expect(try self.kind(Peer.open(2)) == .unexpected)
        #expect(try self.kind(Peer.open(4)) == .unexpected)
        #expect(try self.kind(Peer.open(1)) == .unexpected)
        #expect(try self.kind(Peer.open(3)) == .unexpected)
        #expect(try self.kind(Peer.open(9), Peer.open(7)) == .unexpected)
        #expect(try self.kind(Peer.open(0)) == .unexpected)
    }

    @Test(arguments: [4, 5] as [StreamID])
    func framesOnAStreamThatNeverWas(id: StreamID) throws {
        for frame in [
            Peer.accepted(id), Peer.opened(id), Peer.refused(id), Peer.data(id, 1), Peer.credit(id, 1), Peer.fin(id),
            Peer.reset(id),
        ] { #expect(try self.kind(frame) == .unexpected, "\(label(frame))") }
    }

    @Test func answersToAStreamOfTheirOwn() throws {
        for frame in [Peer.accepted(1), Peer.opened(1), Peer.refused(1), Peer.accepted(3), Peer.opened(3), Peer.refused(3)] {
            #expect(try self.kind(frame) == .unexpected, "\(label(frame))")
        }
    }

    @Test func answersThatComeTwice() throws {
        #expect(try self.kind(Peer.accepted(2), Peer.accepted(2)) == .unexpected)
        #expect(try self.kind(Peer.opened(2), Peer.opened(2)) == .unexpected)
        #expect(try self.kind(Peer.opened(2), Peer.accepted(2)) == .unexpected)
        #expect(try self.kind(Peer.opened(2), Peer.refused(2)) == .unexpected)
        #expect(try self.kind(Peer.refused(2), Peer.opened(2)) == nil, "late, and dropped")
    }

    @Test(arguments: [FrameType.hello, .proof, .welcome])
    func aHandshakeInsideASession(type: FrameType) throws {
        #expect(try self.kind(ByteBuffer(integer: FrameHeader(stream: 0, type: type, length: 0).packed)) == .unexpected)
    }

    @Test(arguments: [FrameType.open, .refused, .credit, .reset])
    func aPayloadThatEndsTooSoon(type: FrameType) throws {
        let id: StreamID = type == .open ? 5 : type == .refused ? 2 : 1
        #expect(try self.kind(ByteBuffer(integer: FrameHeader(stream: id, type: type, length: 0).packed)) == .malformed)
    }

    @Test(arguments: [FrameType.ack, .ping, .pong])
    func alsoOfTheLinksOwnFrames(type: FrameType) throws {
        #expect(try self.kind(ByteBuffer(integer: FrameHeader(stream: 0, type: type, length: 0).packed)) == .malformed)
    }

    /// A peer that has answers queued without end and acknowledges none of them.
    @Test(arguments: [true, false])
    func aFloodThatIsNeverAcknowledged(isWritable: Bool) throws {
        var session = try Session.attached(.acceptor) { $0.streams = 0 }
        var id: StreamID = 1
        var kind: WireError.Kind?
        while kind == nil, id < 1_000_000 {
            kind = violation { try session.take(Peer.open(id)) }
            if isWritable { _ = session.frames() }
            id += 2
        }
        #expect(kind == .controlFlood)
        #expect(session.controlBytes > 1 << 20 && session.controlBytes < (1 << 20) + 1000)
    }

    @Test func aBusyPeerThatAcknowledgesIsNoFlood() throws {
        var session = try Session.attached(.acceptor)
        for id in stride(from: 1, to: 60_001, by: 2) as StrideTo<Int> {
            try session.take(Peer.open(StreamID(id)), Peer.reset(StreamID(id)))
            _ = session.frames()
            if id % 1000 == 1 { try session.take(LinkFrames.ack(session.sent)) }
        }
        #expect(session.streamCount == 0 && session.heldBytes < 20_000)
    }

    @Test func typesOfLaterVersionsAreSkippedWhenOptional() throws {
        for (raw, kind) in [(0x85, nil), (0xC5, nil), (0x25, WireError.Kind.unknownFrame)] as [(UInt8, WireError.Kind?)] {
            var frame = ByteBuffer(integer: FrameHeader(stream: 1, type: FrameType(rawValue: raw), length: 3).packed)
            frame.writeBytes([1, 2, 3])
            #expect(try self.kind(frame, Peer.data(1, 1)) == kind)
        }
    }
}
