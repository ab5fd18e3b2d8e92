import Settings

/// Whether the parts of a scenario fit together.
struct WholeCheck {
    let scenario: Scenario
    let report: Report
    /// The line of a key of the file.
    let line: (String) -> Int

    private var stage: StageLayout { self.scenario.stage }

    /// - Parameter places: where each fault stands in the file, such as `faults[1]`.
    func check(_ places: [String]) {
        self.checkStage()
        for (fault, place) in zip(self.scenario.faults, places) { FaultCheck(fault, place, self.scenario, self.report).check() }
        self.checkReplacements()
        self.checkSettle()
        for promise in self.scenario.promises { self.check(promise) }
    }

    private func checkStage() {
        if self.stage.isSupervised, self.stage.network != .loopback {
            self.problem(
                "stage", "supervised", "services run on the loopback only", "write network: loopback, or supervised: false")
        }
        if self.stage.roundTrip > .zero, self.stage.network != .namespaces {
            self.problem("stage", "round_trip", "only links between namespaces can be slow", "write network: namespaces")
        }
        if self.stage.fleet > 0, self.stage.network != .loopback {
            self.problem("stage", "fleet", "a fleet is possible on the loopback only", "write network: loopback, or fleet: 0")
        }
    }

    private func checkReplacements() {
        let replaced = Schedule.make(self.scenario, duration: self.scenario.duration, seed: 0).count {
            if case .replaceVoter = $0.plan.action { true } else { false }
        }
        if self.stage.spares > 0, replaced > self.stage.spares {
            self.problem(
                "stage", "spares", "\(replaced) voters are replaced, by \(self.stage.spares) spare servers",
                "write spares: \(replaced), or replace fewer")
        }
    }

    /// What is agreed on after the time to settle is not seen any more.
    private func checkSettle() {
        for case .agreement(let limit) in self.scenario.promises where limit > self.scenario.settle {
            self.report.problem(
                self.line("settle"), "settle", "it is shorter than agreement, \(DurationText.format(limit))",
                "write settle: \(DurationText.format(limit))")
        }
    }

    // MARK: Promises

    /// Promises of which nothing could ever be said.
    private func check(_ promise: Promise) {
        let traffic = self.scenario.traffic
        switch promise {
        case .failed(let kind, _): self.needs(self.isAsked(kind), "\(kind.rawValue) requests", promise)
        case .slowest(let kind, _), .p99(let kind, _):
            self.needs(self.isAsked(kind), "\(kind.rawValue) requests", promise)
            self.needsFailed(kind, promise)
        case .longestSilence, .recovered: self.needs(self.isAsked(.new) || self.isAsked(.get), "short requests", promise)
        case .latestEvent: self.needs(traffic.watches > 0, "watches", promise)
        case .broken: self.needs(traffic.watches + traffic.execs + traffic.mapped > 0, "long streams", promise)
        case .leaderless where self.stage.servers == 1, .noFalseDeath where self.stage.servers == 1:
            self.problem(
                "promises", promise.key, "a server that is alone has no leader and no peers", "write stage: {servers: 3}")
        case .restartedWithin where !self.stage.isSupervised:
            self.problem(
                "promises", promise.key, "only what is supervised is started again by anybody else than the rehearsal",
                "write stage: {supervised: true}")
        default: break
        }
    }

    private func isAsked(_ kind: Observation.Kind) -> Bool {
        switch kind {
        case .new: self.scenario.traffic.new > 0
        case .get: self.scenario.traffic.get > 0
        case .list: self.scenario.traffic.lists > 0
        case .upload: self.scenario.traffic.uploads > 0
        case .watch, .exec, .kubectl: true
        }
    }

    private func needs(_ isThere: Bool, _ what: String, _ promise: Promise) {
        guard !isThere else { return }
        self.problem("promises", promise.key, "this traffic has no \(what)", "change traffic, or remove the promise")
    }

    /// A request that fails is no slow one: without a promise on failures, nobody would count it.
    private func needsFailed(_ kind: Observation.Kind, _ promise: Promise) {
        let isCounted = self.scenario.promises.contains { if case .failed(kind, _) = $0 { true } else { false } }
        guard !isCounted else { return }
        self.problem(
            "promises", promise.key, "it says nothing of requests that fail", "write failed_\(kind.rawValue): 0 beside it")
    }

    private func problem(_ section: String, _ key: String, _ wrong: String, _ mend: String) {
        self.report.problem(self.line(section), "\(section).\(key)", wrong, mend)
    }
}
