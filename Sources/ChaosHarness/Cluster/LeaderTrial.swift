#if canImport(Glibc)
import Glibc
#endif

/// Kills the leader again and again: until a survivor says that it leads.
struct LeaderTrial {
    var kills: Int
    /// After the server that was killed is ready again.
    static let pause = Duration.seconds(3)
    static let limit = 500.0
    static let patience = Duration.seconds(8)

    func run(_ plan: ClusterStage.Plan, _ outcome: inout TrialOutcome, say: (String) -> Void) async throws {
        // Of fifty, one may take longer. Fewer kills cannot tell one in fifty from none, so one may there as well.
        var measurement = Measurement(
            "next leader after kill -9", wanted: self.kills, limit: Self.limit, allowedMisses: max(1, self.kills / 50))
        var agreed = Measurement("known to every survivor", wanted: self.kills, limit: nil)
        try await ClusterStage.with(plan) { stage in
            let control = try await Control.start()
            do {
                while measurement.needsMore {
                    try await self.once(stage, control, &measurement, &agreed)
                    let number = measurement.samples.count
                    if number % 10 == 0 { say("\(number) of \(self.kills) kills") }
                }
            } catch {
                await control.stop()
                throw error
            }
            await control.stop()
        }
        outcome.rows += [measurement.row, agreed.row]
    }

    private func once(
        _ stage: ClusterStage, _ control: Control, _ measurement: inout Measurement, _ agreed: inout Measurement
    ) async throws {
        try await stage.settle(stage.servers)
        try await Task.sleep(for: Self.pause)
        let leader = try await stage.settle(stage.servers)
        let survivors = stage.servers.filter { $0 != leader }
        var logs = LogWatch(survivors)
        let fault = FaultMoment.now()
        stage.signal(leader, SIGKILL)
        _ = try await logs.wait(within: Self.patience) { Self.known(to: survivors, in: $0, after: fault) != nil }
        let first = logs.all { $0.isNewLeader && fault.precedes($0) }.map { fault.until($0.entry) }.min()
        let last = Self.known(to: survivors, in: logs, after: fault)
        try await stage.restart(leader)
        let cost = control.slowest(since: fault, lasting: max(first ?? 8_000, Self.limit))
        measurement.add(Sample(took: first, control: cost))
        agreed.add(Sample(took: last, control: cost))
    }

    /// How long after the fault the last of the survivors had named a leader; nil: one has not.
    private static func known(to survivors: [ClusterStage.Server], in logs: LogWatch, after fault: FaultMoment) -> Double? {
        let names = survivors.map(\.name)
        let times = names.compactMap { name in
            logs.entries[name]?.first { entry in
                entry.message == "leadership changed" && fault.precedes(entry) && names.contains(entry.fields["leader"] ?? "")
            }.map { fault.until($0) }
        }
        return times.count == names.count ? times.max() : nil
    }
}
