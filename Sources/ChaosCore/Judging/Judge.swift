/// Says of every promise of a scenario whether it held. Pure.
package enum Judge {
    /// A control that took longer says that the machine was too busy to judge times by, in seconds.
    package static let busy = 0.1

    package static func judge(_ scenario: Scenario, _ evidence: Evidence) -> [Verdict] {
        let run = JudgedRun(scenario, evidence)
        return scenario.promises.map { self.verdict($0, run) } + self.standing(run)
    }

    private static func verdict(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        switch promise {
        case .failed(let kind, let count): TrafficJudge.failed(promise, kind, count, run)
        case .slowest(let kind, let limit): TrafficJudge.slowest(promise, kind, limit, run)
        case .p99(let kind, let limit): TrafficJudge.p99(promise, kind, limit, run)
        case .longestSilence(let limit): TrafficJudge.longestSilence(promise, limit, run)
        case .latestEvent(let limit): StreamJudge.latestEvent(promise, limit, run)
        case .broken(let count): StreamJudge.broken(promise, count, run)
        case .recovered(let limit): TrafficJudge.recovered(promise, limit, run)
        case .leaderless(let limit): ClusterJudge.leaderless(promise, limit, run)
        case .noFalseDeath: ClusterJudge.noFalseDeath(promise, run)
        case .portsKept: ClusterJudge.portsKept(promise, run)
        case .agreement(let limit): ClusterJudge.agreement(promise, limit, run)
        case .restartedWithin(let limit): ProcessJudge.restartedWithin(promise, limit, run)
        case .openFiles(let more): ProcessJudge.grown(promise, more, run, "open files") { $0.openFiles }
        case .memory(let more): ProcessJudge.grown(promise, more >> 20, run, "MiB") { $0.memory >> 20 }
        case .noHarm: StreamJudge.noHarm(promise, run)
        case .oneLeaderPerTerm: ClusterJudge.oneLeaderPerTerm(promise, run)
        case .allAlive: ProcessJudge.allAlive(promise, run)
        case .cleanLogs: ProcessJudge.cleanLogs(promise, run)
        }
    }

    /// What has to be so that anything can be said at all.
    private static func standing(_ run: JudgedRun) -> [Verdict] {
        var verdicts: [Verdict] = []
        let problems = run.evidence.faults.compactMap { fault in
            fault.problem.map { "\(fault.action) \(fault.victims.joined(separator: ", ")): \($0)" }
        }
        if !problems.isEmpty {
            verdicts.append(
                Verdict(promise: "faults", outcome: .void, measured: "\(problems.count) could not be done", details: problems))
        } else if !run.scenario.faults.isEmpty, run.evidence.faults.isEmpty {
            verdicts.append(Verdict(promise: "faults", outcome: .void, measured: "none came: the run was too short"))
        }
        return verdicts
    }
}

/// A run with what all judges ask of it.
struct JudgedRun {
    let scenario: Scenario
    let evidence: Evidence
    /// By kind, in the order of time; those that began after the warm-up began.
    private let requests: [Observation.Kind: [Observation]]
    private let controls: [Observation.Kind: [Observation]]

    init(_ scenario: Scenario, _ evidence: Evidence) {
        self.scenario = scenario
        self.evidence = evidence
        func grouped(_ all: [Observation]) -> [Observation.Kind: [Observation]] {
            Dictionary(grouping: all.filter { $0.isRequest && $0.t >= evidence.began }, by: \.kind)
        }
        self.requests = grouped(evidence.observations)
        self.controls = grouped(evidence.control)
    }

    func requests(_ kind: Observation.Kind) -> [Observation] { self.requests[kind] ?? [] }

    /// Those that people wait for.
    var shortRequests: [Observation] { (self.requests(.new) + self.requests(.get)).sorted { $0.t < $1.t } }

    /// Seconds; nil: nothing was asked past the tunnel.
    func controlSlowest(_ kind: Observation.Kind) -> Double? { self.controls[kind]?.compactMap(\.took).max() }

    func controlQuantile(_ share: Double, _ kind: Observation.Kind) -> Double? {
        Quantiles((self.controls[kind] ?? []).compactMap(\.took)).value(share)
    }

    var clients: [String] { Set(self.evidence.observations.filter(\.isRequest).map(\.who)).sorted() }

    /// When something was at work on somebody: from there until its end, or the end of the run's faults.
    func faults(on name: String) -> [ClosedRange<Double>] {
        self.evidence.faults.filter { $0.victims.contains(name) || $0.victims.isEmpty }.map { fault in
            min(fault.began, fault.there)...max(fault.there, fault.ended ?? self.evidence.healed)
        }
    }

    /// Seconds since the beginning, as reports show times.
    func clock(_ t: Double) -> String {
        let tenths = Int(((t - self.evidence.began) * 10).rounded())
        return "\(tenths / 600):\(tenths / 10 % 60 < 10 ? "0" : "")\(tenths / 10 % 60).\(abs(tenths % 10))"
    }
}

extension Verdict {
    /// A promise that nothing can be said of.
    static func void(_ promise: Promise, _ why: String) -> Verdict {
        Verdict(promise: promise.line, outcome: .void, measured: why)
    }

    static func of(_ promise: Promise, holds: Bool, _ measured: String, _ details: [String] = []) -> Verdict {
        Verdict(promise: promise.line, outcome: holds ? .held : .broken, measured: measured, details: Array(details.prefix(20)))
    }
}

/// A length of time as people read it.
func readable(_ seconds: Double) -> String {
    seconds < 1 ? "\(Int((seconds * 1_000).rounded())) ms" : "\((seconds * 100).rounded() / 100) s"
}
