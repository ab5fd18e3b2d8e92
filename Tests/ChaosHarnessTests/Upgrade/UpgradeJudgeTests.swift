import Foundation
import Testing

@testable import ChaosHarness

@Suite("Judging upgrades")
struct UpgradeJudgeTests {
    @Test("what lost nothing holds")
    func held() {
        let report = Course().judge()
        #expect(report.broken.isEmpty, "\(report.broken)")
        #expect(report.held)
        #expect(report.ends == ["finished": 4])
        #expect(report.requests == 30)
        #expect(report.text().contains("every promise held"))
    }

    /// One thing that went wrong, and what is to be said of it.
    enum Fault: CaseIterable {
        case reset, eof, corrupt, open, failed, timeout, noStreams
        case farCorrupt, farEof, farReset, farUnfinished
        case refused, unanswered, noRequests, earlyRequests, lateRequests
        case missingRound, complaint, sameProcess, otherID, anew, fewCarried, told, nothingOpen

        var complaint: String {
            switch self {
            case .reset: "3 of 4 streams got every byte"
            case .eof: "1 streams had an end that nobody had announced"
            case .corrupt: "1 streams had bytes lost, doubled"
            case .open: "1 streams never ended"
            case .failed: "1 streams got no connection"
            case .timeout: "1 streams never opened"
            case .noStreams: "there were no streams"
            case .farCorrupt: "the far ends found wrong bytes in 1 streams"
            case .farEof: "the far ends saw 1 streams end unannounced"
            case .farReset: "the far ends saw 1 streams reset"
            case .farUnfinished: "4 streams ended in order at this end, 3 at the far ends"
            case .refused: "1 new connections were refused"
            case .unanswered: "1 of 30 new connections failed"
            case .noRequests: "no new connection was tried"
            case .earlyRequests: "no connection began after the rounds"
            case .lateRequests: "no connection began before the rounds"
            case .missingRound: "1 of 2 rounds took place"
            case .complaint: "round 2, server: it says no"
            case .sameProcess: "round 2, server: the same process went on"
            case .otherID: "round 2, server: the process has another id"
            case .anew: "round 2, server: nothing was handed over"
            case .fewCarried: "round 2, server: 3 connections went on, 4 streams were open"
            case .told: "round 2, server: 1 connections were reset"
            case .nothingOpen: "round 1, server: no stream was open any more"
            }
        }
    }

    @Test("whatever else happened is broken, and said", arguments: Fault.allCases)
    func broken(_ fault: Fault) {
        var course = Course()
        course.meet(fault)
        let report = course.judge()
        #expect(report.broken.contains { $0.hasPrefix(fault.complaint) }, "\(report.broken)")
        #expect(!report.held)
        #expect(report.text().contains("BROKEN: \(fault.complaint)"))
    }

    @Test("more connections than the carrier takes may be reset if that is told, and only so")
    func limit() {
        var course = Course()
        course.plan.limit = 102
        course.streams = (0..<150).map { Course.stream($0, $0 < 60 ? .finished : .reset, at: $0 < 60 ? nil : 2_100) }
        course.farEnds.finished = 60
        course.farEnds.reset = 90
        course.rounds[0].lost = 90
        course.rounds[0].carried = 60
        course.rounds[1].carried = 60
        #expect(course.judge().held, "\(course.judge().broken)")

        var untold = course
        untold.rounds[0].lost = 89
        #expect(untold.judge().broken == ["90 streams were reset, 89 connections were told of"])

        var fewer = course
        fewer.streams = (0..<150).map { Course.stream($0, $0 < 1 ? .finished : .reset, at: $0 < 1 ? nil : 2_100) }
        fewer.farEnds.finished = 1
        fewer.rounds[0].lost = 149
        #expect(fewer.judge().broken == ["1 of 150 streams got every byte and ended in order"])

        var cut = course
        cut.streams[149] = Course.stream(149, .eof, at: 2_100)
        #expect(cut.judge().broken == ["1 streams had an end that nobody had announced"])

        var harmed = course
        harmed.streams[149] = Course.stream(149, .corrupt, at: 2_100)
        #expect(harmed.judge().broken == ["1 streams had bytes lost, doubled, reordered or changed"])
    }

    @Test("a limit above all connections allows no reset")
    func roomForAll() {
        var course = Course()
        course.plan.carrier = .restart
        for index in course.rounds.indices { course.rounds[index].pids = [1, 2] }
        #expect(course.judge().limit == 2_000 && course.judge().held)
        course.rounds[1].lost = 1
        #expect(course.judge().broken == ["round 2, server: 1 connections were reset"])
    }

    @Test("without a handover, rounds are judged by the traffic alone")
    func control() {
        var course = Course()
        course.plan.carrier = .kill
        for index in course.rounds.indices { course.rounds[index].carried = nil }
        #expect(course.judge().held)
        course.meet(.reset)
        #expect(!course.judge().held)
    }

    @Test("stalls and requests are those of the round in which they ended")
    func rounds() {
        var course = Course()
        course.stalls = [1, 2, 700, 4, 5, 6, 300, 8]
        course.requests[12].1 = 650
        course.bulk = StreamsReport(
            startedAtMs: 1_000, streams: [Course.stream(9, .finished)], stallsMs: [1, 60, 2, 3, 4, 90])
        course.farEnds.finished += 1
        for index in course.rounds.indices { course.rounds[index].carried = 5 }
        #expect(course.judge().held, "\(course.judge().broken)")
        let rounds = course.judge().rounds
        #expect(rounds.map(\.longestBulkStallMs) == [60, 90])
        #expect(rounds.map(\.longestStallMs) == [700, 300])
        #expect(rounds.map(\.slowestRequestMs) == [650, 5])
        #expect(rounds.map(\.openStreams) == [5, 5])
    }

