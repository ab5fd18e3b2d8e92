/// Judges short requests. Times are judged beside the control's slowest of the same kind.
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

    static func slowest(_ promise: Promise, _ kind: Observation.Kind, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let all = run.requests(kind)
        guard !all.isEmpty else { return .void(promise, "no request of this kind was made") }
        guard let control = run.controlSlowest(kind) else { return .void(promise, "there was no control") }
        let slow = all.filter { ($0.took ?? 0) > limit.inSeconds + control }
        let slowest = all.compactMap(\.took).max() ?? 0
        return self.timed(
            promise, holds: slow.isEmpty, control, "slowest \(readable(slowest)) (control \(readable(control)))",
            slow.map { "\(run.clock($0.t)) \($0.who), HTTP/\($0.http): \(readable($0.took ?? 0))" })
    }

    static func p99(_ promise: Promise, _ kind: Observation.Kind, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        guard let p99 = Quantiles(run.requests(kind).compactMap(\.took)).value(0.99) else {
            return .void(promise, "no request of this kind was made")
        }
        guard let control = run.controlQuantile(0.99, kind) else { return .void(promise, "there was no control") }
        return self.timed(
            promise, holds: p99 <= limit.inSeconds + control, control, "p99 \(readable(p99)) (control \(readable(control)))", [])
    }

    /// A promise that held is held on a busy machine, too; one that was broken there says nothing.
    static func timed(_ promise: Promise, holds: Bool, _ control: Double, _ measured: String, _ details: [String]) -> Verdict {
        if !holds, control > Judge.busy { return .void(promise, "the machine was too busy: \(measured)") }
        return .of(promise, holds: holds, measured, details)
    }

    static func longestSilence(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        guard !run.clients.isEmpty, !run.shortRequests.isEmpty else { return .void(promise, "no short request was made") }
        let control = run.controlSlowest(.new) ?? 0
        var longest = (seconds: 0.0, text: "none")
        for client in run.clients {
            let ends = run.shortRequests.filter { $0.who == client && $0.what == .done }.map { $0.t + ($0.took ?? 0) }.sorted()
            let points = [run.evidence.began] + ends + [run.evidence.ended]
            for (one, next) in zip(points, points.dropFirst()) where next - one > longest.seconds {
                longest = (next - one, "\(client), from \(run.clock(one)) on")
            }
        }
        return self.timed(
            promise, holds: longest.seconds <= limit.inSeconds + control, control,
            "\(readable(longest.seconds)) without an answer (\(longest.text))", [])
    }

    /// So much slower than the control, in seconds, a request is not what it was before.
    private static let slow = 0.25

    /// After each fault's end, and until the next begins: the last request that failed or was slow.
    static func recovered(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let all = run.shortRequests
        guard !all.isEmpty else { return .void(promise, "no short request was made") }
        let control = max(run.controlSlowest(.new) ?? 0, run.controlSlowest(.get) ?? 0)
        let begins = run.evidence.faults.map(\.began)
        var (longest, details) = (0.0, [String]())
        for fault in run.evidence.faults {
            let end = fault.ended ?? fault.there
            let next = begins.filter { $0 > end }.min() ?? run.evidence.ended
            // What another fault does meanwhile is that one's.
            guard
                !run.evidence.faults.contains(where: {
                    $0.number != fault.number && $0.began <= end && ($0.ended ?? $0.there) > end
                })
            else { continue }
            let bad = all.last {
                // One that was still under way when the next fault came may have suffered from that.
                $0.t > end && $0.t + ($0.took ?? 0) < next && ($0.what == .failed || ($0.took ?? 0) > Self.slow + control)
            }
            guard let bad else { continue }
            longest = max(longest, bad.t - end)
            if bad.t - end > limit.inSeconds {
                details.append(
                    "\(fault.action) \(fault.victims.joined(separator: ", ")) ended at \(run.clock(end)); at \(run.clock(bad.t)) "
                        + "\(bad.who): \(bad.why ?? readable(bad.took ?? 0))")
            }
        }
        return self.timed(promise, holds: details.isEmpty, control, "as before after \(readable(longest)) at most", details)
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
