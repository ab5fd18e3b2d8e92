import NIOCore
import Testing
import Timing
import TunnelWire

@testable import TunnelSession

@Suite struct HeartbeatTests {
    private static func heartbeat(interval: Int = 1000, idle: Int = 5000, timeout: Int = 4000) -> Heartbeat {
        var configuration = SessionConfiguration()
        configuration.heartbeatInterval = .milliseconds(interval)
        configuration.idleHeartbeatInterval = .milliseconds(idle)
        configuration.heartbeatTimeout = .milliseconds(timeout)
        return Heartbeat(configuration, now: .start)
    }

    @Test func aNewLinkIsProbedAtOnce() {
        var heartbeat = Self.heartbeat()
        heartbeat.linkAttached(now: .ms(7))
        #expect(heartbeat.isPingDue(now: .ms(7), hasStreams: false))
        heartbeat.pingSent(now: .ms(7))
        #expect(!heartbeat.isPingDue(now: .ms(8), hasStreams: true))
    }

    @Test(arguments: [(true, 1000), (false, 5000)])
    func theNextProbeComesAfterAnInterval(hasStreams: Bool, interval: Int) {
        var heartbeat = Self.heartbeat()
        heartbeat.pingSent(now: .start)
        heartbeat.heard(now: .ms(1))
        #expect(heartbeat.deadline(hasStreams: hasStreams) == .ms(interval))
        #expect(!heartbeat.isPingDue(now: .ms(interval - 1), hasStreams: hasStreams))
        #expect(heartbeat.isPingDue(now: .ms(interval), hasStreams: hasStreams))
    }

    @Test func aLoadedLinkIsProbedToo() {
        var heartbeat = Self.heartbeat()
        heartbeat.pingSent(now: .start)
        for moment in stride(from: 10, through: 1000, by: 10) { heartbeat.heard(now: .ms(moment)) }
        #expect(heartbeat.isPingDue(now: .ms(1000), hasStreams: true))
    }

    @Test func anIdleLinkWithoutAnswerIsProbedMoreOften() {
        var heartbeat = Self.heartbeat()
        heartbeat.pingSent(now: .start)
        #expect(heartbeat.isPingDue(now: .ms(1000), hasStreams: false))
    }

    @Test(arguments: [
        (0, Heartbeat.Verdict.fine), (1999, .fine), (2000, .suspect), (2999, .suspect), (3000, .silent), (9000, .silent),
    ])
    func suspectAfterTwoSilentAtTheTimeout(moment: Int, verdict: Heartbeat.Verdict) {
        var heartbeat = Self.heartbeat()
        heartbeat.pingSent(now: .start)
        heartbeat.pingSent(now: .ms(1000))
        #expect(heartbeat.verdict(now: .ms(moment)) == verdict)
    }

    @Test func anyByteIsLiveness() {
        var heartbeat = Self.heartbeat()
        heartbeat.pingSent(now: .start)
        heartbeat.heard(now: .ms(2900))
        #expect(heartbeat.verdict(now: .ms(3000)) == .fine)
    }

    @Test func aNewLinkIsJudgedByItself() {
        var heartbeat = Self.heartbeat()
        heartbeat.pingSent(now: .start)
        heartbeat.linkAttached(now: .ms(2990))
        #expect(heartbeat.verdict(now: .ms(3000)) == .fine)
    }

    @Test(arguments: [(500, 125), (100, 25), (3999, 999), (4000, 1000), (60_000, 1000)])
    func aShortTimeoutShortensTheInterval(timeout: Int, interval: Int) {
        var heartbeat = Self.heartbeat(timeout: timeout)
        heartbeat.pingSent(now: .start)
        heartbeat.heard(now: .start)
        #expect(heartbeat.deadline(hasStreams: true).nanoseconds / 1_000_000 == interval)
    }

    @Test func fromTheLastByteToTheVerdictNeverMoreThanTheTimeout() {
        for timeout in [100, 500, 4000] {
            var heartbeat = Self.heartbeat(timeout: timeout)
            heartbeat.pingSent(now: .start)
            heartbeat.heard(now: .ms(1))
            var now = Moment.start
            while heartbeat.verdict(now: now) != .silent {
                now = heartbeat.deadline(hasStreams: true)
                if heartbeat.isPingDue(now: now, hasStreams: true) { heartbeat.pingSent(now: now) }
            }
            #expect(now <= .ms(timeout + 1) && now > .ms(timeout / 2))
        }
    }

    /// Nobody reads at the other end: the link takes no PING, and must be found silent nevertheless.
    @Test func aLinkThatTakesNothingIsSilentToo() throws {
        var session = try Session.attached(.dialer) { $0.idleHeartbeatInterval = .seconds(1) }
        session.feed(ByteBuffer(), now: .ms(1))
        var now = Moment.start
        var event: TimerEvent?
        while event == nil, let next = session.nextTimer {
            #expect(next > now, "a timer that fires again and again")
            now = next
            event = session.onTimer(now: now)
        }
        #expect(event == .linkSilent)
        #expect(now == .ms(4000))
    }

    @Test func aLinkThatTakesNothingButIsHeardIsAlive() throws {
        var session = try Session.attached(.dialer)
        for second in 1...20 {
            #expect(session.onTimer(now: .ms(second * 1000)) == nil)
            try session.take(LinkFrames.ping(1), now: .ms(second * 1000 + 500))
        }
        #expect(session.labels(now: .ms(20_500)) == ["PONG", "PING"])
    }

    @Test func roundTripIsSmoothed() {
        var heartbeat = Self.heartbeat()
        func pong(_ sent: Int, _ took: Int) {
            heartbeat.pongReceived(mark: UInt64(bitPattern: Moment.ms(sent).nanoseconds), now: .ms(sent + took))
        }
        #expect(heartbeat.roundTrip == nil)
        pong(0, 80)
        #expect(heartbeat.roundTrip == .milliseconds(80))
        pong(100, 160)
        #expect(heartbeat.roundTrip == .milliseconds(90))
        for sent in 0..<200 { pong(sent, 20) }
        #expect(heartbeat.roundTrip.map { $0 > .milliseconds(19) && $0 < .milliseconds(21) } == true)
    }

    @Test func forgedMarksAreNotSamples() {
        var heartbeat = Self.heartbeat()
        heartbeat.pongReceived(mark: UInt64(bitPattern: Moment.ms(2).nanoseconds), now: .ms(1))
        for mark in [-1_000_000_000_000, Int64.min, Int64.min + 1, Int64.max] {
            heartbeat.pongReceived(mark: UInt64(bitPattern: mark), now: .ms(1))
        }
        #expect(heartbeat.roundTrip == nil)
    }

    @Test func aPingIsAnsweredWithItsMark() throws {
        var session = try Session.attached(.acceptor)
        try session.take(LinkFrames.ping(42))
        #expect(session.frames() == [LinkFrames.pong(42)])
    }

    @Test func aSuspectSessionSaysSo() throws {
        var session = try Session.attached(.dialer)
        #expect(!session.isSuspect(now: .ms(1999)) && session.isSuspect(now: .ms(2000)))
        session.detach(now: .ms(2001))
        #expect(!session.isSuspect(now: .ms(2002)))
    }
}
