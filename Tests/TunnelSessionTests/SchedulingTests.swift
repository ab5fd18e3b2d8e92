import NIOCore
import Testing
import Timing
import TunnelWire

@testable import TunnelSession

@Suite struct SchedulingTests {
    /// A dialer with open streams that have all the credit they could want; nothing is left to send.
    private func dialer(
        streams count: Int, _ change: (inout SessionConfiguration) -> Void = { _ in }
    ) throws -> (Session, [StreamID]) {
        var session = try Session.attached(.dialer, change)
        let ids = try (0..<count).map { _ in try session.open(.test) }
        _ = session.frames()
        for id in ids { try session.take(Peer.accepted(id), Peer.opened(id), Peer.credit(id, 1 << 30)) }
        return (session, ids)
    }

    /// Payload bytes per stream of the DATA frames.
    private func bytes(_ frames: [ByteBuffer]) -> [StreamID: Int] {
        frames.reduce(into: [:]) { sums, frame in
            let header = FrameHeader(packed: frame.getInteger(at: frame.readerIndex, as: UInt64.self) ?? 0)
            if header.type == .data { sums[header.stream, default: 0] += header.length }
        }
    }

    @Test func aloneAFrameMayBeLarge() throws {
        var (session, ids) = try self.dialer(streams: 2)
        session.send(ids[0], .zeros(100_000))
        #expect(session.labels() == ["DATA 1 65528", "DATA 1 34472"])
    }

    @Test func inCompanyAFrameIsAQuantum() throws {
        var (session, ids) = try self.dialer(streams: 2)
        for id in ids { session.send(id, .zeros(40_000)) }
        #expect(session.labels(most: 4) == ["DATA 1 16376", "DATA 3 16376", "DATA 1 16376", "DATA 3 16376"])
    }

    /// Many buffers of very different sizes, always some of each waiting.
    @Test(arguments: [[100, 60_000], [1, 16_376, 65_536], [5000, 5000, 17_000], [16_377, 30_000, 200, 65_000]])
    func backloggedStreamsGetEqualShares(sizes: [Int]) throws {
        var (session, ids) = try self.dialer(streams: sizes.count)
        let quantum = session.configuration.quantum
        for (id, size) in zip(ids, sizes) {
            for _ in 0..<min(20_000, 400_000 / size + 1) { session.send(id, .zeros(size)) }
        }
        var sums: [StreamID: Int] = [:]
        for _ in 0..<20_000 {
            guard let frame = session.nextWrite(now: .start) else { break }
            sums.merge(self.bytes([frame])) { $0 + $1 }
            guard ids.allSatisfy({ session.streams[$0]?.outbound.isEmpty == false }) else { break }
            try session.take(LinkFrames.ack(session.sent))
            let shares = ids.map { sums[$0] ?? 0 }
            #expect((shares.max() ?? 0) - (shares.min() ?? 0) <= 2 * quantum)
        }
        #expect(ids.allSatisfy { sums[$0] ?? 0 > 10_000 })
    }

