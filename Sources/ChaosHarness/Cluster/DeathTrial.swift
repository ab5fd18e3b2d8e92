#if canImport(Glibc)
import Glibc
#endif

/// Kills servers, and cuts others off without a word: until each of the peers says that they are dead.
struct DeathTrial {
    private let size: ClusterTrial.Size
    static let killLimit = 300.0
    static let cutLimit = 3_000.0

    init(_ size: ClusterTrial.Size) { self.size = size }

    func run(_ plan: ClusterStage.Plan, _ outcome: inout TrialOutcome, say: (String) -> Void) async throws {
        say("kills servers")
        var places = plan
        places.folder += "/killed"
        let kills = try await self.rehearse(
            places, Measurement("a peer knows of the killed one", wanted: 2 * self.size.deaths, limit: Self.killLimit), &outcome)
        outcome.rows.append(kills.row)
        guard self.size.hasNamespaces, self.size.cuts > 0 else { return }
        say("cuts servers off")
        places.folder = "\(plan.folder)/cut"
        places.network = .namespaces
        let cuts = try await self.rehearse(
            places, Measurement("a peer knows of the cut one", wanted: 2 * self.size.cuts, limit: Self.cutLimit), &outcome)
        outcome.rows.append(cuts.row)
    }

    private func rehearse(
        _ plan: ClusterStage.Plan, _ measurement: Measurement, _ outcome: inout TrialOutcome
    ) async throws -> Measurement {
        var measurement = measurement
        var lies: [String] = []
        try await ClusterStage.with(plan) { stage in
            let control = try await Control.start()
            do {
                var number = 0
                while measurement.needsMore {
                    lies += try await self.once(stage, stage.servers[number % stage.servers.count], control, &measurement)
                    number += 1
                }
            } catch {
                await control.stop()
                throw error
            }
            await control.stop()
        }
        outcome.broken += lies
        return measurement
    }

    /// Takes one server away and brings it back; gives what was said of the dead that live.
    private func once(
        _ stage: ClusterStage, _ victim: ClusterStage.Server, _ control: Control, _ measurement: inout Measurement
    ) async throws -> [String] {
        try await stage.settle(stage.servers)
        try await Task.sleep(for: .seconds(1))
        let others = stage.servers.filter { $0 != victim }
        var logs = LogWatch(others)
        let fault = FaultMoment.now()
        if stage.lab == nil {
            stage.signal(victim, SIGKILL)
        } else {
            try stage.cut([victim.index], from: others.map(\.index))
        }
        let limit = measurement.limit ?? 0
        let isKnown: (LogEntry) -> Bool = { $0.dead == victim.name && fault.precedes($0) }
        _ = try await logs.wait(within: .milliseconds(Int(limit) + 5_000)) { logs in
            others.allSatisfy { logs.entries[$0.name]?.contains(where: isKnown) ?? false }
        }
        try await Task.sleep(for: .milliseconds(300))
        logs.read()
        for other in others {
            let took = logs.entries[other.name]?.first(where: isKnown).map { fault.until($0) }
            measurement.add(Sample(took: took, control: control.slowest(since: fault, lasting: max(took ?? 0, limit))))
        }
        if stage.lab == nil { try await stage.restart(victim) } else { try stage.heal() }
        return logs.all { $0.dead != nil && $0.dead != victim.name }.map { server, entry in
            "\(server) held \(entry.fields["peer"] ?? "a peer") for dead, which lives"
        }
    }
}
