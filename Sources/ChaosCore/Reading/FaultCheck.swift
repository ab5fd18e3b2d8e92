import Settings

/// Whether a fault is possible on its stage, within its run, and to whom it meets.
struct FaultCheck {
    private let fault: FaultPlan
    private let place: String
    private let scenario: Scenario
    private let report: Report

    init(_ fault: FaultPlan, _ place: String, _ scenario: Scenario, _ report: Report) {
        self.fault = fault
        self.place = place
        self.scenario = scenario
        self.report = report
    }

    private var stage: StageLayout { self.scenario.stage }
    private var name: String { self.fault.action.name }

    func check() {
        self.checkNeeds()
        self.checkVictims()
        self.checkTimes()
    }

    /// What the stage has to have.
    private func checkNeeds() {
        if self.fault.action.isOfLinks, self.stage.network != .namespaces {
            self.problem("\(self.name) is possible between namespaces only", "write stage: {network: namespaces}")
        }
        switch self.fault.action {
        case .hang where !self.stage.needsFaultsBuild:
            self.problem("hang needs programs that can break themselves", "write stage: {faults_build: true}")
        case .hang where !self.stage.isSupervised:
            self.problem("hang needs somebody who ends what hangs", "write stage: {supervised: true}")
        case .fillDisk where self.stage.disk == nil:
            self.problem("fill_disk needs disks that can be full", "write stage: {disk: 8MiB}")
        case .replaceVoter where self.stage.spares == 0:
            self.problem("replace_voter needs a server to take the place", "write stage: {spares: 1}")
        case .dropFleet where self.stage.fleet == 0: self.problem("drop_fleet needs a fleet", "write stage: {fleet: 300}")
        case .clock where self.stage.isSupervised:
            self.problem("clock cannot be set for services", "write stage: {supervised: false}")
        case .ring where self.stage.servers < 4:
            self.problem("in a ring of \(self.stage.servers) servers every one is a neighbour", "write stage: {servers: 5}")
        default: break
        }
    }

    private func checkVictims() {
        let names = self.stage.names
        for case .named(let one) in [self.fault.who, self.fault.other].compactMap({ $0 }) where !names.contains(one) {
            self.problem(
                "there is no \(one) on this stage",
                PrintableText.nearest(to: one, among: names).map { "did you mean \($0)?" }
                    ?? "there are: \(names.joined(separator: ", "))")
        }
        let (met, possible) = (self.fault.who.roles, self.fault.action.roles)
        if !met.isSubset(of: possible) {
            let words = Target.words.filter { $0.roles.isSubset(of: possible) }.map(\.name)
            self.problem(
                "\(self.name) is not for \(self.fault.who.name)", "write who: a name, or one of \(words.joined(separator: ", "))")
        }
    }

    private func checkTimes() {
        let (lasts, duration) = (self.fault.lasts, self.scenario.duration)
        if self.fault.action.hasEnd, lasts == nil {
            self.problem("\(self.name) has to end some time", "write for: 2s")
        } else if !self.fault.action.hasEnd, lasts != nil {
            self.problem("\(self.name) is over by itself", "remove for")
        } else if self.fault.timing.earliest + (lasts?.lowerBound ?? .zero) > duration {
            self.problem(
                "it cannot end within the run, \(DurationText.format(duration)), and so never comes",
                "let it come earlier or for less time, or write duration: 2m")
        }
    }

    private func problem(_ wrong: String, _ mend: String) { self.report.problem(self.fault.line, self.place, wrong, mend) }
}

extension StageLayout {
    /// Everybody, by name.
    var names: [String] {
        let servers = self.servers + self.spares
        return (1...servers).map { "controller-\($0)" } + (1...self.clients).map { "worker-\($0)" }
            + (1...servers).map { "apiserver-\($0)" }
    }
}

extension FaultPlan.Timing {
    /// The first possible time.
    var earliest: Duration {
        switch self {
        case .at(let time), .every(_, let time): time
        case .random(let range): range.lowerBound
        }
    }
}

/// What somebody is on the stage.
enum Role: Hashable, CaseIterable { case server, client, apiserver }

extension Target {
    /// What those that it may mean are.
    var roles: Set<Role> {
        switch self {
        case .named(let name): name.hasPrefix("apiserver-") ? [.apiserver] : name.hasPrefix("worker-") ? [.client] : [.server]
        case .anyServer, .eachServer, .allServers, .leader, .follower, .active: [.server]
        case .anyClient, .eachClient, .allClients: [.client]
        case .anyApiserver, .eachApiserver, .allApiservers, .activeApiserver: [.apiserver]
        case .eachPeer, .everyone: [.server, .client]
        }
    }
}

extension FaultAction {
    /// To whom it can happen.
    var roles: Set<Role> {
        switch self {
        case .drain, .fillDisk, .replaceVoter, .ring: [.server]
        case .move, .reboot: [.client]
        case .upgrade, .hang, .clock, .killWithDisk: [.server, .client]
        default: Set(Role.allCases)
        }
    }

    /// Whether it goes on until it is undone.
    var hasEnd: Bool {
        switch self {
        case .restart, .upgrade, .move, .reset, .rotateToken, .replaceVoter: false
        default: true
        }
    }

    /// Whether it happens between two sides; `reset` may.
    var hasTwoSides: Bool {
        switch self {
        case .cut, .cutOneWay, .flap, .reset: true
        default: false
        }
    }
}
