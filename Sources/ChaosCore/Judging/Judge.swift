import Settings

/// Says of every promise of a scenario whether it held. Pure.
package enum Judge {
    package static func judge(_ scenario: Scenario, _ evidence: Evidence) -> [Verdict] {
        let run = JudgedRun(scenario, evidence)
        return scenario.promises.map { self.verdict($0, run) } + StandingJudge.verdicts(run)
    }

    private static func verdict(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        switch promise {
        case .failed(let kind, let count): TrafficJudge.failed(promise, kind, count, run)
        case .slowest(let kind, let limit): LatencyJudge.slowest(promise, kind, limit, run)
        case .p99(let kind, let limit): LatencyJudge.p99(promise, kind, limit, run)
        case .longestSilence(let limit): TrafficJudge.longestSilence(promise, limit, run)
        case .latestEvent(let limit): StreamJudge.latestEvent(promise, limit, run)
        case .broken(let count): StreamJudge.broken(promise, count, run)
        case .recovered(let limit): TrafficJudge.recovered(promise, limit, run)
        case .leaderless(let limit): ClusterJudge.leaderless(promise, limit, run)
        case .noFalseDeath: DeathJudge.noFalseDeath(promise, run)
        case .portsKept: ClusterJudge.portsKept(promise, run)
        case .agreement(let limit): ClusterJudge.agreement(promise, limit, run)
        case .restartedWithin(let limit): ProcessJudge.restartedWithin(promise, limit, run)
        case .openFiles(let more): ProcessJudge.grown(promise, more, run, { "\($0) open files" }) { $0.openFiles }
        case .memory(let more): ProcessJudge.grown(promise, more, run, { "\($0 >> 20) MiB" }) { $0.memory }
        case .noHarm: HarmJudge.noHarm(promise, run)
        case .oneLeaderPerTerm: ClusterJudge.oneLeaderPerTerm(promise, run)
        case .allAlive: ProcessJudge.allAlive(promise, run)
        case .cleanLogs: ProcessJudge.cleanLogs(promise, run)
        }
    }
}

extension Verdict {
    /// A promise that nothing can be said of.
    static func void(_ promise: Promise, _ why: String) -> Verdict {
        Verdict(promise: promise.line, outcome: .void, measured: why)
    }

    /// - Parameter details: what broke it; they quote others, and go to a terminal.
    static func of(_ promise: Promise, holds: Bool, _ measured: String, _ details: [String] = []) -> Verdict {
        Verdict(
            promise: promise.line, outcome: holds ? .held : .broken, measured: measured,
            details: details.prefix(20).map { PrintableText.clean($0) })
    }

    /// A promise of a time. The limit had the control's time added, but never more than a busy machine's: one that was kept
    /// even so is kept; one that was broken on a busy machine says nothing.
    static func timed(
        _ promise: Promise, holds: Bool, control: Double, _ measured: String, _ details: [String] = []
    ) -> Verdict {
        if !holds, control > JudgedRun.busy { return .void(promise, "the machine was too busy: \(measured)") }
        return .of(promise, holds: holds, measured, details)
    }
}

/// A length of time as people read it.
func readable(_ seconds: Double) -> String {
    seconds < 0.9995 ? "\(Int((seconds * 1_000).rounded())) ms" : "\((seconds * 100).rounded() / 100) s"
}
