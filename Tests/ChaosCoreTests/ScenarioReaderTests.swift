import ChaosCore
import Foundation
import Settings
import Testing

@Suite("Scenario files") struct ScenarioReaderTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "chaos").path

    @Test("every scenario of the project reads", arguments: try ScenarioReader.names(in: folder))
    func allRead(_ name: String) throws {
        let scenario = try ScenarioReader.read(path: "\(Self.folder)/\(name).yaml")
        #expect(scenario.name == name && !scenario.title.isEmpty && !scenario.faults.isEmpty)
        // It has faults at the duration that rehearsals use.
        #expect(!Schedule.make(scenario, duration: .seconds(120), seed: 1).isEmpty)
        #expect(!Schedule.make(scenario, duration: scenario.duration, seed: 1).isEmpty)
    }

    @Test("none of those that operators were promised is missing")
    func allAreThere() throws {
        let names = Set(try ScenarioReader.names(in: Self.folder))
        let promised: Set = [
            "kill-each-peer", "kill-leader", "rolling-restart", "silent-cut", "one-way-cut", "ring-of-majorities",
            "flapping-link",
            "slow-network", "cpu-starvation", "disk-full", "fd-exhaustion", "watchdog-hang", "apiserver-death", "client-reboot",
            "fleet-reconnect", "token-rotation", "voter-replaced", "everything",
        ]
        #expect(names.isSuperset(of: promised), "\(promised.subtracting(names))")
    }

    @Test func everythingIsRead() throws {
        let scenario = try self.read(
            """
            title: A title
            stage: {network: namespaces, servers: 5, spares: 1, clients: 3, links: 3, disk: 8MiB, round_trip: 40ms, server: ["drain_timeout: 3s"]}
            traffic: {new: 10, get: 2.5, watches: 6, event_interval: 100ms, execs: 3, lists: 0.2, list_bytes: 1MiB, patience: 5s}
            duration: 2m
            faults:
              - {do: kill, who: any server, random: 10s..40s, for: 500ms..5s}
              - {do: cut, between: [worker-1, active], every: 20s, first: 3s, for: 8s}
              - {do: loss, share: 2%, who: any client, at: 5s, for: 1s}
            without: [clean_logs]
            promises: {failed_new: 2 per fault, failed_get: 1%, slowest_new: 300ms, broken: 0, ports: kept, memory: 64MiB}
            """)
        #expect(scenario.stage.network == .namespaces && scenario.stage.servers == 5 && scenario.stage.disk == 8 << 20)
        #expect(scenario.stage.roundTrip == .milliseconds(40) && scenario.stage.serverLines == ["drain_timeout: 3s"])
        #expect(scenario.traffic.get == 2.5 && scenario.traffic.eventInterval == 100 && scenario.traffic.patience == 5)
        #expect(scenario.duration == .seconds(120))
        #expect(
            scenario.faults == [
                FaultPlan(
                    .kill, .anyServer, .random(.seconds(10)...(.seconds(40))), lasts: .milliseconds(500)...(.seconds(5)), line: 6),
                FaultPlan(
                    .cut, .named("worker-1"), other: .active, .every(.seconds(20), first: .seconds(3)),
                    lasts: .seconds(8)...(.seconds(8)), line: 7),
                FaultPlan(.loss(0.02), .anyClient, .at(.seconds(5)), lasts: .seconds(1)...(.seconds(1)), line: 8),
            ])
        #expect(
            scenario.promises.contains(.failed(.new, .perFault(2))) && scenario.promises.contains(.failed(.get, .share(0.01))))
        #expect(scenario.promises.contains(.memory(64 << 20)) && scenario.promises.contains(.noHarm))
        #expect(!scenario.promises.contains(.cleanLogs))
    }

    @Test func promisesAreWrittenAsTheyAreRead() throws {
        let lines = [
            "failed_new: 2 per fault", "failed_get: 1.5%", "slowest_new: 300ms", "p99_get: 50ms", "longest_silence: 2s",
            "latest_event: 5s",
            "broken: 0", "recovered: 3s", "leaderless: 2s", "false_deaths: none", "ports: kept", "agreement: 10s",
            "restarted_within: 15s", "open_files: 50", "memory: 64MiB",
        ]
        let scenario = try self.read(
            "title: A title\nstage: {supervised: true}\npromises:\n" + lines.map { "  \($0)\n" }.joined())
        #expect(Set(scenario.promises.map(\.line)) == Set(lines + ["no_harm", "one_leader_per_term", "all_alive", "clean_logs"]))
    }

    private func read(_ text: String) throws -> Scenario {
        try ScenarioReader.read(text: text, name: "made", file: "made.yaml")
    }
}
