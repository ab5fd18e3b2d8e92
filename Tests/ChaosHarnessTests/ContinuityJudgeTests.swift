import Testing

@testable import ChaosHarness

@Suite("The judge of continuity")
struct ContinuityJudgeTests {
    @Test("a run in which everything holds is held")
    func held() {
        let judgement = Judged().judgement
        #expect(judgement.held && !judgement.isVoid)
        #expect(judgement.requests == 200)
        #expect(judgement.failed == 0)
        #expect(judgement.median == 5)
        #expect(judgement.struck == ["reset": 2])
        #expect(judgement.others == ["open": 2])
        #expect(judgement.lastReset == 300)
    }

    // MARK: Requests

    @Test("one failed request breaks the promise, and says when and why")
    func failedRequest() {
        var judged = Judged()
        judged.requests[150] = .request(at: 1_500, took: 20, error: "reset")
        #expect(judged.judgement.broken == ["1 new connections failed"])
        #expect(judged.judgement.failures == ["at 1500 ms: reset"])
    }

    @Test("a request under way at the fault counts only where the promise says so", arguments: [true, false])
    func underWay(counts: Bool) {
        var judged = Judged()
        judged.promise.countsRequestsUnderWay = counts
        judged.requests[99] = .request(at: 990, took: 15, error: "reset")
        #expect(judged.judgement.held == !counts)
        #expect(judged.judgement.underWay == 1)
        #expect(judged.judgement.underWayFailed == 1)
    }

    @Test("a request that was over before the fault, or began after it, is never excused", arguments: [50, 101])
    func notUnderWay(number: Int) {
        var judged = Judged()
        judged.requests[number] = .request(at: Double(number) * 10, took: 5, error: "reset")
        #expect(!judged.judgement.held)
    }

    @Test("while a fault comes about, requests are under way")
    func faultTakesTime() {
        var judged = Judged()
        judged.fault = 51_000...51_015
        judged.requests[101] = .request(at: 1_010, took: 5, error: "reset")
        #expect(judged.judgement.held)
        judged.requests[102] = .request(at: 1_020, took: 5, error: "reset")
        #expect(judged.judgement.failed == 1)
    }

    @Test("the slowest may take the median, the limit and the control's slowest, and no more", arguments: [64.0, 66.0])
    func overMedian(took: Double) {
        var judged = Judged()
        judged.requests[120] = .request(at: 1_200, took: took)
        judged.controls[3] = .request(.control, at: 30, took: 10)
        #expect(judged.judgement.allowed == 65)
        #expect(judged.judgement.held == (took < 65))
    }

    @Test("an absolute limit does not depend on the median", arguments: [305.0, 307.0])
    func absolute(took: Double) {
        var judged = Judged()
        judged.promise.slowest = .absolute(300)
        judged.requests[120] = .request(at: 1_200, took: took)
        judged.controls[3] = .request(.control, at: 30, took: 6)
        #expect(judged.judgement.allowed == 306)
        #expect(judged.judgement.held == (took < 306))
    }

    @Test("where no time is promised, a held connection may take long, but not fail")
    func anything() {
        var judged = Judged()
        judged.promise.slowest = .anything
        judged.requests[120] = .request(at: 1_200, took: 4_900)
        #expect(judged.judgement.held)
        #expect(judged.judgement.slowest == 4_900)
    }

    @Test("a control over 100 ms, or one that failed, voids the run")
    func void() {
        var judged = Judged()
        judged.controls[3] = .request(.control, at: 30, took: 101)
        #expect(judged.judgement.isVoid)
        judged.controls[3] = .request(.control, at: 30, took: 5, error: "refused")
        #expect(judged.judgement.isVoid)
        judged.controls[3] = .request(.control, at: 30, took: 99)
        #expect(!judged.judgement.isVoid)
    }

    @Test("no requests at all are no success")
    func noRequests() {
        var judged = Judged()
        judged.requests = []
        #expect(judged.judgement.broken.contains("no request was made"))
    }

    // MARK: Streams

    @Test("a stream whose bytes were wrong breaks every promise, wherever it was")
    func corrupt() {
        for promise in Judged.streamPromises {
            for place in 0...3 {
                var judged = Judged()
                judged.promise.streams = promise
                judged.streams[place] = .stream(place + 1, on: judged.streams[place].server ?? "", .corrupt, at: 1_200)
                #expect(judged.judgement.broken.contains { $0.contains("wrong bytes") }, "\(promise), \(place)")
            }
        }
    }

    @Test("wrong bytes that only a backend found count too")
    func corruptUp() {
        var judged = Judged()
        judged.corrupt = 1
        #expect(judged.judgement.broken == ["1 streams with wrong bytes, found by the backends"])
    }

    @Test("a stream on another server must be untouched, whatever is promised to those that were struck")
    func others() {
        for promise in Judged.streamPromises {
            for end in [StreamResult.End.reset, .eof, .timeout, .failed] {
                var judged = Judged()
                judged.promise.streams = promise
                judged.streams[3] = .stream(4, on: "b", end, at: 1_200)
                #expect(judged.judgement.broken.contains { $0.hasPrefix("stream 4 ") }, "\(promise), \(end)")
            }
        }
    }

