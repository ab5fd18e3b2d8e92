/// Judges processes: that they live, and what they hold.
enum ProcessJudge {
    static func restartedWithin(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let faults = run.evidence.faults.filter { ["kill", "hang", "kill_and_lose_disk"].contains($0.action) }
        guard !faults.isEmpty else { return .void(promise, "nobody was to be restarted") }
        var (longest, details) = (0.0, [String]())
        for fault in faults {
            for victim in fault.victims {
                let next = run.evidence.lives.filter { $0.name == victim && $0.started > fault.there }.map(\.started).min()
                let took = next.map { $0 - fault.there }
                longest = max(longest, took ?? 0)
                if took.map({ $0 > limit.inSeconds }) ?? true {
                    let text = took.map { "back after \(readable($0))" } ?? "never came back"
                    details.append("\(run.clock(fault.there)) \(fault.action) \(victim): \(text)")
                }
            }
        }
        return .of(promise, holds: details.isEmpty, "back after \(readable(longest)) at most", details)
    }

    /// What somebody held at the beginning is the most of its first samples, in seconds.
    private static let beginning = 5.0

    static func grown(
        _ promise: Promise, _ more: Int, _ run: JudgedRun, _ text: (Int) -> String, _ value: (ProcessSample) -> Int
    ) -> Verdict {
        let samples = Dictionary(grouping: run.evidence.usage, by: \.name)
        var (worst, details, judged) = (0, [String](), 0)
        for (name, all) in samples.sorted(by: { $0.key < $1.key }) {
            let first = all.filter { $0.t <= run.evidence.began + Self.beginning }.map(value).max()
            guard let first, let last = all.max(by: { $0.t < $1.t }).map(value) else { continue }
            judged += 1
            worst = max(worst, last - first)
            if last - first > more { details.append("\(name): \(text(first)) at the beginning, \(text(last)) at the end") }
        }
        guard judged > 0 else { return .void(promise, "nobody was looked at") }
        return .of(promise, holds: details.isEmpty, "\(text(worst)) more at most", details)
    }

    static func allAlive(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        guard !run.evidence.lives.isEmpty else { return .void(promise, "nobody was looked at") }
        let dead = run.evidence.lives.filter { $0.ended != nil && (!$0.wasMeant || $0.hasCrashed) }
        return .of(
            promise, holds: dead.isEmpty, "\(run.evidence.lives.count) processes, \(dead.count) ended by themselves",
            dead.map { "\(run.clock($0.ended ?? 0)) \($0.name) (pid \($0.pid)): \($0.end ?? "no reason")" })
    }

    static func cleanLogs(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        guard !run.evidence.lives.isEmpty else { return .void(promise, "nobody was looked at") }
        return .of(
            promise, holds: run.evidence.logTroubles.isEmpty, "\(run.evidence.logTroubles.count) lines",
            run.evidence.logTroubles.map { "\($0.process): \($0.line)" })
    }
}

extension ProcessLife {
    /// Whether it did not end as it was told to: by a signal that nobody sent, or in trouble.
    var hasCrashed: Bool {
        guard let end else { return false }
        if end.hasPrefix("SIG") { return !["SIGKILL", "SIGTERM"].contains(end) }
        return end.hasPrefix("exit ") && end != "exit 0"
    }
}
