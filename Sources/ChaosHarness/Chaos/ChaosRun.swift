import ChaosCore
import Foundation

/// One run of a scenario: the stage is raised, traffic flows, faults come and go, and all that was seen is judged.
package struct ChaosRun: Sendable {
    package var scenario: Scenario
    package var duration: Duration
    package var seed: UInt64
    package var setting: ChaosStage.Setting

    package init(_ scenario: Scenario, duration: Duration?, seed: UInt64, setting: ChaosStage.Setting) {
        self.scenario = scenario
        self.duration = duration ?? scenario.duration
        self.seed = seed
        self.setting = setting
    }

    /// - Parameters:
    ///   - say: told what happens, a line each.
    ///   - progress: told how it goes, once a second; nil when there is nothing more to say.
    package func run(
        say: @escaping @Sendable (String) -> Void, progress: @escaping @Sendable (String?) -> Void
    ) async throws -> ChaosOutcome {
        let whole = self.scenario.stage
        say("\(whole.servers) servers, \(whole.clients) clients, seed \(self.seed)")
        let stage = try await ChaosStage.raise(whole, self.setting)
        do {
            let outcome = try await self.rehearse(stage, say, progress)
            await stage.strike()
            return outcome
        } catch {
            progress(nil)
            await stage.strikeAnyway()
            throw error
        }
    }

    private func rehearse(
        _ stage: ChaosStage, _ say: @escaping @Sendable (String) -> Void, _ progress: @escaping @Sendable (String?) -> Void
    ) async throws -> ChaosOutcome {
        let traffic = ChaosTraffic(stage: stage, layout: self.scenario.traffic)
        let (cluster, usage) = (ClusterWatch(stage), UsageWatch(stage))
        cluster.start()
        usage.start()
        defer {
            cluster.stop()
            usage.stop()
        }
        try await traffic.start()
        let kubectl = MutexBox<[Observation]>([])
        try stage.kubernetes?.startTraffic { observation in kubectl.with { $0.append(observation) } }
        let live = LiveWatch(traffic: traffic, cluster: cluster, duration: self.whole, progress)
        live.start()
        defer { live.stop() }
        let began = Self.now()
        try await Task.sleep(for: self.scenario.warmup)
        let faults = FaultRunner(stage, cluster) { line in
            live.noteFault()
            say(line)
        }
        let records = try await faults.run(
            Schedule.make(self.scenario, duration: self.duration, seed: self.seed), for: self.duration)
        let healed = Self.now()
        let agreement = await AgreementWatch(stage: stage, servers: faults.expectedServers)
            .wait(since: healed, within: self.scenario.settle)
        try await Task.sleep(for: .seconds(max(0, self.scenario.settle.inSeconds - (Self.now() - healed))))
        let ended = Self.now()
        live.stop()
        try await traffic.stop()
        await stage.kubernetes?.stopTraffic()
        var evidence = Evidence(began: began, healed: healed, ended: ended)
        (evidence.faults, evidence.skipped) = (records, faults.skipped)
        (evidence.views, evidence.usage, evidence.agreement) = (cluster.views, usage.all, agreement)
        evidence.lives = await stage.keeper.lives()
        return self.judge(evidence, of: stage, traffic, kubectl.with { $0 })
    }

    /// From the start of the traffic to its end.
    private var whole: Duration { self.scenario.warmup + self.duration + self.scenario.settle }

    private func judge(
        _ evidence: Evidence, of stage: ChaosStage, _ traffic: ChaosTraffic, _ kubectl: [Observation]
    ) -> ChaosOutcome {
        var evidence = evidence
        var reader = RecordReader(traffic.allRecords)
        let all = (reader.read() + kubectl).sorted { $0.t < $1.t }
        evidence.dropped = reader.dropped
        let controls = [ChaosTraffic.control, ChaosStage.controlApiserver]
        evidence.observations = all.filter { !controls.contains($0.who) }
        evidence.control = all.filter { controls.contains($0.who) }
        let harvest = LogHarvest.all(of: stage)
        (evidence.claims, evidence.verdicts, evidence.logTroubles) = (harvest.claims, harvest.verdicts, harvest.troubles)
        return ChaosOutcome(
            scenario: self.scenario, duration: self.duration, seed: self.seed,
            verdicts: Judge.judge(self.scenario, evidence), evidence: evidence)
    }

    private static func now() -> Double { TrafficClock.now() / 1_000 }
}

/// What came of a run.
package struct ChaosOutcome: Sendable {
    package var scenario: Scenario
    package var duration: Duration
    package var seed: UInt64
    package var verdicts: [Verdict]
    package var evidence: Evidence

    package init(scenario: Scenario, duration: Duration, seed: UInt64, verdicts: [Verdict], evidence: Evidence) {
        self.scenario = scenario
        self.duration = duration
        self.seed = seed
        self.verdicts = verdicts
        self.evidence = evidence
    }

    package var isBroken: Bool { self.verdicts.contains { $0.outcome == .broken } }
    package var isVoid: Bool { self.verdicts.contains { $0.outcome == .void } }
}
