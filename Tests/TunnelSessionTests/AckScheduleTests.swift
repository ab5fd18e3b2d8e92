import Testing
import TunnelWire

@testable import TunnelSession

@Suite struct AckScheduleTests {
    private var schedule = AckSchedule(bytes: 1000, delay: .milliseconds(20))

    @Test mutating func nothingReceivedNothingDue() {
        self.schedule.received(0, now: .start)
        #expect(!self.schedule.isDue(0, now: .ms(10_000)) && self.schedule.deadline == nil)
    }

    @Test mutating func dueByBytes() {
        self.schedule.received(999, now: .start)
        #expect(!self.schedule.isDue(999, now: .start))
        #expect(self.schedule.isDue(1000, now: .start))
    }

    @Test mutating func dueByTimeFromTheFirstByte() {
        self.schedule.received(1, now: .ms(5))
        self.schedule.received(2, now: .ms(20))
        #expect(self.schedule.deadline == .ms(25))
        #expect(!self.schedule.isDue(2, now: .ms(24)) && self.schedule.isDue(2, now: .ms(25)))
    }

    @Test mutating func sentStartsAnew() {
        self.schedule.received(1000, now: .start)
        self.schedule.sent(1000)
        self.schedule.received(1000, now: .ms(1))
        #expect(self.schedule.deadline == nil && !self.schedule.isDue(1000, now: .ms(500)))
        self.schedule.received(1999, now: .ms(2))
        #expect(!self.schedule.isDue(1999, now: .ms(2)) && self.schedule.isDue(2000, now: .ms(2)))
    }

    @Test mutating func aResumeIsAnAcknowledgement() {
        self.schedule.received(10, now: .start)
        self.schedule.linkAttached(10)
        #expect(self.schedule.deadline == nil && !self.schedule.isDue(10, now: .ms(500)))
    }

    /// While the link takes nothing, the timer must not fire again and again.
    @Test mutating func dueWithoutALinkThatTakesItAsksForNoTimer() {
        self.schedule.received(1, now: .start)
        self.schedule.timePassed(1, now: .ms(20))
        #expect(self.schedule.deadline == nil && self.schedule.isDue(1, now: .ms(20)))
        self.schedule.received(2, now: .ms(21))
        #expect(self.schedule.deadline == nil)
        self.schedule.sent(2)
        #expect(!self.schedule.isDue(2, now: .ms(500)))
    }

    @Test(arguments: [(16 << 20, 256 << 10), (1 << 20, 128 << 10), (80, 10), (1, 1)])
    func theBytesFollowTheReplayBuffer(cap: Int, bytes: Int) {
        var configuration = SessionConfiguration()
        configuration.replayBuffer = cap
        #expect(configuration.acknowledgementBytes == UInt64(bytes))
    }

    @Test func aSessionAcknowledgesWithinTwentyMilliseconds() throws {
        var session = try Session.attached(.acceptor)
        try session.take(Peer.open(1))
        #expect(session.labels() == ["ACCEPTED 1"])
        #expect(session.nextTimer == .ms(20))
        #expect(session.labels(now: .ms(19)) == [])
        #expect(session.frames(now: .ms(20)) == [LinkFrames.ack(UInt64(Peer.open(1).readableBytes))])
        #expect(session.labels(now: .ms(500)) == [])
    }
}
