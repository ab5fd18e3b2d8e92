import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// The life of a stream, one step a line.
@Suite struct StreamLifeTests {
    @Test func openAcceptedOpened() throws {
        var couple = try Couple()
        let id = try couple.dialer.open(.test)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["open 1"] && couple.dialerEvents == ["accepted 1"])
        couple.acceptor.opened(id)
        try couple.exchange()
        #expect(couple.dialerEvents == ["opened 1"])
        #expect(couple.dialer.allHungry() == [1] && couple.acceptor.allHungry() == [1])
    }

    @Test func refusedIsForgottenByBoth() throws {
        var couple = try Couple()
        let id = try couple.dialer.open(.test)
        try couple.exchange()
        couple.acceptor.refuse(id, Refusal(.unhealthy, "down"))
        try couple.exchange()
        #expect(couple.dialerEvents == ["refused 1 unhealthy"])
        #expect(couple.dialer.streamCount == 0 && couple.acceptor.streamCount == 0)
    }

    @Test func dataWaitsForOpened() throws {
        var couple = try Couple()
        let id = try couple.dialer.open(.test)
        couple.dialer.send(id, .zeros(5))
        couple.dialer.finish(id)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["open 1"])
        couple.acceptor.opened(id)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data 1 5", "finished 1"])
    }

    @Test func halfClosedEitherWay() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.finish(id)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["finished 1"])
        couple.acceptor.send(id, .zeros(7))
        try couple.exchange()
        #expect(couple.dialerEvents == ["data 1 7"])
        couple.acceptor.finish(id)
        try couple.exchange()
        #expect(couple.dialerEvents == ["finished 1"])
        #expect(couple.acceptor.streamCount == 0 && couple.dialer.streamCount == 1, "seven bytes are not taken yet")
        couple.dialer.consumed(id, 7)
        #expect(couple.dialer.streamCount == 0)
    }

    @Test func finComesAfterAllBytes() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.send(id, .zeros(70_000))
        couple.dialer.finish(id)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data 1 65528", "data 1 8"])
        couple.acceptor.consumed(id, 65_536)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data 1 4464", "finished 1"])
    }

    @Test func bytesBehindTheEndAreNotSent() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.finish(id)
        couple.dialer.send(id, .zeros(5))
        try couple.exchange()
        #expect(couple.acceptorEvents == ["finished 1"])
        #expect(couple.dialer.queuedFootprint == 0)
    }

    @Test(arguments: ResetCode.allCases)
    func resetEndsBothDirectionsAtOnce(code: ResetCode) throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.send(id, .zeros(100))
        couple.dialer.reset(id, code)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["reset 1 \(code)"])
        #expect(couple.dialer.streamCount == 0 && couple.acceptor.streamCount == 0)
        try couple.pass(20)
        #expect(couple.dialer.heldBytes == 0)
    }

    @Test func anOpenCanBeCancelledAtAnyStage() throws {
        var couple = try Couple()
        let unsent = try couple.dialer.open(.test)
        couple.dialer.reset(unsent, .cancelled)
        let second = try couple.dialer.open(.test)
        try couple.exchange()
        // The other end never hears of what was not sent yet.
        #expect(couple.acceptorEvents == ["open 3"])
        couple.dialer.reset(second, .cancelled)
        couple.acceptor.opened(second)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["reset 3 cancelled"] && couple.dialerEvents == [])
    }

    @Test func aResetNobodyNeedsIsNotSent() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.send(id, .zeros(5))
        couple.dialer.finish(id)
        couple.acceptor.finish(id)
        try couple.exchange()
        #expect(couple.acceptor.isLive(id))
        couple.acceptor.reset(id, .connectionReset)
        #expect(couple.acceptor.labels() == [])
    }

    @Test func framesForAStreamThatIsGoneAreDropped() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.acceptor.reset(id, .other)
        #expect(try couple.acceptor.take(Peer.data(id, 9), Peer.credit(id, 9), Peer.fin(id), Peer.reset(id)) == [])
        couple.dialer.reset(id, .other)
        #expect(try couple.dialer.take(Peer.opened(id), Peer.refused(id), Peer.accepted(id), Peer.data(id, 9)) == [])
        #expect(couple.acceptor.heldBytes - couple.acceptor.replayBytes == couple.acceptor.controlQueued)
    }

    @Test func answeringAStreamThatIsGoneDoesNothing() throws {
        var session = try Session.attached(.acceptor)
        try session.take(Peer.open(1), Peer.reset(1))
        session.opened(1)
        session.refuse(1, Refusal(.other, ""))
        session.send(1, .zeros(5))
        session.finish(1)
        session.consumed(1, 5)
        session.reset(1, .other)
        #expect(session.labels() == ["ACCEPTED 1"] && session.streamCount == 0)
    }

    @Test func idsAreOddForTheDialerAndEvenForTheAcceptor() throws {
        var couple = try Couple()
        #expect(try (0..<3).map { _ in try couple.dialer.open(.test) } == [1, 3, 5])
        #expect(try (0..<3).map { _ in try couple.acceptor.open(.test) } == [2, 4, 6])
        try couple.exchange()
        #expect(couple.dialerEvents.filter { $0.hasPrefix("open ") } == ["open 2", "open 4", "open 6"])
    }

    @Test func idsWrapAroundAndSkipTheLiving() throws {
        var couple = try Couple()
        let lasting = [try couple.openStream(), try couple.acceptor.open(.test)]
        try couple.exchange()
        // As if two thousand million streams had come and gone.
        for id in [0x7FFF_FFF1, 0xFFFF_FFFB] as [StreamID] {
            (couple.dialer.nextStream, couple.acceptor.highestPeerStream) = (id, id &- 2)
            (couple.acceptor.nextStream, couple.dialer.highestPeerStream) = (id &+ 1, id &- 1)
            let opened = try (0..<4).map { _ in [try couple.dialer.open(.test), try couple.acceptor.open(.test)] }
            #expect(Set(opened.joined()).isDisjoint(with: lasting + [0]))
            try couple.exchange()
            #expect(couple.acceptorEvents.filter { $0.hasPrefix("open ") } == opened.map { "open \($0[0])" })
            #expect(couple.dialerEvents.filter { $0.hasPrefix("open ") } == opened.map { "open \($0[1])" })
        }
        #expect(couple.dialer.nextStream < 20 && couple.acceptor.nextStream < 20)
        couple.dialer.send(1, .zeros(3))
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data 1 3"])
    }

    @Test func aSessionWaitsForALinkOnlySoLong() throws {
        var session = try Session.attached(.acceptor)
        try session.take(ResumeWindow(milliseconds: 5000).frame())
        #expect(session.resumeWindow == .seconds(5))
        session.detach(now: .ms(100))
        #expect(session.nextTimer == .ms(5100))
        #expect(session.onTimer(now: .ms(5099)) == nil && session.onTimer(now: .ms(5100)) == .resumeExpired)
        try session.attach(peerReceived: 0, now: .ms(5100))
        #expect(session.onTimer(now: .ms(5101)) == nil)
    }

    @Test func anAnnouncedWindowIsBounded() throws {
        var session = try Session.attached(.acceptor)
        try session.take(ResumeWindow(milliseconds: .max).frame())
        #expect(session.resumeWindow == .seconds(3600))
    }

    @Test func aCutInsideAFrameLosesNothing() throws {
        for cut in 0...120 {
            var couple = try Couple()
            let id = try couple.openStream()
            couple.dialer.send(id, ByteBuffer(bytes: (0..<100).map { UInt8($0) }))
            var wire = couple.dialer.frames().reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
            var got: [UInt8] = []
            couple.acceptor.feed(wire.readSlice(length: min(cut, wire.readableBytes)) ?? ByteBuffer(), now: .start)
            while let event = try couple.acceptor.nextEvent(now: .start) { got += event.payload }
            try couple.resume()
            for frame in couple.dialer.frames() {
                couple.acceptor.feed(frame, now: .start)
                while let event = try couple.acceptor.nextEvent(now: .start) { got += event.payload }
            }
            #expect(got == (0..<100).map { UInt8($0) }, "cut at \(cut)")
        }
    }
}

extension SessionEvent {
    fileprivate var payload: [UInt8] { if case .data(_, let bytes) = self { bytes.bytes } else { [] } }
}