    @Test("with several servers, only what goes through the replaced one has to be carried")
    func severalServers() {
        var course = Course()
        course.bulk = StreamsReport(startedAtMs: 0, streams: [Course.stream(9, .finished)])
        course.farEnds.finished += 1
        course.streams[0] = Course.stream(0, .finished, on: "two")
        course.rounds[1].server = "two"
        #expect(course.judge().rounds.map(\.openStreams) == [4, 1])
        course.rounds[1].server = nil
        #expect(course.judge().rounds.map(\.openStreams) == [4, 5])
    }

    @Test("the report can be read by programs")
    func json() throws {
        let object = try JSONSerialization.jsonObject(with: Course().judge().json()) as? [String: Any]
        #expect(object?["streams"] as? Int == 4)
        #expect((object?["rounds"] as? [[String: Any]])?.first?["carried"] as? Int == 4)
        #expect(object?["longest_stall_ms"] as? Double == 9)
    }

    @Test("the moments of upgrades come from the seed, around the pause")
    func moments() {
        var plan = UpgradePlan(programs: "", folder: "")
        let first = (0..<50).map { plan.pause(after: $0) }
        #expect(first == (0..<50).map { plan.pause(after: $0) })
        #expect(first.allSatisfy { $0 >= .milliseconds(1_500) && $0 < .milliseconds(2_500) } && Set(first).count > 25)
        plan.seed = 2
        #expect(first != (0..<50).map { plan.pause(after: $0) })
    }
}

/// Two rounds at 2 and 6 s, four streams through all of it, and a request every 300 ms.
private struct Course {
    var plan: UpgradePlan = {
        var plan = UpgradePlan(programs: "", folder: "")
        plan.times = 2
        return plan
    }()
    var rounds = [2_000.0, 6_000].map { began in
        var round = UpgradeReport.Round(who: "server", server: "one", beganMs: began, endedMs: began + 400)
        (round.carried, round.pids) = (4, [1, 1])
        return round
    }
    var streams = (0..<4).map { stream($0, .finished) }
    var stalls = [9.0]
    /// Through the mapped port of server one.
    var bulk = StreamsReport(startedAtMs: 0, streams: [])
    /// When each was due, what it took, and why it failed.
    var requests: [(Double, Double, String?)] = (0..<30).map { (Double($0) * 300, 5, nil) }
    var farEnds: BackendStats = {
        var stats = BackendStats()
        stats.finished = 4
        return stats
    }()

    static func stream(_ id: Int, _ end: StreamResult.End, at moment: Double? = nil, on server: String = "one") -> StreamResult {
        StreamResult(
            id: id, server: server, openedAtMs: 1, endedAtMs: end == .open ? nil : moment ?? 9_500, end: end, bytesUp: 10,
            bytesDown: 10, longestGapMs: 9, longestGapAtMs: 1, error: nil, harm: end == .corrupt ? "lost" : nil)
    }

    func judge() -> UpgradeReport {
        let results = self.requests.map { due, took, error in
            RequestResult(
                path: .forward, atMs: due, tookMs: took, connectedMs: error == "refused" ? nil : 1, tlsMs: 2, ok: error == nil,
                error: error, server: "one")
        }
        return UpgradeJudge(self.plan).judge(
            UpgradeEvidence(
                rounds: self.rounds, requests: RequestsReport(startedAtMs: 0, intervalMs: 300, requests: results),
                streams: [
                    .init(
                        StreamsReport(startedAtMs: 0, streams: self.streams, stallsMs: self.stalls), isBulk: false, through: nil),
                    .init(self.bulk, isBulk: true, through: "one"),
                ], farEnds: self.farEnds))
    }

    mutating func meet(_ fault: UpgradeJudgeTests.Fault) {
        switch fault {
        case .reset, .eof, .corrupt, .open, .failed, .timeout:
            let ends: [UpgradeJudgeTests.Fault: StreamResult.End] = [
                .reset: .reset, .eof: .eof, .corrupt: .corrupt, .open: .open, .failed: .failed, .timeout: .timeout,
            ]
            if let end = ends[fault] { self.streams[0] = Self.stream(0, end) }
            self.farEnds.finished = 3
        case .noStreams: self.streams = []
        case .farCorrupt: self.farEnds.corrupt = 1
        case .farEof: self.farEnds.eof = 1
        case .farReset: self.farEnds.reset = 1
        case .farUnfinished: self.farEnds.finished = 3
        case .refused: self.requests[9].2 = "refused"
        case .unanswered: self.requests[9].2 = "late"
        case .noRequests: self.requests = []
        case .earlyRequests: self.requests.removeLast(10)
        case .lateRequests: self.requests.removeFirst(10)
        case .missingRound: self.rounds.removeLast()
        case .complaint: self.rounds[1].problem = "it says no"
        case .sameProcess: self.rounds[1].isAnother = false
        case .otherID: self.rounds[1].pids = [1, 2]
        case .anew: self.rounds[1].carried = nil
        case .fewCarried: self.rounds[1].carried = 3
        case .told: self.rounds[1].lost = 1
        case .nothingOpen: self.streams = (0..<4).map { Self.stream($0, .finished, at: 1_000) }
        }
    }
}
