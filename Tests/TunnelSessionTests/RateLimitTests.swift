import NIOCore
import Testing
import Timing
import TunnelWire

@testable import TunnelSession

@Suite struct RateLimitTests {
    /// Spends whenever it may, in pieces of 16 KiB, for ten seconds; returns the bytes.
    private func spend(at rate: Int) -> Int {
        var limit = RateLimit(bytesPerSecond: rate, now: Moment(nanoseconds: 0))
        var spent = 0
        for millisecond in 0..<10_000 {
            let now = Moment(nanoseconds: Int64(millisecond) * 1_000_000)
            while limit.isOpen(now: now) {
                limit.spend(16_384)
                spent += 16_384
            }
        }
        return spent
    }

    @Test(arguments: [200_000, 1_000_000, 50_000_000])
    func theAverageIsTheRateAndOneBurst(rate: Int) {
        let spent = self.spend(at: rate)
        #expect(spent >= rate * 10 - 16_384)
        #expect(spent <= rate * 10 + max(65_536, rate / 10) + 16_384)
    }

    @Test func anEmptyBucketSaysWhenItOpens() throws {
        let start = Moment(nanoseconds: 0)
        var limit = RateLimit(bytesPerSecond: 1_000_000, now: start)
        #expect(limit.opensAt == nil)
        limit.spend(1_000_000)
        let isOpenAtOnce = limit.isOpen(now: start)
        #expect(!isOpenAtOnce)
        let opensAt = try #require(limit.opensAt)
        let isOpenBefore = limit.isOpen(now: Moment(nanoseconds: opensAt.nanoseconds - 10_000))
        let isOpenThen = limit.isOpen(now: opensAt)
        #expect(!isOpenBefore && isOpenThen)
    }

    @Test func aSessionSendsNoFasterThanItsBandwidth() throws {
        var configuration = SessionConfiguration()
        configuration.bandwidth = 100_000
        let start = Moment(nanoseconds: 0)
        var session = Session(side: .dialer, configuration: configuration, now: start)
        try session.attach(peerReceived: 0, now: start)
        let id = try session.open(Open(destination: .service("bulk"), source: "test"))
        var answer = StreamFrames.empty(.opened, stream: id)
        answer.writeImmutableBuffer(StreamFrames.credit(1 << 30, stream: id))
        session.feed(answer, now: start)
        while try session.nextEvent(now: start) != nil {}
        session.send(id, ByteBuffer(repeating: 7, count: 4 << 20))
        var sent = 0
        for tenth in 0..<100 {
            let now = Moment(nanoseconds: Int64(tenth) * 100_000_000)
            while let frame = session.nextWrite(now: now) { sent += frame.readableBytes }
        }
        #expect((900_000...1_200_000).contains(sent))
    }
}
