/// Judges whether short requests are answered, and how soon that is so again after a fault.
enum TrafficJudge {
    static func failed(_ promise: Promise, _ kind: Observation.Kind, _ count: Promise.Count, _ run: JudgedRun) -> Verdict {
        let all = run.requests(kind)
        guard !all.isEmpty else { return .void(promise, "no request of this kind was made") }
        let failed = all.filter { $0.what == .failed }
        let limit = count.limit(of: all.count, faults: run.evidence.faults.count)
        return .of(
            promise, holds: failed.count <= limit, "\(failed.count) of \(all.count) failed (at most \(limit))",
            failed.map { "\(run.clock($0.t)) \($0.who): \($0.why ?? "no reason") after \(readable($0.took ?? 0))" })
    }

    // MARK: Silence

    static func longestSilence(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let silences = run.clients.map { run.longestSilence(of: $0) }
        guard let longest = silences.max(by: { $0.seconds < $1.seconds }) else {
            return .void(promise, "no short request was made")
        }
        let control = run.controlSlowestShort
        return .timed(
            promise, holds: longest.seconds <= limit.inSeconds + run.allowance(control), control: control,
            "\(readable(longest.seconds)) without an answer (\(longest.who), from \(run.clock(longest.from)) on)",
            silences.filter { $0.seconds > limit.inSeconds + run.allowance(control) }
                .map { "\($0.who): \(readable($0.seconds)) from \(run.clock($0.from)) on" })
    }

    // MARK: As before

    /// So much slower than the control, in seconds, a request is not what it was before.
    static let slow = 0.25

    /// After each fault's end, and until the next begins: the last request that failed or was slow.
    static func recovered(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        guard !run.shortRequests.isEmpty else { return .void(promise, "no short request was made") }
        let control = run.controlSlowestShort
        let judged = run.evidence.faults.filter { !run.overlaps($0) }
        guard !judged.isEmpty else { return .void(promise, "no fault ended while no other was at work") }
        var (longest, details) = (0.0, [String]())
        for fault in judged {
            guard let bad = run.lastBad(after: fault, control: control) else { continue }
            let took = bad.t - fault.over
            longest = max(longest, took)
            if took > limit.inSeconds {
                details.append(
                    "\(fault.text) ended at \(run.clock(fault.over)); at \(run.clock(bad.t)) \(bad.who): "
                        + (bad.why ?? readable(bad.took ?? 0)))
            }
        }
        return .timed(
            promise, holds: details.isEmpty, control: control,
            "as before after \(readable(longest)) at most, of \(judged.count) faults", details)
    }
}

extension JudgedRun {
    struct Silence {
        var who: String
        var seconds: Double
        var from: Double
    }

    /// The longest time in which somebody got no answer, less the time that lies between two questions anyway.
    func longestSilence(of client: String) -> Silence {
        let rate = self.scenario.traffic.new + self.scenario.traffic.get
        let spacing = rate > 0 ? 1 / rate : 0
        let ends = self.shortRequests.filter { $0.who == client && $0.what == .done }.map { $0.t + ($0.took ?? 0) }
        let points = [self.evidence.began] + ends.filter { $0 < self.evidence.ended }.sorted() + [self.evidence.ended]
        var longest = Silence(who: client, seconds: 0, from: self.evidence.began)
        for (one, next) in zip(points, points.dropFirst()) where next - one - spacing > longest.seconds {
            longest = Silence(who: client, seconds: next - one - spacing, from: one)
        }
        return longest
    }

    /// Whether another fault is at work when this one ends: what comes then may be that one's.
    func overlaps(_ fault: FaultRecord) -> Bool {
        self.evidence.faults.contains { $0.number != fault.number && $0.began <= fault.over && $0.over > fault.over }
    }

    /// The last request that failed or was slow, of those after a fault's end that no later fault can have met.
    func lastBad(after fault: FaultRecord, control: Double) -> Observation? {
        let next = self.evidence.faults.map(\.began).filter { $0 > fault.over }.min() ?? self.evidence.ended
        return self.shortRequests(from: fault.over, to: next).last {
            $0.t > fault.over && $0.t + ($0.took ?? 0) < next
                && ($0.what == .failed || ($0.took ?? 0) > TrafficJudge.slow + self.allowance(control))
        }
    }
}

extension Promise.Count {
    /// How many there may be, of so many that were tried.
    func limit(of all: Int, faults: Int) -> Int {
        switch self {
        case .atMost(let number): number
        case .share(let share): Int(share * Double(all))
        case .perFault(let number): number * faults
        }
    }
}
