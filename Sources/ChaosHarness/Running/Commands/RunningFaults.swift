import ChaosCore

/// The commands that make a fault in a running cluster, and those that undo it.
struct FaultSteps: Sendable, Equatable {
    /// One for each command of `begin` that is to be undone, and set right before it: undoes the fault by itself some time
    /// after it should be over, whatever becomes of this program and of the connection to the host.
    var safeguards: [HostCommand] = []
    var begin: [HostCommand] = []
    var end: [HostCommand] = []
    /// Takes the safeguards away again.
    var dismissals: [HostCommand] = []
    /// Who has to be back afterwards.
    var awaited: [String] = []
}

/// How each fault is made in a cluster that is in use. Pure.
struct RunningFaults: Sendable {
    let cluster: RunningCluster
    /// Distinguishes this run from others in the names of what it leaves on a host.
    let run: String

    /// From the time at which a fault should be over to that at which the host undoes it by itself. Longer than a command that
    /// begins a fault may take: it must not begin after its safeguard has come.
    static let grace = Duration.seconds(20)

    /// What is done for `fault`.
    ///
    /// - Parameter linked: the servers that a client's links lead to now, the one in use first.
    /// - Throws: `StageError`: it is none that can be made here, and why.
    func steps(_ fault: ResolvedFault, linked: (String) -> [String] = { _ in [] }) throws -> FaultSteps {
        if let reason = Self.refusal(of: fault.action) { throw StageError(reason) }
        var steps = FaultSteps()
        for name in fault.victims { try self.add(fault, try self.member(name), linked, to: &steps) }
        steps.awaited = fault.victims
        return steps
    }

    /// Why a fault cannot be made in a running cluster; nil: it can.
    static func refusal(of action: FaultAction) -> String? {
        let reason: String
        switch action {
        case .kill, .stop, .restart, .upgrade, .drain, .move, .cut, .cutOneWay: return nil
        case .killWithDisk: reason = "it would destroy state; use kill"
        case .replaceVoter: reason = "it would change the cluster for good; use gotunnelctl cluster"
        case .rotateToken: reason = "it would change secrets; see docs on tokens"
        case .reboot: reason = "it would take a machine's power; use kill"
        case .ring, .flap, .reset: reason = "use cut or cut_one_way"
        case .loss, .rate, .delay: reason = "it would slow down everything else on the host; use cut or cut_one_way"
        case .starve, .exhaustFiles, .fillDisk, .clock: reason = "it would harm what else runs on the host; use stop"
        case .hang: reason = "only a build for tests can break itself; use stop"
        case .dropFleet: reason = "a running cluster has no fleet of the rehearsal's own"
        }
        return "\(action.name) is not done to a running cluster: \(reason)"
    }

    private func member(_ name: String) throws -> RunningMember {
        guard let member = self.cluster.member(name) else {
            throw StageError("\(name) is no server or client of \(self.cluster.name)")
        }
        return member
    }

    private func add(
        _ fault: ResolvedFault, _ member: RunningMember, _ linked: (String) -> [String], to steps: inout FaultSteps
    ) throws {
        let unit = member.unit
        switch fault.action {
        case .kill:
            // Its supervisor starts it again; the rest is for one that has none or that gave up.
            self.add(
                to: &steps, fault, on: member, begin: ["systemctl", "kill", "-s", "SIGKILL", unit],
                end: ["systemctl", "start", unit])
        case .stop:
            self.add(
                to: &steps, fault, on: member, begin: ["systemctl", "kill", "-s", "SIGSTOP", unit],
                end: ["systemctl", "kill", "-s", "SIGCONT", unit])
        case .restart: steps.begin.append(HostCommand(member, ["systemctl", "restart", unit]))
        case .upgrade: steps.begin.append(self.control(member, ["upgrade"]))
        case .drain:
            guard member.role == .server else { throw StageError("\(member.name) is a client: only servers are drained") }
            self.add(
                to: &steps, fault, on: member, begin: self.control(member, ["drain"]).words,
                end: self.control(member, ["undrain"]).words)
        case .move: try self.addMove(of: member, linked(member.name), to: &steps)
        case .cut, .cutOneWay: try self.addCut(fault, member, to: &steps)
        default: break
        }
    }

    /// A fault that has an end, with its safeguard.
    private func add(to steps: inout FaultSteps, _ fault: ResolvedFault, on host: RunningMember, begin: [String], end: [String]) {
        let name = "gotunnel-chaos-\(self.run)-\(fault.number)-\(steps.safeguards.count)"
        let delay = (fault.lasts ?? .zero) + Self.grace
        steps.safeguards.append(HostCommand(host, Self.safeguard(name, after: delay, end)))
        steps.begin.append(HostCommand(host, begin))
        steps.end.append(HostCommand(host, end))
        // It may have done its work already.
        steps.dismissals.append(HostCommand(host, ["systemctl", "stop", "\(name).timer"], mayFail: true))
    }

    /// Has the host's own systemd run a command after some time.
    static func safeguard(_ name: String, after delay: Duration, _ command: [String]) -> [String] {
        [
            "systemd-run", "--quiet", "--collect", "--unit=\(name)", "--on-active=\(delay.inMilliseconds)ms",
            "--timer-property=AccuracySec=100ms", "--",
        ] + command
    }

    private func control(_ member: RunningMember, _ words: [String]) -> HostCommand {
        HostCommand(member, [self.cluster.control] + words + ["--socket", member.socket])
    }

    private func addMove(of client: RunningMember, _ linked: [String], to steps: inout FaultSteps) throws {
        guard client.role == .client else { throw StageError("\(client.name) is a server: only clients are moved") }
        guard let from = linked.first.flatMap(self.cluster.member), let to = linked.dropFirst().first else {
            throw StageError("\(client.name) has no second server that it could be moved to")
        }
        steps.begin.append(
            HostCommand(from, [self.cluster.control, "move", "--socket", from.socket, "--", client.name, to]))
    }

    private func addCut(_ fault: ResolvedFault, _ victim: RunningMember, to steps: inout FaultSteps) throws {
        let far = try fault.others.filter { $0 != victim.name }.map(self.member)
        guard !far.isEmpty else { throw StageError("\(fault.action.name) of \(victim.name): from whom? Write between:") }
        guard fault.lasts != nil else { throw StageError("\(fault.action.name) of \(victim.name): for how long? Write for:") }
        for cut in try LinkCut.cuts(of: victim, from: far, isOneWay: fault.action == .cutOneWay) {
            let table = "gotunnel_chaos_\(self.run)_\(fault.number)_\(steps.safeguards.count)"
            self.add(
                to: &steps, fault, on: cut.host, begin: ["nft", cut.rules(table: table)],
                end: ["nft", "delete", "table", "inet", table])
        }
    }
}

extension Duration {
    fileprivate var inMilliseconds: Int64 {
        self.components.seconds * 1_000 + self.components.attoseconds / 1_000_000_000_000_000
    }
}
