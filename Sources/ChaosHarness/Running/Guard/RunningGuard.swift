import ChaosCore

/// Keeps a rehearsal from doing more to a running cluster than it can bear, and from doing anything unasked.
package struct RunningGuard: Sendable {
    package let cluster: RunningCluster

    package init(_ cluster: RunningCluster) {
        self.cluster = cluster
    }

    // MARK: Asking

    /// How an operator agreed, or why not.
    package enum Consent: Sendable, Equatable {
        case given
        /// In one line, with what to do about it.
        case refused(String)
    }

    /// Whether the operator agrees to what was shown before.
    ///
    /// - Parameters:
    ///   - yes: the value of `--yes`: the cluster's name, for use without a terminal.
    ///   - isTerminal: whether somebody can be asked.
    ///   - ask: shows a question and gives the answer; nil at the end of the input.
    package func consent(yes: String?, isTerminal: Bool, ask: (String) -> String?) -> Consent {
        let name = self.cluster.name
        if let yes {
            return yes == name
                ? .given : .refused("--yes \(yes) is not the name of this cluster, which is \(name); nothing was done")
        }
        guard isTerminal else {
            return .refused("nobody can be asked: standard input is no terminal; give --yes \(name) if this is meant")
        }
        guard let answer = ask("Type the name of the cluster to go on: ") else { return .refused("no answer; nothing was done") }
        return answer.trimmingBlanks == name ? .given : .refused("that is not \(name); nothing was done")
    }

    // MARK: Before anything is done

    /// What keeps a schedule from being carried out at all, a line each.
    package func objections(to schedule: [ScheduledFault]) -> [String] {
        var objections: [String] = []
        for plan in Self.plans(of: schedule) {
            let fault = "line \(plan.line): \(plan.action.name) \(plan.who.name)"
            if let refusal = RunningFaults.refusal(of: plan.action) {
                objections.append("line \(plan.line): \(refusal)")
            } else if [.allServers, .everyone].contains(plan.who), self.cluster.servers.count > 1 {
                objections.append("\(fault): at most one server is struck at a time; write each server")
            } else if [.anyApiserver, .eachApiserver, .allApiservers, .activeApiserver].contains(plan.who) {
                objections.append("\(fault): apiservers of a running cluster are left alone")
            } else if case .named(let name) = plan.who, self.cluster.member(name) == nil {
                objections.append("\(fault): \(self.cluster.name) has no such server or client")
            } else if self.needsClients(plan.who), self.cluster.clients.isEmpty {
                objections.append("\(fault): the cluster's file names no clients")
            }
        }
        return objections
    }

    private func needsClients(_ target: Target) -> Bool {
        [.anyClient, .eachClient, .allClients, .active].contains(target)
    }

    /// The plans of a schedule, each once, in the order of the file.
    static func plans(of schedule: [ScheduledFault]) -> [FaultPlan] {
        var plans: [FaultPlan] = []
        for fault in schedule where !plans.contains(fault.plan) { plans.append(fault.plan) }
        return plans.sorted { $0.line < $1.line }
    }

    /// What an operator is shown before being asked.
    package func announcement(of schedule: [ScheduledFault], title: String, lasting: Duration) -> [String] {
        var lines = ["This strikes the running cluster \(self.cluster.name): \(title)"]
        for member in self.cluster.members {
            lines.append("  \(member.role.rawValue) \(member.name): \(member.unit) on \(member.place)")
        }
        lines.append("What is done, one at a time, during \(lasting.shown) or a little more:")
        for plan in Self.plans(of: schedule) {
            let count = schedule.count { $0.plan == plan }
            let far = plan.other.map { " from \($0.name)" } ?? ""
            let length = plan.lasts.map {
                $0.lowerBound == $0.upperBound
                    ? " for \($0.upperBound.shown)" : " for \($0.lowerBound.shown) to \($0.upperBound.shown)"
            }
            lines.append("  \(count) × \(plan.action.name) \(plan.who.name)\(far)\(length ?? "")")
        }
        lines.append("Before each, every server must be ready and a quorum there. ^C undoes what is at work and ends it.")
        return lines
    }

    // MARK: Before each fault

    /// Why a fault is never made in this cluster, however well it is; nil: it may be, as soon as the view has no troubles.
    func refusal(of fault: ResolvedFault) -> String? {
        let servers = self.cluster.servers.map(\.name)
        let met = fault.victims.filter(servers.contains).sorted()
        if met.count > 1 { return "it would strike \(met.count) servers at once" }
        // A restart or an upgrade hands everything over; anything else leaves the others alone with the work.
        let isHandedOver = [.restart, .upgrade].contains(fault.action)
        if !met.isEmpty, fault.action.takesAway, !isHandedOver, (servers.count - 1) * 2 <= servers.count {
            return "without \(met[0]) there would be no majority of \(servers.count) server\(servers.count == 1 ? "" : "s")"
        }
        return nil
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\n" }
        return String(self.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
