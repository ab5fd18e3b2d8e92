/// Judges whether anything came wrongly.
enum HarmJudge {
    static func noHarm(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        guard !run.evidence.observations.isEmpty else { return .void(promise, "nothing was seen") }
        if let harm = run.evidence.control.first(where: { $0.what == .harm }) {
            return .void(promise, "even past the tunnel something came wrongly: \(harm.why ?? "no reason")")
        }
        let harms = run.evidence.observations.filter { $0.what == .harm }
        let again = self.takenAgain(run)
        func count(_ harm: Observation.Harm) -> Int { harms.filter { $0.harm == harm }.reduce(0) { $0 + ($1.count ?? 1) } }
        let details = harms.map { harm in
            "\(run.clock(harm.t)) \(harm.who) \(harm.kind.rawValue), HTTP/\(harm.http): "
                + "\(harm.count ?? 1) \(harm.harm?.rawValue ?? "wrong"): \(harm.why ?? "no reason")"
        }
        return .of(
            promise, holds: harms.isEmpty && again.isEmpty,
            "\(count(.lost)) lost, \(count(.repeated) + again.count) repeated, \(count(.reordered)) reordered, "
                + "\(count(.corrupt)) corrupt", details + again)
    }

    /// Requests that were taken twice although no taker knows: by two of them, or by one that was started again in between.
    private static func takenAgain(_ run: JudgedRun) -> [String] {
        let known = Set(run.evidence.observations.filter { $0.what == .harm && $0.harm == .repeated }.compactMap(\.id))
        var takers: [String: String] = [:]
        var details: [String] = []
        for taken in run.evidence.observations where taken.what == .accepted {
            guard let id = taken.id, !known.contains(id) else { continue }
            if let first = takers[id] {
                details.append("\(run.clock(taken.t)) \(taken.kind.rawValue) \(id) was taken by \(first), then by \(taken.who)")
            }
            takers[id] = taken.who
        }
        return details
    }
}
