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

    /// A file that is wrong in one point, and what is said about it.
    static let wrong: [(String, String)] = [
        (
            "faults: [{do: kil, who: leader, at: 1s, for: 1s}]",
            "made.yaml:2: faults[0].do: there is no fault \"kil\"; write do: kill"
        ),
        ("faults: [{do: kill, who: lieder, at: 1s, for: 1s}]", "write who: leader"),
        ("faults: [{do: kill, at: 1s, for: 1s}]", "faults[0].who: it does not say whom it meets"),
        ("faults: [{do: kill, who: leader, for: 1s}]", "it does not say when it comes"),
        ("faults: [{do: kill, who: leader, at: 1s, every: 2s, for: 1s}]", "it has more than one time: at, every"),
        ("faults: [{do: kill, who: leader, at: 1s}]", "kill has to end some time; write for: 2s"),
        ("faults: [{do: kill, who: controller-7, at: 1s, for: 1s}]", "there is no controller-7 on this stage"),
        ("faults: [{do: cut, who: leader, at: 1s, for: 1s}]", "cut is possible between namespaces only"),
        ("faults: [{do: hang, part: loop, who: leader, at: 1s, for: 1s}]", "hang needs programs that can break themselves"),
        ("faults: [{do: fill_disk, who: leader, at: 1s, for: 1s}]", "fill_disk needs disks that can be full"),
        ("faults: [{do: replace_voter, who: follower, at: 1s}]", "replace_voter needs a server to take the place"),
        ("faults: [{do: loss, who: leader, at: 1s, for: 1s}]", "faults[0].share: loss needs it"),
        ("faults: [{do: kill, who: leader, at: 1s, for: 5s..2s}]", "expected a duration, or a range such as 2s..4s"),
        ("faults: [{do: kill, who: leader, at: 1s, for: 1s, colour: red}]", "faults[0].colour: unknown key"),
        ("stage: {servers: 0}", "stage.servers: expected a whole number from 1 to 9"),
        ("traffic: {watchs: 3}", "traffic.watchs: unknown key; did you mean watches?"),
        ("durations: 3s", "durations: unknown key; did you mean duration?"),
        ("without: [clean]", "without[0]: expected one of no_harm, one_leader_per_term, all_alive, clean_logs"),
    ]

    @Test("one wrong point, one clear line", arguments: wrong)
    func wrongFilesAreExplained(_ text: String, _ said: String) throws {
        let whole = "title: A title\n\(text)\npromises: {failed_new: 0}\n"
        let error = try #require(throws: SettingsError.self) { try self.read(whole) }
        #expect("\(error)".contains(said), "\(error)")
        #expect("\(error)".contains("made.yaml:"))
    }

    @Test func aPromiseIsNeededAndHasToBeOne() throws {
        let none = try #require(throws: SettingsError.self) { try self.read("title: A title\n") }
        #expect("\(none)".contains("nothing is promised beyond what holds always"))
        let wrong = try #require(throws: SettingsError.self) {
            try self.read("title: A\npromises: {failed_new: few, portz: kept}\n")
        }
        #expect("\(wrong)".contains("promises.failed_new: expected a number, a share such as 1%, or 2 per fault"))
        #expect("\(wrong)".contains("promises.portz: unknown key; did you mean ports?"))
    }

    @Test func promisesAreWrittenAsTheyAreRead() throws {
        let lines = [
            "failed_new: 2 per fault", "failed_get: 1.5%", "slowest_new: 300ms", "p99_get: 50ms", "longest_silence: 2s",
            "latest_event: 5s",
            "broken: 0", "recovered: 3s", "leaderless: 2s", "false_deaths: none", "ports: kept", "agreement: 10s",
            "restarted_within: 15s", "open_files: 50", "memory: 64MiB",
        ]
        let scenario = try self.read("title: A title\npromises:\n" + lines.map { "  \($0)\n" }.joined())
        #expect(Set(scenario.promises.map(\.line)) == Set(lines + ["no_harm", "one_leader_per_term", "all_alive", "clean_logs"]))
    }

    private func read(_ text: String) throws -> Scenario {
        try ScenarioReader.read(text: text, name: "made", file: "made.yaml")
    }
}
