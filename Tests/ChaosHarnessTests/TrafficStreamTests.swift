import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import ChaosHarness

@Suite("Streams and the pattern server")
struct TrafficStreamTests {
    /// Faster than a real run, so that a test is short.
    private static let pace = PatternPace(chunk: 1024, interval: .milliseconds(10))

    @Test("streams that finish have every byte, at both ends")
    func finished() async throws {
        try await withBackend("one", pace: Self.pace) { backend in
            let opened = Mutex<[Int]>([])
            let traffic = StreamTraffic(
                plan(backend.patternAddress, count: 20, finishAfter: .milliseconds(50) ... .milliseconds(200)))
            let report = try await traffic.run { count in opened.withLock { $0.append(count) } }
            #expect(opened.withLock { $0 } == [20])
            #expect(report.streams.map(\.id) == Array(1...20))
            for stream in report.streams {
                #expect(stream.end == .finished && stream.server == "one", "\(stream)")
                #expect(stream.openedAtMs != nil && stream.endedAtMs != nil && stream.error == nil)
                #expect(stream.bytesUp > 0 && stream.bytesDown > 0)
            }
            try await until { backend.stats.finished == 20 }
            #expect(backend.stats.patternStreams == 20)
            #expect(backend.stats.corrupt + backend.stats.reset + backend.stats.eof == 0)
        }
    }

    @Test("streams that run at the end are open, and their last gap counts")
    func open() async throws {
        // Nothing comes after the greeting.
        let pace = PatternPace(chunk: 8, interval: .hours(1))
        try await withBackend("one", pace: pace) { backend in
            let traffic = StreamTraffic(plan(backend.patternAddress, count: 3, pace: pace))
            let report = try await traffic.run { _ in traffic.stop() }
            for stream in report.streams {
                #expect(stream.end == .open && stream.endedAtMs == nil && stream.error == nil, "\(stream)")
                #expect(stream.openedAtMs != nil && stream.longestGapAtMs == stream.openedAtMs)
            }
            #expect(report.streams.contains { $0.longestGapMs > 0 })
        }
    }

    @Test("streams that are open at the end finish if they are to, and have every byte at both ends")
    func finishedAtEnd() async throws {
        try await withBackend("one", pace: Self.pace) { backend in
            let traffic = StreamTraffic(plan(backend.patternAddress, count: 20, finishesAtEnd: true))
            let report = try await traffic.run { _ in traffic.stop() }
            #expect(report.streams.allSatisfy { $0.end == .finished && $0.endedAtMs != nil }, "\(report.streams)")
            try await until { backend.stats.finished == 20 }
            #expect(backend.stats.corrupt + backend.stats.reset + backend.stats.eof == 0)
        }
    }

    @Test("the other end sends at the pace that it is asked for")
    func askedPace() async throws {
        try await withBackend("one", pace: PatternPace(chunk: 8, interval: .hours(1))) { backend in
            let traffic = StreamTraffic(
                plan(backend.patternAddress, count: 1, finishAfter: .seconds(1) ... .seconds(1), isPaceForBoth: true))
            let streams = try await traffic.run().streams
            // One write of the backend's own pace would be 8 bytes.
            #expect(streams.allSatisfy { $0.end == .finished && $0.bytesDown > 1_000 }, "\(streams)")
        }
    }

    @Test("stalls are kept by the second in which they ended")
    func stalls() {
        var record = StallRecord()
        #expect(record.milliseconds.isEmpty)
        record.note(.milliseconds(20), at: .milliseconds(2_500))
        record.note(.milliseconds(30), at: .milliseconds(2_900))
        record.note(.milliseconds(10), at: .milliseconds(2_950))
        record.note(.milliseconds(5), at: .milliseconds(100))
        #expect(record.milliseconds == [5, 0, 30])
        record.note(.milliseconds(1), at: .hours(1_000))
        #expect(record.milliseconds.count == StallRecord.secondLimit)
    }

    @Test(
        "a relay that harms the bytes down is found, where it harms them, and what it did",
        arguments: [
            (Tampering.flip(at: 5000), 5000, "changed"), (.lose(at: 5000, count: 8), 5000, "lost"),
            (.repeat(at: 5000, count: 8), 5008, "doubled"),
        ])
    func harmedDown(_ tampering: Tampering, place: Int, harm: String) async throws {
        let (streams, stats) = try await run(down: tampering)
        #expect(streams.allSatisfy { $0.harm == harm }, "\(streams)")
        let offset = place - "pattern one\n".utf8.count
        for stream in streams {
            #expect(stream.end == .corrupt)
            #expect(stream.error?.hasPrefix("byte \(offset) is ") == true, "\(stream.error ?? "")")
            #expect(stream.bytesDown == UInt64(offset))
        }
        #expect(stats.corrupt == 0)
    }

