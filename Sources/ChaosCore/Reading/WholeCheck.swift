import Settings

/// Whether the parts of a scenario fit together.
enum WholeCheck {
    static func check(_ scenario: Scenario, _ report: Report, line: (String) -> Int) {
        let stage = scenario.stage
        for fault in scenario.faults { self.check(fault, scenario, report) }
        if stage.isSupervised, stage.network != .loopback {
            report.problem(
                line("stage"), "stage.supervised", "services run on the loopback only",
                "write network: loopback, or supervised: false")
        }
        if stage.roundTrip > .zero, stage.network != .namespaces {
            report.problem(
                line("stage"), "stage.round_trip", "only links between namespaces can be slow", "write network: namespaces")
        }
        if scenario.promises.allSatisfy({ Promise.always.contains($0) }) {
            report.problem(
                line("promises"), "promises", "nothing is promised beyond what holds always", "write promises: {failed_new: 0}")
        }
    }

    private static func check(_ fault: FaultPlan, _ scenario: Scenario, _ report: Report) {
        let (stage, name) = (scenario.stage, fault.action.name)
        func problem(_ wrong: String, _ mend: String) { report.problem(fault.line, "faults", wrong, mend) }
        if fault.action.isOfLinks, stage.network != .namespaces {
            problem("\(name) is possible between namespaces only", "write stage: {network: namespaces}")
        }
        switch fault.action {
        case .hang where !stage.needsFaultsBuild:
            problem("hang needs programs that can break themselves", "write stage: {faults_build: true}")
        case .fillDisk where stage.disk == nil:
            problem("fill_disk needs disks that can be full", "write stage: {disk: 8MiB}")
        case .replaceVoter where stage.spares == 0:
            problem("replace_voter needs a server to take the place", "write stage: {spares: 1}")
        case .dropFleet where stage.fleet == 0: problem("drop_fleet needs a fleet", "write stage: {fleet: 300}")
        case .clock where stage.isSupervised: problem("clock cannot be set for services", "write stage: {supervised: false}")
        default: break
        }
        for case .named(let one) in [fault.who, fault.other].compactMap({ $0 }) where !self.names(stage).contains(one) {
            problem("there is no \(one) on this stage", "there are: \(self.names(stage).joined(separator: ", "))")
        }
        if let lasts = fault.lasts, lasts.lowerBound > scenario.duration {
            problem("it lasts longer than the whole run", "give it less time, or the run more (duration)")
        }
        if self.needsEnd(fault.action), fault.lasts == nil {
            problem("\(name) has to end some time", "write for: 2s")
        }
    }

    private static func names(_ stage: StageLayout) -> [String] {
        (1...stage.servers + stage.spares).map { "controller-\($0)" } + (1...stage.clients).map { "worker-\($0)" }
            + (1...stage.servers).map { "apiserver-\($0)" }
    }

    /// Whether it goes on until it is undone.
    private static func needsEnd(_ action: FaultAction) -> Bool {
        switch action {
        case .restart, .upgrade, .move, .reset, .rotateToken, .replaceVoter: false
        default: true
        }
    }
}
