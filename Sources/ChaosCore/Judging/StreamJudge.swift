/// Judges long streams, and whether anything came wrongly.
enum StreamJudge {
    static func latestEvent(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let flows = run.evidence.observations.filter { $0.kind == .watch && $0.what == .flow && $0.t >= run.evidence.began }
        guard !flows.isEmpty else { return .void(promise, "no event came at all") }
        let control =
            run.evidence.control.filter { $0.kind == .watch && $0.what == .flow && $0.t >= run.evidence.began }
            .compactMap(\.took).max() ?? 0
        let latest = flows.compactMap(\.took).max() ?? 0
        let late = flows.filter { ($0.took ?? 0) > limit.inSeconds + control }
        return TrafficJudge.timed(
            promise, holds: late.isEmpty, control, "latest \(readable(latest)) after it happened (control \(readable(control)))",
            late.map { "\(run.clock($0.t)) \($0.who), HTTP/\($0.http): \(readable($0.took ?? 0)) late" })
    }

    static func broken(_ promise: Promise, _ count: Promise.Count, _ run: JudgedRun) -> Verdict {
        let streams = run.evidence.observations.filter { $0.kind == .watch || $0.kind == .exec }
        let opened = streams.count { $0.what == .opened }
        guard opened > 0 else { return .void(promise, "no long stream was opened") }
        let broken = streams.filter { $0.what == .ended && $0.t >= run.evidence.began }
        let limit = count.limit(of: opened, faults: run.evidence.faults.count)
        return .of(
            promise, holds: broken.count <= limit, "\(broken.count) of \(opened) broke (at most \(limit))",
            broken.map { "\(run.clock($0.t)) \($0.who) \($0.kind.rawValue), HTTP/\($0.http): \($0.why ?? "no reason")" })
    }

    static func noHarm(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        guard !run.evidence.observations.isEmpty else { return .void(promise, "nothing was seen") }
        if let harm = run.evidence.control.first(where: { $0.what == .harm }) {
            return .void(promise, "even past the tunnel something came wrongly: \(harm.why ?? "no reason")")
        }
        let harms = run.evidence.observations.filter { $0.what == .harm }
        var details = harms.map {
            "\(run.clock($0.t)) \($0.who) \($0.kind.rawValue), HTTP/\($0.http): \($0.count ?? 1) \($0.harm?.rawValue ?? "wrong"): \($0.why ?? "")"
        }
        // A request that two apiservers took was repeated as well, though neither knows.
        var takers: [String: String] = [:]
        for taken in run.evidence.observations where taken.what == .accepted {
            guard let id = taken.id else { continue }
            if let first = takers[id], first != taken.who {
                details.append("\(run.clock(taken.t)) \(taken.kind.rawValue) \(id) was taken by \(first) and by \(taken.who)")
            }
            takers[id] = taken.who
        }
        let count = { (harm: Observation.Harm) in harms.filter { $0.harm == harm }.reduce(0) { $0 + ($1.count ?? 1) } }
        return .of(
            promise, holds: details.isEmpty,
            "\(count(.lost)) lost, \(count(.repeated) + details.count - harms.count) repeated, \(count(.reordered)) reordered, "
                + "\(count(.corrupt)) corrupt",
            details)
    }
}
