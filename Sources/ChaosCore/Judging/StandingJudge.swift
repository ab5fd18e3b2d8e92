/// What has to be so that anything can be said of a run at all.
enum StandingJudge {
    static func verdicts(_ run: JudgedRun) -> [Verdict] {
        var verdicts: [Verdict] = []
        let problems = run.evidence.faults.compactMap { fault in fault.problem.map { "\(fault.text): \($0)" } }
        let absent = self.absent(run)
        if !problems.isEmpty {
            verdicts.append(
                Verdict(promise: "faults", outcome: .void, measured: "\(problems.count) could not be done", details: problems))
        } else if !run.scenario.faults.isEmpty, run.evidence.faults.isEmpty {
            verdicts.append(
                Verdict(
                    promise: "faults", outcome: .void, measured: "none came: the run was too short, or there was nobody to meet",
                    details: run.evidence.skipped))
        } else if !absent.isEmpty {
            verdicts.append(
                Verdict(
                    promise: "faults", outcome: .void, measured: "none came of: \(absent.joined(separator: ", "))",
                    details: run.evidence.skipped))
        }
        if run.evidence.dropped > 0 {
            verdicts.append(
                Verdict(
                    promise: "records", outcome: .void,
                    measured: "\(run.evidence.dropped) observations were lost: the machine was too busy to write them"))
        }
        return verdicts
    }

    /// Kinds of faults that had their time in the run, and none of which came: what they would have shown is unknown. Those
    /// that come at random moments are left out; chance may leave them out of a short run.
    private static func absent(_ run: JudgedRun) -> [String] {
        let length = run.evidence.healed - run.evidence.began - run.scenario.warmup.inSeconds
        let came = Set(run.evidence.faults.map(\.action))
        let due = run.scenario.faults.filter { plan in
            switch plan.timing {
            case .at(let time), .every(_, let time):
                // The end of a fault takes a moment too, and makes the run longer than it was to be.
                time.inSeconds + (plan.lasts?.upperBound.inSeconds ?? 0) < length - Self.margin
            case .random: false
            }
        }
        return Set(due.map(\.action.name)).subtracting(came).sorted()
    }

    private static let margin = 10.0
}
