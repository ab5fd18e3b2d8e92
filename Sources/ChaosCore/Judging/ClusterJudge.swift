/// Judges what the servers say of themselves.
enum ClusterJudge {
    /// Between two looks at a server, in seconds; what happens within is not seen.
    private static let look = 0.5

    static func leaderless(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        let views = run.evidence.views.filter { $0.t >= run.evidence.began && $0.t <= run.evidence.ended }
        guard views.count > 1, run.scenario.stage.servers > 1 else { return .void(promise, "the cluster was not looked at") }
        var (longest, since, lastLed) = (0.0, run.evidence.began, run.evidence.began)
        for view in views {
            guard let leader = view.leader, !run.isAway(leader, at: view.t) else { continue }
            if view.t - lastLed > longest { (longest, since) = (view.t - lastLed, lastLed) }
            lastLed = view.t
        }
        if run.evidence.ended - lastLed > longest { (longest, since) = (run.evidence.ended - lastLed, lastLed) }
        return .of(
            promise, holds: longest <= limit.inSeconds + Self.look,
            "\(readable(longest)) between two looks that found a leader (looks are \(readable(Self.look)) apart at most)",
            longest > limit.inSeconds + Self.look ? ["from \(run.clock(since)) on"] : [])
    }

    static func portsKept(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        var ports: [String: Int] = [:]
        var details: [String] = []
        for view in run.evidence.views where view.t >= run.evidence.began {
            for server in view.servers {
                var holders: [Int: String] = [:]
                for (exposure, port) in server.ports.sorted(by: { $0.key < $1.key }) {
                    if let before = ports[exposure], before != port {
                        details.append("\(run.clock(view.t)) \(exposure): \(before) became \(port), says \(server.name)")
                    }
                    if let holder = holders[port] {
                        details.append(
                            "\(run.clock(view.t)) \(port) is that of \(holder) and of \(exposure), says \(server.name)")
                    }
                    ports[exposure] = port
                    holders[port] = exposure
                }
            }
        }
        guard !ports.isEmpty else { return .void(promise, "nobody had a mapped port") }
        return .of(promise, holds: details.isEmpty, "\(ports.count) ports, \(details.count) changes", details)
    }

    static func agreement(_ promise: Promise, _ limit: Duration, _ run: JudgedRun) -> Verdict {
        guard let after = run.evidence.agreement.after else {
            let differences = run.evidence.agreement.differences
            guard !differences.isEmpty else { return .void(promise, "nobody was asked") }
            return .of(promise, holds: false, "never", differences)
        }
        return .of(promise, holds: after <= limit.inSeconds, "after \(readable(after))")
    }

    static func oneLeaderPerTerm(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        guard !run.evidence.views.isEmpty else { return .void(promise, "the cluster was not looked at") }
        var leaders: [UInt64: Set<String>] = [:]
        for claim in run.evidence.claims { leaders[claim.term, default: []].insert(claim.server) }
        for view in run.evidence.views {
            for server in view.servers where server.role == "leader" { leaders[server.term, default: []].insert(server.name) }
        }
        let doubled = leaders.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }
        return .of(
            promise, holds: doubled.isEmpty, "\(leaders.count) terms had a leader, \(doubled.count) had two",
            doubled.map { "term \($0.key): \($0.value.sorted().joined(separator: ", "))" })
    }
}

extension JudgedRun {
    /// Whether somebody cannot answer at a time, whatever was heard of it last: something keeps it from that, or it does not run.
    func isAway(_ name: String, at t: Double) -> Bool {
        let isStruck = self.evidence.faults.contains { fault in
            Self.away.contains(fault.action) && fault.victims.contains(name) && t >= fault.there
                && t <= fault.ended ?? self.evidence.healed
        }
        let lives = self.evidence.lives.filter { $0.name == name }
        return isStruck || !lives.isEmpty && !lives.contains { $0.started <= t && t < $0.ended ?? .infinity }
    }

    private static let away: Set<String> = ["kill", "kill_and_lose_disk", "stop", "reboot", "hang", "replace_voter"]
}
