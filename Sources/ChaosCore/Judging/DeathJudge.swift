/// Judges what servers say of each other's life.
enum DeathJudge {
    /// After what is done to somebody is over, verdicts about it may still come for so long, in seconds: what was missed in the
    /// meantime becomes a suspicion at once and a verdict when nobody contradicts for 2 s.
    private static let grace = 5.0

    static func noFalseDeath(_ promise: Promise, _ run: JudgedRun) -> Verdict {
        guard !run.evidence.views.isEmpty else { return .void(promise, "the cluster was not looked at") }
        let all = run.evidence.verdicts.filter { run.isJudged($0.t) }
        let wrong = all.filter { verdict in
            !run.evidence.faults.contains { fault in
                let begin = min(fault.began, fault.there)
                let end = max(fault.there, fault.ended ?? run.evidence.healed) + Self.grace
                return verdict.t >= begin && verdict.t <= end && fault.excuses(verdict)
            }
        }
        return .of(
            promise, holds: wrong.isEmpty, "\(all.count) deaths declared, \(wrong.count) of them wrongly",
            wrong.map { "\(run.clock($0.t)) \($0.server) held \($0.peer) dead" })
    }
}

extension FaultRecord {
    /// Nobody can ask them anything, and they hear of nobody.
    private static let silencing: Set<String> = [
        "kill", "kill_and_lose_disk", "stop", "restart", "upgrade", "reboot", "hang", "replace_voter", "clock",
    ]
    private static let cutting: Set<String> = ["cut", "cut_one_way", "flap", "ring"]

    /// Whether it lets one server hold another dead: one of them is silent, or the way between the two is. A server that is
    /// slow, drained, or without files or disk, or whose links break or lose packets, runs and can be reached.
    func excuses(_ verdict: DeathVerdict) -> Bool {
        if Self.silencing.contains(self.action) {
            return self.victims.contains(verdict.peer) || self.victims.contains(verdict.server)
        }
        guard Self.cutting.contains(self.action), self.victims.contains(verdict.peer), self.victims.contains(verdict.server)
        else { return false }
        return self.others.isEmpty || self.others.contains(verdict.peer) != self.others.contains(verdict.server)
    }
}
