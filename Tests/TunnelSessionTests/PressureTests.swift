import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// Bounds: memory, streams, draining.
@Suite struct PressureTests {
    @Test func busyRefusesStreamsOfEitherSide() throws {
        var couple = try Couple()
        let old = try couple.openStream()
        couple.acceptor.pressure = .busy
        #expect(throws: Refusal.self) { try couple.acceptor.open(.test) }
        let id = try couple.dialer.open(.test)
        try couple.exchange()
        #expect(couple.dialerEvents == ["refused \(id) busy"])
        #expect(couple.acceptorEvents == [] && couple.acceptor.streamCount == 1)
        couple.dialer.send(old, .zeros(40_000))
        try couple.exchange()
        couple.acceptor.consumed(old, 40_000)
        #expect(couple.acceptor.labels() == ["CREDIT \(old)"], "busy does not touch what is open")
    }

    @Test func exhaustedGivesNoCreditAndRecovers() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.acceptor.pressure = .exhausted
        for _ in 0..<3 { couple.dialer.send(id, .zeros(40_000)) }
        try couple.exchange()
        couple.acceptor.consumed(id, 65_536)
        #expect(couple.acceptor.nextHungry() == nil, "nothing more is read either")
        try couple.exchange()
        #expect(couple.acceptorEvents == [])
        couple.acceptor.pressure = .none
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data \(id) 14464", "data \(id) 40000"])
        #expect(couple.acceptor.allHungry() == [id])
    }

    @Test func theStreamLimitCountsBothDirections() throws {
        var couple = try Couple { $0.streams = 2 }
        let mine = try couple.openStream()
        _ = try couple.acceptor.open(.test)
        try couple.exchange()
        #expect(throws: Refusal.self) { try couple.dialer.open(.test) }
        #expect(throws: Refusal.self) { try couple.acceptor.open(.test) }
        couple.dialer.reset(mine, .cancelled)
        let next = try couple.dialer.open(.test)
        try couple.exchange()
        #expect(couple.dialerEvents == ["accepted \(next)"])
    }

    @Test func aPeerBeyondTheLimitIsRefused() throws {
        var session = try Session.attached(.acceptor) { $0.streams = 1 }
        #expect(try session.take(Peer.open(1), Peer.open(3)) == ["open 1"])
        #expect(session.labels() == ["ACCEPTED 1", "REFUSED 3"])
    }

    @Test func goAwayEndsOpeningAndCanBeCalledOff() throws {
        var couple = try Couple()
        let crossing = try couple.dialer.open(.test)
        couple.acceptor.drain(deadline: .seconds(5), reason: "restart")
        try couple.exchange()
        #expect(couple.dialerEvents == ["go away", "refused \(crossing) draining"])
        #expect(couple.dialer.isPeerDraining && couple.acceptor.isDraining)
        #expect(throws: Refusal.self) { try couple.dialer.open(.test) }
        let other = try couple.acceptor.open(.test)
        try couple.exchange()
        #expect(couple.acceptorEvents == ["accepted \(other)"], "the other direction goes on")
        couple.acceptor.undrain()
        try couple.exchange()
        #expect(couple.dialerEvents == ["come back"])
        _ = try couple.openStream()
    }

    @Test func aDrainWithoutTimeIsStillADrain() throws {
        var couple = try Couple()
        couple.acceptor.drain(deadline: .zero, reason: "now")
        try couple.exchange()
        #expect(couple.dialer.isPeerDraining)
    }

    @Test func oldStreamsSurviveADrain() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.acceptor.drain(deadline: .seconds(5), reason: "restart")
        couple.dialer.send(id, .zeros(10))
        try couple.exchange()
        #expect(couple.acceptorEvents == ["data \(id) 10"])
    }

    /// Programs that try again and again while there is no link must not fill the memory, nor end the session.
    @Test func openingWithoutALinkIsBounded() throws {
        var couple = try Couple()
        couple.dialer.detach(now: .start)
        couple.acceptor.detach(now: .start)
        var refused = 0
        var opened: [StreamID] = []
        for _ in 0..<20_000 {
            do { try opened.append(couple.dialer.open(.test)) } catch { refused += 1 }
        }
        #expect(refused > 0)
        #expect(couple.dialer.heldBytes <= 600_000 && couple.dialer.heldBytes >= 500_000)
        // What was not sent yet is taken back without a trace, so that trying again and again costs nothing either.
        for id in opened { couple.dialer.reset(id, .cancelled) }
        #expect(couple.dialer.heldBytes == 0 && couple.dialer.streamCount == 0)
        for _ in 0..<20_000 { couple.dialer.reset(try couple.dialer.open(.test), .cancelled) }
        #expect(couple.dialer.heldBytes == 0)
        try couple.acceptor.attach(peerReceived: 0, now: .start)
        try couple.dialer.attach(peerReceived: 0, now: .start)
        try couple.exchange()
        try couple.pass(20)
        #expect(couple.dialer.heldBytes == 0 && couple.dialer.streamCount == 0 && couple.acceptor.streamCount == 0)
        _ = try couple.openStream()
    }

    /// A reader that never reads holds its own window and nothing else, however small the replay buffers are.
    @Test(arguments: [1, 100_000, 16 << 20])
    func aStalledReaderStopsNobody(replayBuffer: Int) throws {
        var couple = try Couple { $0.replayBuffer = replayBuffer }
        let stalled = try couple.openStream()
        for _ in 0..<4 { couple.dialer.send(stalled, .zeros(60_000)) }
        let bulk = try couple.openStream()
        var taken = 0
        for _ in 0..<100 {
            couple.dialer.send(bulk, .zeros(60_000))
            try couple.pass(20)
            let here = couple.acceptor.streams[bulk]?.incoming.outstanding ?? 0
            couple.acceptor.consumed(bulk, here)
            taken += here
        }
        #expect(taken >= 5_900_000)
        #expect(couple.acceptor.outstanding <= 2 * 65_536 + couple.acceptor.windowGrowth)
        #expect(couple.acceptor.streams[stalled]?.incoming.outstanding == 65_536)
    }

    @Test func atMostSixtyFourBuffersAreHandedBack() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        for _ in 0..<100 {
            couple.dialer.send(id, ByteBuffer.zeros(16_376).copied(headroom: 8))
            try couple.exchange()
            couple.acceptor.consumed(id, 16_376)
            try couple.pass(20)
        }
        #expect(couple.dialer.released.count == 64)
        #expect(couple.dialer.released.allSatisfy { $0.storageCapacity == 16_384 })
        #expect(couple.dialer.heldBytes == 0)
    }
}
