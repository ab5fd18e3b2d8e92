/// Judges long streams.
enum StreamJudge {
    /// No event comes later than this, and none stays away: each watch goes on, on whatever connection, from its last event.
    static func latestEvent(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let flows = run.evidence.observations.filter { $0.kind == .watch && $0.what == .flow && $0.t >= run.evidence.began }
        guard !flows.isEmpty else { return .void(promise, "no event came at all") }
        let control =
            run.evidence.control.filter { $0.kind == .watch && $0.what == .flow && $0.t >= run.evidence.began }
            .compactMap(\.took).max() ?? 0
        let latest = flows.compactMap(\.took).max() ?? 0
        let limitSeconds = limit.inSeconds + run.allowance(control)
        let late = flows.filter { ($0.took ?? 0) > limitSeconds }
            .map { "\(run.clock($0.t)) \($0.who), HTTP/\($0.http): \(readable($0.took ?? 0)) late" }
        let absent = self.absent(flows, limitSeconds, run)
        return .timed(
            promise, holds: late.isEmpty && absent.isEmpty, control: control,
            "latest \(readable(latest)) after it happened (control \(readable(control)))"
                + (absent.isEmpty ? "" : "; some never came"), absent + late)
    }

    /// Who lacks events at the end that were due longer ago than promised: a watch that stays silent has no late events.
    private static func absent(_ flows: [Observation], _ limit: Double, _ run: JudgedRun) -> [String] {
        let traffic = run.scenario.traffic
        let each = Int((run.evidence.ended - run.evidence.began - limit) * 1_000) / max(1, traffic.eventInterval)
        guard each > 0 else { return [] }
        var came: [String: Int] = [:]
        for flow in flows { came[flow.who, default: 0] += flow.count ?? 0 }
        // One more or less for each watch is a matter of where the time begins.
        let due = traffic.watches * (each - 1)
        var details = came.sorted { $0.key < $1.key }.filter { $0.value < due }
            .map { "\($0.key): \($0.value) events came, of \(due) that were due" }
        let silent = run.scenario.stage.clients - came.count
        if silent > 0 { details.append("\(silent) clients got no event at all") }
        return details
    }

    static func broken(_ promise: Promise, _ count: Promise.Count, _ run: JudgedRun) -> Verdict {
        let opened = run.evidence.observations.count { ($0.kind == .watch || $0.kind == .exec) && $0.what == .opened }
        guard opened > 0 else { return .void(promise, "no long stream was opened") }
        let broken = run.brokenStreams
        let limit = count.limit(of: opened, faults: run.evidence.faults.count)
        return .of(
            promise, holds: broken.count <= limit, "\(broken.count) of \(opened) broke (at most \(limit))",
            broken.map { "\(run.clock($0.t)) \($0.who) \($0.kind.rawValue), HTTP/\($0.http): \($0.why ?? "no reason")" })
    }
}
