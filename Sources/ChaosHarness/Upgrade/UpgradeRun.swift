import Admin
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Puts new processes in the place of old ones while traffic flows, and accounts for every byte.
package struct UpgradeRun: Sendable {
    private let plan: UpgradePlan

    package init(_ plan: UpgradePlan) { self.plan = plan }

    /// - Parameter say: told what happens, for people who watch.
    package func run(say: @escaping @Sendable (String) -> Void) async throws -> UpgradeReport {
        var stagePlan = Stage.Plan(programs: self.plan.programs, folder: self.plan.folder)
        stagePlan.servers = 1
        stagePlan.hasMappedPort = true
        // All streams together at a rate that two processors bear with ease.
        stagePlan.patternInterval = max(125, self.plan.streams / 4)
        stagePlan.isUnderSystemd = self.plan.carrier == .restart
        say("starts a server and a client")
        let stage = try await Stage.raise(stagePlan)
        do {
            let report = try await self.rehearse(stage, say)
            await stage.strike()
            return report
        } catch {
            await stage.strikeAnyway()
            throw error
        }
    }

    private func rehearse(_ stage: Stage, _ say: @escaping @Sendable (String) -> Void) async throws -> UpgradeReport {
        let rounds = self.plan.times * (self.plan.who == .both ? 2 : 1)
        let seconds = Int(Double(rounds) * (self.plan.pause.seconds + 3)) + 60 + self.plan.streams / 100
        say("opens \(self.plan.streams) streams, half of them through a mapped port")
        let half = self.plan.streams / 2
        try await self.openStreams("streams-1", stage.patternPort, half, seconds, stage)
        try await self.openStreams("streams-2", stage.mappedPort, self.plan.streams - half, seconds, stage)
        try await stage.traffic(
            "requests",
            [
                "requests", "--forward", "127.0.0.1:\(stage.apiserverPort)", "--control", "127.0.0.1:\(stage.controlPort)",
                "--duration", "\(seconds)s",
            ], until: "started")
        try await Task.sleep(for: self.plan.pause)
        var done: [UpgradeReport.Round] = []
        for number in 1...max(1, self.plan.times) {
            for who in self.plan.who.parts {
                let round = try await self.replace(who, stage)
                say("\(number) of \(self.plan.times): \(who): \(round.carried) carried, \(round.lost) reset")
                done.append(round)
                try await Task.sleep(for: self.plan.pause)
            }
        }
        for name in ["requests", "streams-1", "streams-2"] { stage.cast[name]?.signal(SIGTERM) }
        for name in ["requests", "streams-1", "streams-2"] {
            guard await stage.cast[name]?.waitForEnd(within: .seconds(20)) == true else {
                throw StageError("\(name) did not end; see \(stage.plan.folder)")
            }
        }
        return try self.report(done, stage)
    }

    private func openStreams(_ name: String, _ port: Int, _ count: Int, _ seconds: Int, _ stage: Stage) async throws {
        try await stage.traffic(
            name,
            [
                "streams", "--forward", "127.0.0.1:\(port)", "--count", "\(count)", "--duration", "\(seconds)s",
                "--interval", "\(stage.plan.patternInterval)ms",
            ], until: "opened")
    }

    // MARK: One process for another

    private func replace(_ who: String, _ stage: Stage) async throws -> UpgradeReport.Round {
        let socket = who == "server" ? stage.places[0].socket : stage.clientSocket
        let began = ContinuousClock.now
        switch self.plan.carrier {
        case .exec: try Shell.run([stage.program("gotunnelctl"), "upgrade", "--socket", socket], mayFail: true)
        case .restart: try ServiceStage.restart(who == "server" ? .server : .client)
        case .kill:
            let name = who == "server" ? stage.places[0].name : "client"
            await stage.kill(name)
            try stage.startAgain(who)
        }
        try await stage.waitReady(socket, "the \(who)")
        let took = ContinuousClock.now - began
        let handoff = try await AdminClient(socket: socket, timeout: .seconds(5)).status().process.handoff
        return UpgradeReport.Round(
            who: who, carried: handoff?.carried ?? 0, lost: handoff?.lost ?? 0, pauseMs: handoff.map { $0.pauseSeconds * 1_000 },
            tookMs: took.seconds * 1_000)
    }

    // MARK: Judging

    private func report(_ rounds: [UpgradeReport.Round], _ stage: Stage) throws -> UpgradeReport {
        let requests: RequestsReport = try stage.read("requests")
        let streams: [StreamsReport] = [try stage.read("streams-1"), try stage.read("streams-2")]
        let all = streams.flatMap(\.streams)
        let forward = requests.requests.filter { $0.path == .forward }
        let control = requests.requests.filter { $0.path == .control }
        var report = UpgradeReport(
            carrier: self.plan.carrier, who: self.plan.who, streams: self.plan.streams, rounds: rounds,
            ends: Dictionary(grouping: all, by: \.end.rawValue).mapValues(\.count),
            bytes: all.reduce(0) { $0 + $1.bytesUp + $1.bytesDown },
            corruptAtFarEnd: try stage.corruptAtBackends(),
            longestStallMs: all.map(\.longestGapMs).max() ?? 0, requests: forward.count,
            failedRequests: forward.count { !$0.ok }, slowestRequestMs: forward.map(\.tookMs).max() ?? 0,
            slowestControlMs: control.map(\.tookMs).max() ?? 0, broken: [])
        report.judge(limit: self.plan.limit)
        return report
    }
}

extension UpgradedProgram {
    fileprivate var parts: [String] {
        switch self {
        case .server: ["server"]
        case .client: ["client"]
        case .both: ["server", "client"]
        }
    }
}

extension Duration {
    fileprivate var seconds: Double { Double(self.components.seconds) + Double(self.components.attoseconds) / 1e18 }
}
