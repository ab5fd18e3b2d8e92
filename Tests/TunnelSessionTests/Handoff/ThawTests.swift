import NIOCore
import Testing
import Timing
import TunnelWire

@testable import TunnelSession

/// What a session knows after it was frozen, written, read and thawed.
@Suite struct ThawTests {
    /// Both processes are replaced, and find each other again.
    private func moveOver(_ couple: inout Couple) throws {
        couple.dialer = try couple.dialer.movedOver(now: couple.now)
        couple.acceptor = try couple.acceptor.movedOver(now: couple.now)
        try couple.acceptor.attach(peerReceived: couple.dialer.received, now: couple.now)
        try couple.dialer.attach(peerReceived: couple.acceptor.received, now: couple.now)
    }

    @Test func streamsGoOn() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.send(id, .zeros(100))
        try self.moveOver(&couple)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data 1 100"])
        couple.acceptor.consumed(id, 100)
        couple.acceptor.finish(id)
        try self.moveOver(&couple)
        couple.dialer.finish(id)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["finished 1"] && couple.dialerEvents == ["finished 1"])
        #expect(couple.dialer.streamCount == 0 && couple.acceptor.streamCount == 0)
        #expect(couple.dialer.resumes == 2 && couple.acceptor.resumes == 2)
    }

    @Test func openingGoesOnAtEveryStep() throws {
        var couple = try Couple()
        let id = try couple.dialer.open(.test)
        couple.dialer.send(id, .zeros(3))
        try self.moveOver(&couple)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["open 1"] && couple.dialerEvents == ["accepted 1"])
        try self.moveOver(&couple)
        couple.acceptor.opened(id)
        try self.moveOver(&couple)
        try couple.exchange()
        #expect(couple.dialerEvents == ["opened 1"] && couple.acceptorEvents == ["data 1 3"])
    }

    @Test func sourcesAreAskedFor() throws {
        var couple = try Couple()
        let open = try couple.openStream()
        let full = try couple.openStream()
        #expect(couple.dialer.allHungry() == [open, full] && couple.dialer.allHungry() == [])
        couple.dialer.send(full, .zeros(65_536 + 100))
        try couple.exchange()
        try self.moveOver(&couple)
        #expect(couple.dialer.allHungry() == [open], "the other one has no credit left")
        couple.acceptor.consumed(full, 65_536)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data \(full) 100"])
        #expect(couple.dialer.allHungry() == [full])
    }

    /// Half a window had been taken when the session was frozen: the credit is given on the new link.
    @Test func dueCreditIsGiven() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.send(id, .zeros(60_000))
        try couple.exchange()
        couple.acceptor.consumed(id, 32_768)
        try self.moveOver(&couple)
        #expect(couple.acceptor.labels(now: couple.now, most: 2).contains("CREDIT 1"))
        // And what was taken before counts with what is taken later.
        couple = try Couple()
        _ = try couple.openStream()
        couple.dialer.send(id, .zeros(60_000))
        try couple.exchange()
        couple.acceptor.consumed(id, 32_767)
        try self.moveOver(&couple)
        #expect(!couple.acceptor.labels(now: couple.now).contains("CREDIT 1"))
        couple.acceptor.consumed(id, 1)
        #expect(couple.acceptor.labels(now: couple.now) == ["CREDIT 1"])
    }

    /// A link that broke inside a frame: the next one begins with its rest, although both ends are new.
    @Test func cutInsideAFrame() throws {
        for cut in 1...107 {
            var couple = try Couple()
            let id = try couple.openStream()
            _ = couple.dialer.frames()
            couple.dialer.send(id, .zeros(100))
            let frame = couple.dialer.nextWrite(now: couple.now) ?? ByteBuffer()
            #expect(label(frame) == "DATA 1 100")
            let part = try #require(frame.getSlice(at: frame.readerIndex, length: cut))
            let events = try couple.acceptor.take(part, now: couple.now)
            #expect(events == (cut > 8 ? ["data 1 \(cut - 8)"] : []))
            try self.moveOver(&couple)
            let rest = couple.dialer.frames(now: couple.now).filter { label($0) != "PING" }
            #expect(rest.map(\.readableBytes) == [cut < 8 ? 108 : 108 - cut])
            #expect(try couple.acceptor.take(rest, now: couple.now) == ["data 1 \(cut < 8 ? 100 : 108 - cut)"])
            couple.acceptor.consumed(id, 100)
        }
    }

    @Test func partlyAcknowledged() throws {
        var session = try Session.attached(.dialer)
        try session.take(Peer.open(2))
        session.opened(2)
        session.send(2, .zeros(50))
        let frames = session.frames()
        let sent = frames.reduce(0) { $0 + UInt64($1.readableBytes) }
        try session.take(LinkFrames.ack(sent - 20))
        session = try session.movedOver()
        #expect(session.replay.acknowledged == sent - 20 && session.sent == sent)
        #expect(
            violation {
                var copy = session
                try copy.attach(peerReceived: sent - 21, now: .start)
            } == .impossibleCount)
        try session.attach(peerReceived: sent - 5, now: .start)
        #expect(session.nextWrite(now: .start)?.readableBytes == 5)
    }

    // MARK: OPENs that were not sent

    @Test func withdrawnOpensAreNotWritten() throws {
        var session = try Session.attached(.dialer)
        let ids = try (0..<4).map { _ in try session.open(.test) }
        session.reset(ids[1], .cancelled)
        #expect(session.control.count == 4, "it is still among the frames")
        #expect(session.freeze().control.count == 3)
        session = try session.movedOver()
        try session.attach(peerReceived: 0, now: .start)
        #expect(session.labels() == ["PING", "OPEN 1", "OPEN 5", "OPEN 7"])
    }

    /// Taken back after the thaw, the peer hears nothing of the stream, as without one.
    @Test func opensCanStillBeWithdrawn() throws {
        var session = try Session.attached(.dialer)
        let id = try session.open(.test)
        session = try session.movedOver()
        session.reset(id, .cancelled)
        try session.attach(peerReceived: 0, now: .start)
        #expect(session.labels() == ["PING"] && session.controlQueued == 0 && session.heldBytes == 0)
    }

    // MARK: What is not of a stream

    @Test func idsGoOn() throws {
        var couple = try Couple()
        _ = try couple.openStream()
        try self.moveOver(&couple)
        #expect(try couple.dialer.open(.test) == 3)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["open 3"])
        #expect(violation { try couple.acceptor.take(Peer.open(1)) } == .unexpected)
    }

    @Test func drainsGoOn() throws {
        var couple = try Couple()
        couple.acceptor.drain(deadline: .seconds(9), reason: "test")
        try couple.exchange()
        try self.moveOver(&couple)
        #expect(couple.acceptor.isDraining && couple.dialer.isPeerDraining)
        #expect(throws: Refusal.self) { try couple.dialer.open(.test) }
        couple.acceptor.undrain()
        try couple.exchange()
        #expect(couple.dialerEvents == ["come back"])
    }

    @Test func resumeWindow() throws {
        var session = try Session.attached(.dialer)
        session.detach(now: .ms(1))
        session.setResumeWindow(.seconds(5))
        session = try session.movedOver(now: .ms(400))
        #expect(session.nextTimer == .ms(5_400) && session.onTimer(now: .ms(5_399)) == nil)
        #expect(session.onTimer(now: .ms(5_400)) == .resumeExpired)
        try session.attach(peerReceived: 0, now: .ms(500))
        #expect(session.labels(now: .ms(500)).contains("RESUME_WINDOW"), "it was not said before")
        // What the other end announced is remembered as well.
        var acceptor = try Session.attached(.acceptor)
        try acceptor.take(ResumeWindow(milliseconds: 7_000).frame())
        acceptor.detach(now: .ms(1))
        #expect(try acceptor.movedOver(now: .ms(2)).nextTimer == .ms(7_002))
    }

    @Test func absurdWindowsAreClamped() throws {
        for (asked, kept) in [(Duration.seconds(-3), Duration.zero), (.seconds(Int64.max), FrozenSession.longestWindow)] {
            var session = Session(side: .dialer, configuration: SessionConfiguration(), now: .start)
            session.setResumeWindow(asked)
            #expect(session.freeze().ownWindow == kept && session.freeze().fault == nil)
        }
    }

    /// With a link or without, the picture is the same; what the link alone knew is gone.
    @Test func attachedOrNot() throws {
        var session = try Session.attached(.acceptor)
        try session.take(Peer.open(1), Peer.open(3))
        session.opened(1)
        _ = session.frames(most: 3)
        try session.take(LinkFrames.ping(7))
        session.feed(Peer.open(5).getSlice(at: 0, length: 10) ?? ByteBuffer(), now: .start)
        #expect(try session.nextEvent(now: .start) == nil)
        let picture = session.freeze()
        session.detach(now: .start)
        #expect(session.freeze() == picture && picture.incomplete?.gathered.readableBytes == 2)
        var thawed = try Session(thawing: picture, configuration: SessionConfiguration(), now: .start)
        try thawed.attach(peerReceived: session.sent, now: .start)
        #expect(!thawed.labels().contains("PONG"))
    }

    // MARK: Bounds

    /// What it holds is counted anew.
    @Test func counts() throws {
        let session = try Session(thawing: .rich().handedOver(), configuration: SessionConfiguration(), now: .start)
        #expect(session.outstanding == 31_536 && session.windowGrowth == 65_536 && session.streamCount == 6)
        #expect(session.controlQueued == FrozenSession.rich().control.reduce(0) { $0 + $1.readableBytes })
        #expect(session.controlBytes == session.controlQueued + 12 + 8)
        #expect(session.queuedFootprint >= 70_022 && session.replayBytes >= 337)
        #expect(session.resumes == 3 && session.replayedBytes == 1 << 40)
    }

    /// Narrower bounds end nothing that lives; they hold for what comes.
    @Test func narrowerConfiguration() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        _ = try couple.openStream()
        couple.dialer.send(id, .zeros(3_000))
        _ = couple.dialer.frames()
        couple.dialer.send(id, .zeros(10))
        var configuration = SessionConfiguration()
        configuration.streams = 1
        configuration.replayBuffer = 1_000
        var dialer = try Session(thawing: couple.dialer.freeze().handedOver(), configuration: configuration, now: .start)
        #expect(dialer.streamCount == 2)
        #expect(throws: Refusal.self) { try dialer.open(.test) }
        couple.acceptor.detach(now: .start)
        try couple.acceptor.attach(peerReceived: dialer.received, now: .start)
        try dialer.attach(peerReceived: couple.acceptor.received, now: .start)
        let frames = dialer.frames()
        #expect(frames.map(label) == ["PING", "DATA 1 3000"], "the rest waits until that is acknowledged")
        #expect(try couple.acceptor.take(frames) == ["data 1 3000"])
        try dialer.take(LinkFrames.ack(dialer.sent))
        #expect(dialer.labels() == ["DATA 1 10"])
    }
}
