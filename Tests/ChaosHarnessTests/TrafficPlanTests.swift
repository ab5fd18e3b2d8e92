import Foundation
import NIOCore
import Synchronization
import Testing

@testable import ChaosHarness

@Suite("Plans and results of traffic")
struct TrafficPlanTests {
    @Test("requests alternate between the tunnel and the control, half an interval apart")
    func schedule() throws {
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        let plan = RequestsPlan(forward: address, control: address, interval: .milliseconds(10), duration: .milliseconds(25))
        #expect(plan.count == 6)
        #expect((0..<6).map { plan.due($0).nanoseconds / 1_000_000 } == [0, 5, 10, 15, 20, 25])
        #expect((0..<6).map(plan.path) == [.forward, .control, .forward, .control, .forward, .control])
    }

    @Test("streams finish spread over the range, the first and the last at its ends")
    func finishes() throws {
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        let plan = StreamsPlan(
            forward: address, count: 3, duration: .seconds(9), finishAfter: .seconds(5) ... .seconds(15), seed: 1)
        #expect((1...3).map(plan.finish) == [.seconds(5), .seconds(10), .seconds(15)])
        #expect(StreamsPlan(forward: address, count: 3, duration: .seconds(9), seed: 1).finish(2) == nil)
    }

    @Test("the longest gap is the longest time between two moments, with its begin")
    func gaps() {
        var meter = GapMeter()
        for moment in [100, 110, 150, 170, 190] { meter.note(.uptimeNanoseconds(UInt64(moment))) }
        #expect(meter.longest == .nanoseconds(40))
        #expect(meter.longestBegan == .uptimeNanoseconds(110))
    }

    @Test("an order to stop is obeyed once, whether it comes before the run or in it, and not after it")
    func stopOrder() {
        let calls = Mutex(0)
        let inTime = StopOrder()
        inTime.whenGiven { calls.withLock { $0 += 1 } }
        #expect(calls.withLock { $0 } == 0)
        inTime.give()
        inTime.give()
        #expect(calls.withLock { $0 } == 1)
        let early = StopOrder()
        early.give()
        early.whenGiven { calls.withLock { $0 += 1 } }
        #expect(calls.withLock { $0 } == 2)
        let late = StopOrder()
        late.whenGiven { calls.withLock { $0 += 1 } }
        late.forget()
        late.give()
        #expect(calls.withLock { $0 } == 2)
    }

    @Test("result files are snake case with every key, and can be read back")
    func files() throws {
        let request = RequestResult(
            path: .control, atMs: 5, tookMs: 1.5, connectedMs: nil, tlsMs: nil, ok: false, error: "why", server: nil)
        let requests = RequestsReport(startedAtMs: 1, intervalMs: 10, requests: [request])
        let stream = StreamResult(
            id: 1, server: nil, openedAtMs: nil, endedAtMs: 3, end: .failed, bytesUp: 0, bytesDown: 0, longestGapMs: 0,
            longestGapAtMs: nil, error: "refused")
        let streams = StreamsReport(startedAtMs: 1, streams: [stream], stallsMs: [0.5])
        #expect(
            try text(requests) == """
                {"interval_ms":10,"requests":[{"at_ms":5,"connected_ms":null,"error":"why","ok":false,"path":"control",\
                "server":null,"tls_ms":null,"took_ms":1.5}],"started_at_ms":1}
                """)
        #expect(
            try text(streams) == """
                {"stalls_ms":[0.5],"started_at_ms":1,"streams":[{"bytes_down":0,"bytes_up":0,"end":"failed","ended_at_ms":3,\
                "error":"refused","harm":null,"id":1,"longest_gap_at_ms":null,"longest_gap_ms":0,"opened_at_ms":null,\
                "server":null}]}
                """)
        #expect(try roundTrip(requests) == requests)
        #expect(try roundTrip(streams) == streams)
    }

    private func text(_ report: some Encodable) throws -> String {
        try onFile(report) { try String(contentsOf: $0, encoding: .utf8) }
    }

    private func roundTrip<Report: Codable>(_ report: Report) throws -> Report {
        try onFile(report) { try TrafficFile.read(Report.self, from: $0.path) }
    }

    private func onFile<Result>(_ report: some Encodable, _ body: (URL) throws -> Result) throws -> Result {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("traffic-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try TrafficFile.write(report, to: file.path)
        return try body(file)
    }
}
