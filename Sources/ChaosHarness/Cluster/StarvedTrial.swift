#if canImport(Glibc)
import Glibc
#endif

/// Stops a server for a second, and keeps the machine busy: nobody may be held for dead.
struct StarvedTrial {
    var stops: Int
    var busySeconds: Int
    /// Processes that do nothing but compute.
    static let busyProcesses = 20

    func run(_ plan: ClusterStage.Plan, _ outcome: inout TrialOutcome, say: (String) -> Void) async throws {
        outcome = try await ClusterStage.with(plan) { [outcome] stage in
            var outcome = outcome
            try await stage.settle(stage.servers)
            try await Task.sleep(for: .seconds(1))
            say("stops servers for a second, \(self.stops) times")
            var logs = LogWatch(stage.servers)
            try await self.stop(stage)
            logs.read()
            self.tell(logs, of: "\(self.stops) stops of 1 s", &outcome)
            try await stage.settle(stage.servers)
            say("computes with \(Self.busyProcesses) processes for \(self.busySeconds) s")
            logs = LogWatch(stage.servers)
            try await self.keepBusy(stage)
            logs.read()
            self.tell(logs, of: "\(Self.busyProcesses) busy processes for \(self.busySeconds) s", &outcome)
            try await stage.settle(stage.servers)
            return outcome
        }
    }

    private func stop(_ stage: ClusterStage) async throws {
        for number in 0..<self.stops {
            let server = stage.servers[number % stage.servers.count]
            stage.signal(server, SIGSTOP)
            try await Task.sleep(for: .seconds(1))
            stage.signal(server, SIGCONT)
            try await Task.sleep(for: .seconds(2))
        }
    }

    private func keepBusy(_ stage: ClusterStage) async throws {
        let names = (1...Self.busyProcesses).map { "busy-\($0)" }
        for name in names { stage.cast[name] = try stage.spawn(["sh", "-c", "while :; do :; done"], name, on: .loopback) }
        try await Task.sleep(for: .seconds(self.busySeconds))
        for name in names { stage.cast[name]?.signal(SIGKILL) }
        for name in names {
            _ = await stage.cast[name]?.waitForEnd(within: .seconds(5))
            stage.cast[name] = nil
        }
        // What was said late is said by now.
        try await Task.sleep(for: .seconds(2))
    }

    private func tell(_ logs: LogWatch, of what: String, _ outcome: inout TrialOutcome) {
        let deaths = logs.all { $0.dead != nil }
        outcome.tell("\(what): held for dead", Double(deaths.count), "times")
        outcome.tell("\(what): suspected", Double(logs.all { $0.suspected != nil }.count), "times")
        outcome.tell("\(what): new leaders", Double(logs.all(\.isNewLeader).count), "times")
        outcome.broken += deaths.map { server, entry in
            "\(what): \(server) held \(entry.fields["peer"] ?? "a peer") for dead, which lives"
        }
    }
}
