/// Judges how long requests take, beside the control's of the same kind. Requests that were not answered are judged by how many
/// they are (`failed_…`), not by how long that took.
enum LatencyJudge {
    /// No answer takes longer. Those that were under way when a fault came were met by it: they may take as long as they like, as
    /// many as may fail by the promise `failed_…` and have not failed.
    static func slowest(_ promise: Promise, _ kind: Observation.Kind, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let answered = run.requests(kind).filter { $0.what == .done }
        guard !answered.isEmpty else { return .void(promise, "no request of this kind was answered") }
        guard let control = run.controlSlowest(kind) else { return .void(promise, "there was no control") }
        let slow = answered.filter { ($0.took ?? 0) > limit.inSeconds + run.allowance(control) }
        let met = slow.filter(run.wasUnderWay)
        let isAllowed = met.count <= self.allowed(kind, run)
        let wrong = isAllowed ? slow.filter { !run.wasUnderWay($0) } : slow
        let others = isAllowed && !met.isEmpty ? self.without(met, answered) : answered
        let slowest = others.compactMap(\.took).max() ?? 0
        let note = isAllowed && !met.isEmpty ? "; \(self.count(met.count)) under way when a fault came" : ""
        return .timed(
            promise, holds: wrong.isEmpty, control: control, "slowest \(readable(slowest)) (control \(readable(control)))\(note)",
            wrong.map { "\(run.clock($0.t)) \($0.who), HTTP/\($0.http): \(readable($0.took ?? 0))" })
    }

    /// How many requests of a kind may yet fail by the scenario's own promise.
    private static func allowed(_ kind: Observation.Kind, _ run: JudgedRun) -> Int {
        let all = run.requests(kind)
        for case .failed(kind, let count) in run.scenario.promises {
            return count.limit(of: all.count, faults: run.evidence.faults.count) - all.count { $0.what == .failed }
        }
        return 0
    }

    private static func without(_ met: [Observation], _ answered: [Observation]) -> [Observation] {
        let least = met.compactMap(\.took).min() ?? 0
        return answered.filter { ($0.took ?? 0) < least || !met.contains($0) }
    }

    private static func count(_ number: Int) -> String { number == 1 ? "1 slower one was" : "\(number) slower ones were" }

    static func p99(_ promise: Promise, _ kind: Observation.Kind, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let answered = run.requests(kind).filter { $0.what == .done }
        guard let p99 = Quantiles(answered.compactMap(\.took)).value(0.99) else {
            return .void(promise, "no request of this kind was answered")
        }
        guard let control = run.controlQuantile(0.99, kind) else { return .void(promise, "there was no control") }
        return .timed(
            promise, holds: p99 <= limit.inSeconds + run.allowance(control), control: control,
            "p99 \(readable(p99)) (control \(readable(control)))")
    }
}