    @Test(
        "a relay that harms the bytes up is found by the backend, which resets",
        arguments: [Tampering.flip(at: 5000), .lose(at: 5000, count: 1), .repeat(at: 5000, count: 1)])
    func harmedUp(_ tampering: Tampering) async throws {
        let (streams, stats) = try await run(up: tampering)
        #expect(streams.allSatisfy { $0.end == .reset }, "\(streams)")
        #expect(stats.corrupt == streams.count)
        #expect(stats.harms.values.reduce(0, +) == streams.count && stats.harms["unknown"] == nil, "\(stats.harms)")
    }

    @Test("an end that was not announced is no end in order")
    func unexpectedEnd() async throws {
        let (streams, _) = try await run(down: .end(at: 5000))
        #expect(streams.allSatisfy { $0.end == .eof && $0.bytesDown > 0 }, "\(streams)")
    }

    @Test("an unannounced end is seen while a stream waits for the answer to its own")
    func unexpectedEndAfterFinish() async throws {
        // The backend's trailer is lost, its FIN is not.
        try await withBackend("one", pace: PatternPace(chunk: 8, interval: .hours(1))) { backend in
            try await withRelay(to: backend.patternAddress, down: .end(at: "pattern one\n".utf8.count)) { relay in
                let report = try await StreamTraffic(
                    plan(
                        relay, count: 1, finishAfter: .milliseconds(1) ... .milliseconds(1),
                        pace: PatternPace(chunk: 8, interval: .hours(1)))
                ).run()
                #expect(report.streams.map(\.end) == [.eof])
            }
        }
    }

    @Test("a reset is a reset")
    func reset() async throws {
        let (streams, _) = try await run(down: .reset(at: 5000))
        #expect(streams.allSatisfy { $0.end == .reset && $0.error == "connection reset" }, "\(streams)")
    }

    @Test("a backend that stops resets its streams")
    func backendStops() async throws {
        let backend = try await Backend.start(name: "one", https: loopback(), pattern: loopback(), pace: Self.pace)
        let traffic = StreamTraffic(plan(backend.patternAddress, count: 5))
        let (opened, announce) = AsyncStream<Int>.makeStream()
        async let report = traffic.run { announce.yield($0) }
        for await count in opened {
            #expect(count == 5)
            break
        }
        try await backend.stop()
        #expect(try await report.streams.map(\.end) == Array(repeating: .reset, count: 5))
    }

    @Test("streams that never open are told apart: no connection, or nothing came back")
    func neverOpened() async throws {
        let silent = try await Listener.start { _ in }
        let late = try await StreamTraffic(plan(silent.address, count: 2, openLimit: .milliseconds(200))).run()
        #expect(late.streams.allSatisfy { $0.end == .timeout && $0.openedAtMs == nil && $0.endedAtMs != nil })
        try await silent.stop()
        let opened = Mutex<[Int]>([])
        let refused = try await StreamTraffic(plan(refusedAddress(), count: 2)).run { count in
            opened.withLock { $0.append(count) }
        }
        #expect(refused.streams.allSatisfy { $0.end == .failed && $0.error == "connection refused" })
        #expect(opened.withLock { $0 } == [0])
    }

    @Test("what connects without introducing itself is no stream")
    func healthCheck() async throws {
        try await withBackend("one", pace: Self.pace) { backend in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(to: backend.patternAddress).get()
            try await channel.close()
            try await until { backend.stats.patternConnections == 1 }
            #expect(backend.stats.patternStreams == 0)
        }
    }

    // MARK: Helpers

    /// Three streams through a relay that harms each of them in the same way, and what the backend counted.
    private func run(
        up: Tampering = .none, down: Tampering = .none
    ) async throws -> (streams: [StreamResult], stats: BackendStats) {
        try await withBackend("one", pace: Self.pace) { backend in
            try await withRelay(to: backend.patternAddress, up: up, down: down) { relay in
                let report = try await StreamTraffic(plan(relay, count: 3)).run()
                try await until {
                    let stats = backend.stats
                    return stats.finished + stats.corrupt + stats.reset + stats.eof == 3
                }
                return (report.streams, backend.stats)
            }
        }
    }

    private func plan(
        _ address: SocketAddress, count: Int, finishAfter: ClosedRange<TimeAmount>? = nil, openLimit: TimeAmount = .seconds(20),
        pace: PatternPace = Self.pace, isPaceForBoth: Bool = false, finishesAtEnd: Bool = false
    ) -> StreamsPlan {
        StreamsPlan(
            forward: address, count: count, duration: .seconds(60), finishAfter: finishAfter, openLimit: openLimit, pace: pace,
            isPaceForBoth: isPaceForBoth, finishesAtEnd: finishesAtEnd, seed: 42)
    }
}