    @Test(arguments: [1, 5, 40])
    func oneByteWaitsForOneTurnOfEachOther(bulk: Int) throws {
        var (session, ids) = try self.dialer(streams: bulk + 1)
        for id in ids.dropLast() { for _ in 0..<4 { session.send(id, .zeros(60_000)) } }
        _ = session.frames(most: 7)
        let small = ids[bulk]
        for _ in 0..<3 {
            session.send(small, .zeros(1))
            var ahead: [ByteBuffer] = []
            while let frame = session.nextWrite(now: .start), label(frame) != "DATA \(small) 1" { ahead.append(frame) }
            // A turn is two frames where a buffer ends inside it.
            #expect(ahead.count <= 2 * bulk)
            for (id, bytes) in self.bytes(ahead) { #expect(bytes <= session.configuration.quantum * 5 / 4, "stream \(id)") }
        }
    }

    @Test func controlGoesFirst() throws {
        var (session, ids) = try self.dialer(streams: 3)
        for id in ids { session.send(id, .zeros(1000)) }
        session.reset(ids[2], .cancelled)
        session.send(.resumeWindow(ResumeWindow(milliseconds: 1)))
        let new = try session.open(.test)
        #expect(session.labels() == ["RESET 5", "RESUME_WINDOW", "OPEN \(new)", "DATA 1 1000", "DATA 3 1000"])
    }

    @Test func acknowledgementsGoBetweenFrames() throws {
        var (session, ids) = try self.dialer(streams: 1)
        session.send(ids[0], .zeros(40_000))
        session.send(ids[0], .zeros(40_000))
        #expect(session.labels(most: 1) == ["DATA 1 40000"])
        try session.take(LinkFrames.ping(1), Peer.data(1, 60_000), now: .ms(1))
        #expect(session.labels(now: .ms(21)) == ["ACK", "PONG", "DATA 1 40000"])
    }

    @Test func theRestOfACutFrameGoesBeforeEverything() throws {
        var (session, ids) = try self.dialer(streams: 1)
        session.send(ids[0], .zeros(100))
        let before = session.sent
        _ = session.frames()
        try session.take(Peer.data(1, 10))
        session.send(.resumeWindow(ResumeWindow(milliseconds: 1)))
        session.send(ids[0], .zeros(5))
        session.detach(now: .start)
        try session.attach(peerReceived: before + 50, now: .start)
        let next = session.nextWrite(now: .start)
        let first = try #require(next)
        #expect(first.readableBytes == 58 && first.bytes.allSatisfy { $0 == 0 })
        #expect(session.labels() == ["PING", "RESUME_WINDOW", "DATA 1 5"])
    }

    @Test func whatIsSentAgainGoesBeforeWhatIsNew() throws {
        var (session, ids) = try self.dialer(streams: 2)
        let before = session.sent
        for id in ids { session.send(id, .zeros(10)) }
        _ = session.frames()
        session.finish(ids[0])
        session.detach(now: .start)
        try session.attach(peerReceived: before, now: .start)
        #expect(session.labels() == ["PING", "DATA 1 10", "DATA 3 10", "FIN 1"])
        #expect(session.resumes == 1 && session.replayedBytes == 36)
    }

    @Test func withoutALinkNothingIsSentOrRead() throws {
        var (session, ids) = try self.dialer(streams: 1)
        session.detach(now: .start)
        session.send(ids[0], .zeros(10))
        #expect(session.labels() == [] && session.nextHungry() == nil)
    }

    @Test func aSourceIsAskedOncePerBuffer() throws {
        var (session, ids) = try self.dialer(streams: 2)
        #expect(session.allHungry() == ids && session.allHungry() == [])
        session.send(ids[0], .zeros(100_000))
        #expect(session.labels(most: 1) == ["DATA 1 65528"])
        #expect(session.allHungry() == [], "asked although bytes are left")
        _ = session.frames()
        #expect(session.allHungry() == [ids[0]])
    }

    @Test func withoutCreditNothingIsRead() throws {
        var session = try Session.attached(.dialer)
        let id = try session.open(.test)
        _ = session.frames()
        try session.take(Peer.accepted(id), Peer.opened(id))
        #expect(session.allHungry() == [id])
        session.send(id, .zeros(65_536))
        #expect(session.labels() == ["DATA 1 65528", "DATA 1 8"])
        #expect(session.allHungry() == [])
        try session.take(Peer.credit(id, 10))
        #expect(session.allHungry() == [id])
        session.send(id, .zeros(20))
        #expect(session.labels() == ["DATA 1 10"])
    }

    @Test func aFullReplayBufferHoldsDataButNotControl() throws {
        var (session, ids) = try self.dialer(streams: 3) { $0.replayBuffer = 16_000 }
        try session.take(LinkFrames.ack(session.sent))
        for id in ids { session.send(id, .zeros(20_000)) }
        session.send(ids[0], .zeros(20_000))
        #expect(session.labels() == ["DATA 1 16376"])
        #expect(session.allHungry() == [])
        try session.take(Peer.data(3, 60_000), Peer.data(5, 1))
        session.consumed(ids[1], 60_000)
        session.reset(ids[2], .cancelled)
        session.finish(ids[1])
        #expect(session.labels() == ["ACK", "RESET 5", "CREDIT 3"])
        try session.take(LinkFrames.ack(session.sent))
        #expect(session.labels(most: 1) == ["DATA 3 16376"])
    }

    @Test func finDoesNotWaitForTheReplayBuffer() throws {
        var (session, ids) = try self.dialer(streams: 2) { $0.replayBuffer = 1 }
        try session.take(LinkFrames.ack(session.sent))
        session.send(ids[0], .zeros(20_000))
        #expect(session.labels() == ["ACK", "DATA 1 20000"])
        session.finish(ids[1])
        session.finish(ids[0])
        #expect(session.labels() == ["FIN 3", "FIN 1"])
    }

    /// A bucket that is open again asks for no timer, even if the link takes nothing.
    @Test func bandwidthAndAFullLinkKeepNoTimerBusy() throws {
        var (session, ids) = try self.dialer(streams: 2) { $0.bandwidth = 100_000 }
        for id in ids { for _ in 0..<4 { session.send(id, .zeros(60_000)) } }
        try session.take(Peer.data(ids[0], 60_000))
        _ = session.frames()
        session.consumed(ids[0], 60_000)
        var now = Moment.start
        for _ in 0..<20 {
            guard let next = session.nextTimer else { break }
            #expect(next > now)
            now = next
            guard session.onTimer(now: now) == nil else { return }
        }
        Issue.record("the silent link was not found within twenty timers")
    }

    @Test func bandwidthIsKept() throws {
        var (session, ids) = try self.dialer(streams: 1) { $0.bandwidth = 1_000_000 }
        var sent = 0
        for moment in 0...1000 {
            if session.streams[ids[0]]?.outbound.isEmpty == true { session.send(ids[0], .zeros(10_000)) }
            for frame in session.frames(now: .ms(moment)) { sent += self.bytes([frame])[ids[0]] ?? 0 }
            try session.take(LinkFrames.ack(session.sent), now: .ms(moment))
        }
        #expect(sent >= 990_000 && sent <= 1_000_000 + 100_000 + 10_000)
    }
}