    @Test("a reset must come in time", arguments: [(1_999.0, true), (2_001.0, false)])
    func resetInTime(at: Double, holds: Bool) {
        var judged = Judged()
        judged.streams[0] = .stream(1, on: "a", .reset, at: at)
        #expect(judged.judgement.held == holds)
        judged.promise.streams = .surviveOrEndWithin(1_000)
        #expect(judged.judgement.held == holds)
    }

    @Test("a reset before the fault is no effect of it")
    func resetTooEarly() {
        var judged = Judged()
        judged.streams[0] = .stream(1, on: "a", .reset, at: 900)
        #expect(!judged.judgement.held)
    }

    @Test("a stream that silently stays open where it must be reset is found")
    func stalled() {
        var judged = Judged()
        judged.streams[0] = .stream(1, on: "a", .open)
        #expect(judged.judgement.broken.contains { $0.contains("goes on, although") })
    }

    @Test("an unannounced end passes for a reset only where the backend itself died")
    func endings() {
        var judged = Judged()
        judged.streams[0] = .stream(1, on: "a", .eof, at: 1_200)
        #expect(!judged.judgement.held)
        judged.promise.streams = .endWithin(1_000)
        #expect(judged.judgement.held)
    }

    @Test("where all must survive, a reset is found")
    func survive() {
        var judged = Judged()
        judged.promise.streams = .allSurvive
        #expect(judged.judgement.broken.count == 2)
        judged.streams = judged.streams.map { .stream($0.id, on: $0.server ?? "", .open) }
        #expect(judged.judgement.held)
    }

    @Test("a drained stream finishes or is reset at the deadline, not before", arguments: [(10_900.0, true), (5_000.0, false)])
    func drain(at: Double, holds: Bool) {
        var judged = Judged()
        judged.promise.streams = .finishOrMeetDeadline(9_500)
        judged.streams[0] = .stream(1, on: "a", .finished, at: 4_000)
        judged.streams[1] = .stream(2, on: "a", .reset, at: at)
        #expect(judged.judgement.held == holds)
    }

    // MARK: Rehearsals of nothing

    @Test("a fault that struck no stream, or left none elsewhere, proves nothing")
    func nobodyStruck() {
        var judged = Judged()
        judged.streams = (1...4).map { .stream($0, on: "b", .open) }
        #expect(judged.judgement.broken == ["no long stream was on a: nothing was rehearsed"])
        judged.streams = (1...4).map { .stream($0, on: "a", .reset, at: 1_300) }
        #expect(judged.judgement.broken == ["all long streams were on a: nothing was rehearsed"])
    }

    @Test("a fault of a server that answered nobody proves nothing")
    func wrongServer() {
        var judged = Judged()
        judged.requests = judged.requests.map { .request(at: $0.atMs, took: 5, server: "b") }
        #expect(judged.judgement.broken == ["a answered no request before the fault: nothing was rehearsed"])
    }

    @Test("requests that end before the fault prove nothing")
    func endedEarly() {
        var judged = Judged()
        judged.requests = Array(judged.requests.prefix(90))
        #expect(judged.judgement.broken == ["no request was made after the fault"])
    }
}

/// A run that holds, to be spoilt: a fault of server `a` at 1 s, requests each 10 ms for 2 s, two streams on `a` that
/// were reset 300 ms later, two on `b` that go on.
private struct Judged {
    static let streamPromises: [ContinuityPromise.StruckStreams] = [
        .allSurvive, .resetWithin(1_000), .endWithin(1_000), .surviveOrEndWithin(1_000), .finishOrMeetDeadline(0), .anything,
    ]

    var promise = ContinuityPromise(.overMedian(50), .resetWithin(1_000), countsRequestsUnderWay: false)
    var requests = (0..<200).map { RequestResult.request(at: Double($0) * 10, took: 5, server: $0 < 100 ? "a" : "b") }
    var controls = (0..<200).map { RequestResult.request(.control, at: Double($0) * 10 + 5, took: 1) }
    var streams: [StreamResult] = [
        .stream(1, on: "a", .reset, at: 1_250), .stream(2, on: "a", .reset, at: 1_300), .stream(3, on: "b", .open),
        .stream(4, on: "b", .open),
    ]
    var corrupt = 0
    var fault = 51_000.0...51_000.0

    var judgement: Judgement {
        // The reports began at different moments of the common clock.
        ContinuityJudge(self.promise, struck: "a", fault: self.fault).judge(
            RequestsReport(startedAtMs: 50_000, intervalMs: 10, requests: self.requests + self.controls),
            [StreamsReport(startedAtMs: 50_000, streams: self.streams)], corrupt: self.corrupt)
    }
}

extension RequestResult {
    fileprivate static func request(
        _ path: Path = .forward, at: Double, took: Double, error: String? = nil, server: String? = "a"
    ) -> RequestResult {
        RequestResult(
            path: path, atMs: at, tookMs: took, connectedMs: 1, tlsMs: 2, ok: error == nil, error: error,
            server: error == nil ? server : nil)
    }
}

extension StreamResult {
    fileprivate static func stream(_ id: Int, on server: String, _ end: End, at: Double? = nil) -> StreamResult {
        StreamResult(
            id: id, server: server, openedAtMs: 1, endedAtMs: at, end: end, bytesUp: 1, bytesDown: 1, longestGapMs: 1,
            longestGapAtMs: 1, error: nil)
    }
}
