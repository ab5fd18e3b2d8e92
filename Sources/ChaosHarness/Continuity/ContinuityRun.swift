import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Runs one scenario on a stage of its own and judges it.
package struct ContinuityRun: Sendable {
    package var programs: String
    package var folder: String
    package var streams = 100

    /// What came of a scenario.
    package struct Outcome: Sendable, Codable {
        package var name: String
        package var title: String
        package var judgement: Judgement
        /// How often the machine was too slow to judge by, before.
        package var voided: Int
        /// Where the logs and raw figures are.
        package var folder: String
    }

    package init(programs: String, folder: String) {
        self.programs = programs
        self.folder = folder
    }

    /// - Parameter say: told what happens, for people who watch.
    package func run(_ scenario: ContinuityScenario, say: @Sendable (String) -> Void) async throws -> Outcome {
        var voided = 0
        while true {
            let place = "\(self.folder)/\(scenario.name)" + (voided == 0 ? "" : "-\(voided + 1)")
            let judgement = try await self.once(scenario, in: place, say: say)
            if judgement.isVoid, voided < 2 {
                voided += 1
                say("the machine was busy: the control took \(Int(judgement.controlSlowest)) ms; once more")
                continue
            }
            return Outcome(name: scenario.name, title: scenario.title, judgement: judgement, voided: voided, folder: place)
        }
    }

    private func once(
        _ scenario: ContinuityScenario, in folder: String, say: @Sendable (String) -> Void
    ) async throws -> Judgement {
        var plan = Stage.Plan(programs: self.programs, folder: folder)
        scenario.prepare(&plan)
        say("starts \(plan.servers) servers and a client")
        let stage = try await Stage.raise(plan)
        do {
            let judgement = try await self.rehearse(scenario, stage, say: say)
            await stage.strike()
            return judgement
        } catch {
            await stage.strikeAnyway()
            throw error
        }
    }

    private func rehearse(
        _ scenario: ContinuityScenario, _ stage: Stage, say: @Sendable (String) -> Void
    ) async throws -> Judgement {
        let hasStreams = scenario.promise.streams != .none
        if hasStreams {
            say("opens \(self.streams) long streams, half of them on another server")
            try await self.openStreams("streams-1", count: self.streams / 2, finishAfter: nil, stage)
            try await stage.move()
            try await self.openStreams(
                "streams-2", count: self.streams - self.streams / 2, finishAfter: scenario.finishAfter, stage)
        }
        let seconds = Int(scenario.duration.components.seconds)
        try await stage.traffic(
            "requests",
            [
                "requests", "--forward", "127.0.0.1:\(stage.apiserverPort)", "--control", "127.0.0.1:\(stage.controlPort)",
                "--duration", "\(seconds)s",
            ], until: "started")
        let before = min(5.0, Double(seconds) / 4)
        try await Task.sleep(for: .seconds(before))
        let struck = try await stage.active()
        say("strikes \(struck.name)")
        let began = TrafficClock.now()
        let there = MutexBox(began)
        try await scenario.fault(stage, struck) { there.with { $0 = TrafficClock.now() } }
        guard await stage.cast["requests"]?.waitForEnd(within: .seconds(seconds + 15)) == true else {
            throw StageError("the requests did not end; see \(stage.plan.folder)")
        }
        let parts = hasStreams ? ["streams-1", "streams-2"] : []
        for part in parts { stage.cast[part]?.signal(SIGTERM) }
        for part in parts { _ = await stage.cast[part]?.waitForEnd(within: .seconds(10)) }
        let judge = ContinuityJudge(scenario.promise, struck: struck.name, fault: began...there.with { $0 })
        return try await self.judge(scenario, stage, judge, parts)
    }

    private func judge(
        _ scenario: ContinuityScenario, _ stage: Stage, _ judge: ContinuityJudge, _ parts: [String]
    ) async throws -> Judgement {
        let requests: RequestsReport = try stage.read("requests")
        let streams: [StreamsReport] = try parts.map { try stage.read($0) }
        let corrupt = try stage.places.reduce(0) { $0 + (try stage.stats(of: $1)).corrupt }
        var judgement = judge.judge(requests, streams, corrupt: corrupt)
        if let problem = try await scenario.check?(stage, requests) { judgement.broken.append(problem) }
        return judgement
    }

    private func openStreams(_ name: String, count: Int, finishAfter: String?, _ stage: Stage) async throws {
        var arguments = [
            "streams", "--forward", "127.0.0.1:\(stage.patternPort)", "--count", "\(count)", "--duration", "120s",
        ]
        if let finishAfter { arguments += ["--finish-after", finishAfter] }
        try await stage.traffic(name, arguments, until: "opened")
    }
}
