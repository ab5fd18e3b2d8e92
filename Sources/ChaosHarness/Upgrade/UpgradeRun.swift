import Admin
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Puts new processes in the place of old ones while traffic flows, and accounts for every byte.
package struct UpgradeRun: Sendable {
    private let plan: UpgradePlan

    /// Longer than any rehearsal: traffic ends when it is told to.
    private static let duration = "9000s"

    package init(_ plan: UpgradePlan) { self.plan = plan }

    /// - Parameter say: told what happens, for people who watch.
    package func run(say: @escaping @Sendable (String) -> Void) async throws -> UpgradeReport {
        var stagePlan = Stage.Plan(programs: self.plan.programs, folder: self.plan.folder)
        stagePlan.servers = self.plan.servers
        stagePlan.hasMappedPort = true
        stagePlan.clientLines = ["links: \(self.plan.servers)"]
        stagePlan.isUnderSystemd = self.plan.carrier == .restart
        say("starts \(self.plan.servers == 1 ? "a server" : "\(self.plan.servers) servers") and a client")
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
        say("opens \(self.plan.streams + self.plan.bulk) streams, half of them through mapped ports")
        let generators = self.generators(stage)
        for generator in generators { try await self.start(generator, stage) }
        try await stage.traffic(
            "requests",
            [
                "requests", "--forward", "127.0.0.1:\(stage.apiserverPort)", "--control", "127.0.0.1:\(stage.controlPort)",
                "--duration", Self.duration,
            ], until: "started")
        try await Task.sleep(for: self.plan.pause(after: 0))
        var rounds: [UpgradeReport.Round] = []
        for number in 1...max(1, self.plan.times) {
            for who in self.plan.who.parts {
                let place = who == .server ? stage.places[(number - 1) % stage.places.count] : nil
                let round = try await self.replace(place, stage)
                let carried = round.carried.map { "\($0) went on, \(round.lost) were reset" } ?? "nothing was handed over"
                say("\(number) of \(self.plan.times), \(round.who): \(carried)\(round.problem.map { "; \($0)" } ?? "")")
                rounds.append(round)
                try await Task.sleep(for: self.plan.pause(after: rounds.count))
            }
        }
        // The requests first: while the streams finish, nothing else is to be measured.
        for name in ["requests"] + generators.map(\.name) { try await self.finish(name, stage) }
        let streams = try generators.map {
            UpgradeEvidence.Generator(try stage.read($0.name), isBulk: $0.isBulk, through: $0.server)
        }
        return UpgradeJudge(self.plan).judge(
            UpgradeEvidence(
                rounds: rounds, requests: try stage.read("requests"), streams: streams, farEnds: try stage.farEnds()))
    }

    // MARK: Traffic

    /// One program that keeps streams open.
    private struct Generator {
        var name: String
        var address: String
        /// Through whose mapped port; nil: through the forward.
        var server: String?
        var count: Int
        var isBulk: Bool
        /// What its streams' bytes are made from: generators count their streams from here on.
        var seed: UInt64
    }

    private func generators(_ stage: Stage) -> [Generator] {
        var generators: [Generator] = []
        func add(_ name: String, _ address: String, _ server: String?, _ count: Int, isBulk: Bool) {
            let seed = self.plan.seed &+ UInt64(generators.count * StreamsPlan.streamLimit)
            guard count > 0 else { return }
            generators.append(
                Generator(name: name, address: address, server: server, count: count, isBulk: isBulk, seed: seed))
        }
        // Those first: the oldest connections are the last that a carrier leaves out.
        for (name, count, isBulk) in [("bulk", self.plan.bulk, true), ("streams", self.plan.streams, false)] {
            add("\(name)-forward", "127.0.0.1:\(stage.patternPort)", nil, count / 2, isBulk: isBulk)
            let mapped = count - count / 2
            for (index, place) in stage.places.enumerated() {
                let share = mapped / stage.places.count + (index < mapped % stage.places.count ? 1 : 0)
                add("\(name)-\(place.name)", stage.mappedAddress(of: index), place.name, share, isBulk: isBulk)
            }
        }
        return generators
    }

    private func start(_ generator: Generator, _ stage: Stage) async throws {
        let pace = generator.isBulk ? UpgradePlan.paceOfBulk : self.plan.paceOfMany
        try await stage.traffic(
            generator.name,
            [
                "streams", "--forward", generator.address, "--count", "\(generator.count)", "--duration", Self.duration,
                "--pace", "\(pace.chunk)/\(pace.interval.nanoseconds / 1_000_000)ms", "--finish-at-end",
                "--seed", "\(generator.seed)",
            ], until: "opened")
    }

    private func finish(_ name: String, _ stage: Stage) async throws {
        // Streams that have all been reset are over already.
        stage.cast[name]?.signal(SIGTERM)
        guard await stage.cast[name]?.waitForEnd(within: .seconds(90)) == true else {
            throw StageError("\(name) did not end; see \(stage.plan.folder)")
        }
    }

    // MARK: One process for another

    /// - Parameter place: of the server; nil: the client's process.
    private func replace(_ place: Stage.Place?, _ stage: Stage) async throws -> UpgradeReport.Round {
        let socket = place?.socket ?? stage.clientSocket
        let who = place.map { stage.places.count > 1 ? $0.name : "server" } ?? "client"
        let before = try await self.process(socket)
        let began = TrafficClock.now()
        var problem: String?
        switch self.plan.carrier {
        case .exec: problem = try Shell.outcome(of: [stage.program("gotunnelctl"), "upgrade", "--socket", socket]).failure
        case .restart: problem = try ServiceStage.restart(place == nil ? .client : .server)
        case .kill:
            await stage.kill(place?.name ?? "client")
            if let place { try stage.startServer(place) } else { try stage.startClient() }
        case .none: break
        }
        try await stage.waitReady(socket, who)
        let after = try await self.process(socket)
        var round = UpgradeReport.Round(who: who, server: place?.name, beganMs: began, endedMs: TrafficClock.now())
        if after.startedAt != before.startedAt, let handoff = after.handoff {
            (round.carried, round.lost, round.waitedMs) = (handoff.carried, handoff.lost, handoff.pauseSeconds * 1_000)
        }
        round.problem = problem
        round.pids = [before.pid, after.pid]
        round.isAnother = after.startedAt != before.startedAt
        (round.openFds, round.residentBytes) = (after.openFds, after.residentBytes)
        return round
    }

    private func process(_ socket: String) async throws -> ProcessStatus {
        try await AdminClient(socket: socket, timeout: .seconds(5)).status().process
    }
}
