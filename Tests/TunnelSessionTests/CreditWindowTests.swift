import Testing
import Timing
import TunnelWire

@testable import TunnelSession

@Suite struct CreditWindowTests {
    private var window = CreditWindow()

    /// Receives and takes `bytes`, then grants.
    private mutating func use(_ bytes: Int, at moment: Moment, maximum: Int = 1 << 20, room: Int = 1 << 20) -> UInt32 {
        _ = self.window.receive(bytes)
        _ = self.window.take(bytes)
        return self.window.grant(now: moment, roundTrip: .milliseconds(10), maximum: maximum, room: room)
    }

    @Test mutating func notAByteMoreThanWasGiven() {
        #expect(self.window.receive(65_536) == true)
        #expect(self.window.receive(1) == false)
        #expect(self.window.outstanding == 65_536 && self.window.remaining == 0)
    }

    @Test mutating func dueWhenHalfIsTaken() {
        _ = self.window.receive(65_536)
        #expect(self.window.take(32_767) == false)
        #expect(self.window.take(1) == true)
        #expect(self.window.grant(now: .start, roundTrip: nil, maximum: 65_536, room: 0) == 32_768)
        #expect(!self.window.isDue)
    }

    @Test mutating func whatIsNotTakenIsNotGivenAgain() {
        _ = self.window.receive(65_536)
        _ = self.window.take(40_000)
        #expect(self.window.grant(now: .start, roundTrip: nil, maximum: 65_536, room: 0) == 40_000)
        #expect(self.window.outstanding + self.window.remaining == 65_536)
    }

    @Test mutating func takingMoreThanThereIsCountsForNothing() {
        _ = self.window.receive(10)
        _ = self.window.take(1_000_000)
        #expect(self.window.outstanding == 0)
        #expect(self.window.grant(now: .start, roundTrip: nil, maximum: 65_536, room: 0) == 10)
    }

    @Test mutating func theFirstGrantNeverGrows() {
        #expect(self.use(40_000, at: .start) == 40_000)
        #expect(self.window.growth == 0)
    }

    @Test mutating func usedWithinARoundTripItDoubles() {
        _ = self.use(40_000, at: .start)
        #expect(self.use(40_000, at: .ms(10)) == 40_000 + 65_536)
        #expect(self.window.window == 131_072 && self.window.growth == 65_536)
    }

    @Test mutating func usedSlowlyItStays() {
        _ = self.use(40_000, at: .start)
        #expect(self.use(40_000, at: .ms(11)) == 40_000)
        #expect(self.window.growth == 0)
    }

    @Test mutating func itNeverExceedsTheMaximum() {
        for moment in 0..<20 { _ = self.use(self.window.remaining, at: .ms(moment), maximum: 300_000) }
        #expect(self.window.window == 300_000)
    }

    @Test mutating func itTakesOnlyTheRoomThatIsLeft() {
        _ = self.use(40_000, at: .start)
        _ = self.use(40_000, at: .ms(1), room: 1000)
        #expect(self.window.growth == 1000)
        _ = self.use(40_000, at: .ms(2), room: 0)
        #expect(self.window.growth == 1000)
    }

    @Test func allWindowsTogetherStayWithinTheTotal() throws {
        var couple = try Couple { $0.windowGrowth = 200_000 }
        let ids = [try couple.openStream(), try couple.openStream(), try couple.openStream()]
        for _ in 0..<60 {
            for id in ids {
                couple.dialer.send(id, .zeros(60_000))
                try couple.exchange()
                couple.acceptor.consumed(id, 200_000)
            }
            try couple.exchange()
        }
        #expect(couple.acceptor.windowGrowth == 200_000)
        for id in ids { couple.acceptor.reset(id, .other) }
        #expect(couple.acceptor.windowGrowth == 0)
    }

    @Test func aStalledReaderGetsItsWindowAndNoMore() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        for _ in 0..<4 { couple.dialer.send(id, .zeros(60_000)) }
        try couple.exchange()
        #expect(couple.acceptor.outstanding == 65_536)
        #expect(couple.dialer.labels() == [])
        couple.acceptor.consumed(id, 32_767)
        #expect(couple.acceptor.labels() == [])
        couple.acceptor.consumed(id, 1)
        #expect(couple.acceptor.labels() == ["CREDIT \(id)"])
    }

    @Test func noCreditForAStreamThatEndsAnyway() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        couple.dialer.send(id, .zeros(50_000))
        couple.dialer.finish(id)
        try couple.exchange()
        couple.acceptor.consumed(id, 50_000)
        #expect(couple.acceptor.labels() == [])
    }
}
