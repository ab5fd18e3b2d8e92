import Admin
import ChaosCore
import Foundation

/// A scenario with a running cluster: nothing is started, the faults of the scenario come to what runs, one after another, and
/// a probe notices what they do.
package struct RunningRehearsal: Sendable {
    package let cluster: RunningCluster
    package let scenario: Scenario
    package let duration: Duration
    package let seed: UInt64
    let schedule: [ScheduledFault]
    private let caller: any CommandCaller

    /// How long a cluster that was struck may take until it may be struck again.
    private static let patience = Duration.seconds(60)

    /// A cluster that takes its time to become well makes faults late; by so much the whole may be longer.
    private static let lateness = Duration.seconds(10)

    package init(
        _ cluster: RunningCluster, _ scenario: Scenario, duration: Duration?, seed: UInt64,
        caller: any CommandCaller = ProgramCaller()
    ) {
        self.cluster = cluster
        self.scenario = scenario
        self.duration = duration ?? scenario.duration
        self.seed = seed
        self.schedule = Schedule.make(scenario, duration: self.duration, seed: seed)
        self.caller = caller
    }

    /// What keeps it from being carried out at all, a line each.
    package var objections: [String] {
        self.schedule.isEmpty
            ? ["\(self.scenario.name) brings no fault within \(self.duration.shown)"]
            : self.guardian.objections(to: self.schedule)
    }

    /// What an operator has to read before agreeing.
    package var announcement: [String] {
        let left = self.promises.left.count
        let note = left > 0 ? ["\(left) promises of the scenario cannot be judged here and are left out."] : []
        let whole = self.scenario.warmup + self.duration + self.scenario.settle
        return self.guardian.announcement(of: self.schedule, title: self.scenario.title, lasting: whole) + note
    }

    /// The scenario with the promises that can be judged, to judge by.
    package var judged: Scenario {
        var scenario = self.scenario
        scenario.promises = self.promises.judged
        return scenario
    }

    package var promises: RunningPromises { RunningPromises(of: self.scenario.promises, in: self.cluster) }
    package var guardian: RunningGuard { RunningGuard(self.cluster) }

    /// Carries it out; to be called with an operator's consent only. When the task is cancelled, what is at work is undone.
    ///
    /// - Throws: `StageError`: the cluster is in no state to be struck.
    package func run(
        say: @escaping @Sendable (String) -> Void, progress: @escaping @Sendable (String?) -> Void
    ) async throws -> Evidence {
        if let objection = self.objections.first { throw StageError(objection) }
        let sockets = SharedConnections()
        let watch = RunningWatch(cluster: self.cluster, caller: self.caller, sockets: sockets.folder)
        do {
            try await self.preflight(watch, sockets.folder)
            let evidence = try await self.rehearse(watch, sockets.folder, say, progress)
            await sockets.end(self.cluster, self.caller)
            return evidence
        } catch {
            progress(nil)
            await sockets.end(self.cluster, self.caller)
            throw error
        }
    }

    /// Whether everybody is there, well, and what the file says.
    private func preflight(_ watch: RunningWatch, _ sockets: String?) async throws {
        let view = await watch.look()
        if let trouble = view.troubles.first { throw StageError("\(self.cluster.name) is in no state to be struck: \(trouble)") }
        let pids = view.servers.map { ($0.name, $0.status?.process.pid) } + view.clients.map { ($0.name, $0.status?.process.pid) }
        for (name, pid) in pids {
            guard let member = self.cluster.member(name), let pid else { continue }
            let command = HostCommand(member, ["systemctl", "show", "--property=MainPID", "--value", member.unit])
            let outcome = await self.caller.call(command.onThisMachine(sockets: sockets), within: .seconds(10))
            if let failure = outcome.failure { throw StageError("\(command.text): \(failure)") }
            // Otherwise a fault would meet another process than the one that is watched.
            let main = String(decoding: outcome.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            guard main == "\(pid)" else {
                let place = "\(member.unit) on \(member.place) is not what answers at \(member.socket)"
                throw StageError("\(place) (its process is \(SafeText.line(main)), not \(pid)); name the right unit:")
            }
        }
    }

    private func rehearse(
        _ watch: RunningWatch, _ sockets: String?, _ say: @escaping @Sendable (String) -> Void,
        _ progress: @escaping @Sendable (String?) -> Void
    ) async throws -> Evidence {
        let (probe, direct) = try self.probes()
        watch.start()
        probe?.start()
        direct?.start()
        let began = Self.now()
        let live = self.live(watch, probe, progress)
        defer { live.cancel() }
        var evidence = Evidence(began: began, healed: began, ended: began)
        do {
            try await Task.sleep(for: self.scenario.warmup)
            evidence.faults = try await self.carryOut(watch, sockets, say)
            evidence.healed = Self.now()
            evidence.agreement = await RunningAgreement(cluster: self.cluster, watch: watch).wait(within: self.scenario.settle)
            try await Task.sleep(for: .seconds(max(0, self.scenario.settle.inSeconds - (Self.now() - evidence.healed))))
            evidence.ended = Self.now()
        } catch {
            for stop in [watch.stop, probe?.stop, direct?.stop] { await stop?() }
            throw error
        }
        for stop in [watch.stop, probe?.stop, direct?.stop] { await stop?() }
        progress(nil)
        evidence.observations = (probe?.observations ?? []).sorted { $0.t < $1.t }
        evidence.control = (direct?.observations ?? []).sorted { $0.t < $1.t }
        (evidence.views, evidence.usage, evidence.lives) = (watch.views, watch.usage, watch.lives)
        return evidence
    }

    private func probes() throws -> (ReadyProbe?, ReadyProbe?) {
        guard let plan = self.cluster.probe else { return (nil, nil) }
        let who = self.cluster.clients.first?.name ?? "probe"
        return (
            try ReadyProbe(plan.url, of: plan, who: who), try plan.direct.map { try ReadyProbe($0, of: plan, who: "control") }
        )
    }

    // MARK: The faults

    /// One after another, each as soon after its time as the cluster is well again. When it does not become well, or a fault
    /// cannot be undone, nothing more is done to it; the last record says why.
    private func carryOut(
        _ watch: RunningWatch, _ sockets: String?, _ say: @Sendable (String) -> Void
    ) async throws -> [FaultRecord] {
        let executor = RunningExecutor(
            cluster: self.cluster, run: "\(getpid())", caller: self.caller, watch: watch, sockets: sockets)
        let began = ContinuousClock.now
        var records: [FaultRecord] = []
        var turns = TargetTurns()
        do {
            for scheduled in self.schedule {
                try await Task.sleep(until: began + scheduled.at, clock: .continuous)
                // First, since what is well again may have another leader.
                if let reason = try await self.reasonToStop(watch) {
                    say(reason)
                    records.append(Self.record(of: scheduled, problem: reason))
                    return records
                }
                guard ContinuousClock.now - began <= self.duration + Self.lateness else {
                    say("the time is over; \(self.schedule.count - scheduled.number) faults are left out")
                    return records
                }
                guard let fault = self.resolve(scheduled, watch, &turns, say) else { continue }
                let (record, isUndone) = try await self.strike(fault, executor, watch, say)
                records.append(record)
                if !isUndone { return records }
            }
            try await Task.sleep(until: began + self.duration, clock: .continuous)
        } catch {
            for line in await executor.endAll() { say(line) }
            throw error
        }
        return records
    }

    private static func record(of scheduled: ScheduledFault, problem: String) -> FaultRecord {
        FaultRecord(
            number: scheduled.number, action: scheduled.name, victims: [], began: self.now(), there: self.now(), problem: problem)
    }

    private func resolve(
        _ scheduled: ScheduledFault, _ watch: RunningWatch, _ turns: inout TargetTurns, _ say: (String) -> Void
    ) -> ResolvedFault? {
        let cast = TargetCast(
            servers: self.cluster.servers.map(\.name), clients: self.cluster.clients.map(\.name), apiservers: [])
        let met = TargetResolver.resolve(scheduled, cast: cast, view: watch.latest, struck: [], turns: &turns)
        guard !met.victims.isEmpty else {
            say("\(scheduled.name): skipped, \(met.reason ?? "nobody to meet")")
            return nil
        }
        let fault = ResolvedFault(
            number: scheduled.number, action: scheduled.plan.action, victims: met.victims, others: met.others,
            lasts: scheduled.lasts)
        if let refusal = self.guardian.refusal(of: fault) {
            say("\(fault.text): skipped, \(refusal)")
            return nil
        }
        return fault
    }

    /// Waits until the cluster is well.
    ///
    /// - Returns: why it must not be struck any more, when it does not become so.
    private func reasonToStop(_ watch: RunningWatch) async throws -> String? {
        let end = ContinuousClock.now + Self.patience
        while true {
            guard let trouble = await watch.look().troubles.first else { return nil }
            try Task.checkCancellation()
            guard ContinuousClock.now < end else {
                return "no further fault, as \(self.cluster.name) is not well after \(Self.patience.shown): \(trouble)"
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// - Returns: what happened, and whether nothing is left of it.
    private func strike(
        _ fault: ResolvedFault, _ executor: RunningExecutor, _ watch: RunningWatch, _ say: (String) -> Void
    ) async throws -> (FaultRecord, isUndone: Bool) {
        say(fault.text)
        watch.note(struck: fault.victims)
        defer { watch.note(healed: fault.victims) }
        let asked = Self.now()
        var record = FaultRecord(
            number: fault.number, action: fault.action.name, victims: fault.victims + fault.others, began: asked, there: asked)
        do {
            try await executor.begin(fault)
            record.there = Self.now()
            try await Task.sleep(for: fault.lasts ?? .zero)
            try await executor.end(fault)
            record.ended = Self.now()
            return (record, true)
        } catch {
            try Task.checkCancellation()
            say("\(fault.action.name): \(error)")
            record.problem = "\(error)"
            return (record, !(error is RunningExecutor.NotUndone))
        }
    }

    // MARK: Saying how it goes

    private func live(
        _ watch: RunningWatch, _ probe: ReadyProbe?, _ progress: @escaping @Sendable (String?) -> Void
    ) -> Task<Void, Never> {
        let whole = self.scenario.warmup + self.duration + self.scenario.settle
        return Task {
            let began = ContinuousClock.now
            while !Task.isCancelled {
                let all = probe?.observations ?? []
                progress(
                    LiveLine.text(
                        elapsed: ContinuousClock.now - began, whole: whole, faults: watch.strikes, leader: watch.latest?.leader,
                        done: all.count { $0.what == .done }, failed: all.count { $0.what == .failed },
                        slowest: all.compactMap(\.took).max() ?? 0))
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private static func now() -> Double { TrafficClock.now() / 1_000 }
}
