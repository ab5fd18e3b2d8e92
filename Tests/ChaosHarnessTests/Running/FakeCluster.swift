import Admin
import ChaosCore
import Foundation

@testable import ChaosHarness

/// A cluster that answers commands as systemctl and gotunnelctl of running servers do.
final class FakeCluster: CommandCaller {
    struct State: Sendable {
        var servers: [ServerStatus]
        var clients: [ClientStatus]
        /// What was run, in its order, without questions.
        var calls: [String] = []
        /// By `CLIENT/EXPOSURE`.
        var ports: [String: Int] = [:]
        /// Stopped services do not answer.
        var stopped: Set<String> = []
        /// Commands that contain this fail.
        var failing: String?
        /// What each command does besides.
        var onCall: (@Sendable (String, inout State) -> Void)?
    }

    let state: MutexBox<State>
    let cluster: RunningCluster

    init(_ names: [String] = ["one", "two", "three"], clients: [String] = ["worker"]) {
        self.state = MutexBox(
            State(
                servers: Self.statuses(names, leader: names[0]),
                clients: clients.map { Self.client($0, servers: Array(names.prefix(2))) }))
        self.cluster = RunningCluster(
            name: "fake", servers: names.map { RunningMember(.server, $0, unit: "\($0).service", socket: "/\($0)") },
            clients: clients.map { RunningMember(.client, $0, unit: "\($0).service", socket: "/\($0)") }, control: "ctl")
    }

    var calls: [String] { self.state.with { $0.calls } }

    func call(_ words: [String], within limit: Duration) async -> CommandOutcome {
        let text = words.joined(separator: " ")
        return self.state.with { state in
            if words.contains("--json") { return Self.answer(words, state) }
            if words.contains("--property=MainPID") { return Self.mainPID(words, state) }
            state.calls.append(text)
            if let failing = state.failing, text.contains(failing) { return CommandOutcome(failure: "it failed") }
            let name = words.last?.replacing(".service", with: "") ?? ""
            if words.first == "systemctl", words.contains("SIGSTOP") { state.stopped.insert(name) }
            if words.first == "systemctl", words.contains("SIGCONT") { state.stopped.remove(name) }
            if words.first == "systemctl", words.contains("SIGKILL") || words.contains("restart") {
                for index in state.servers.indices where state.servers[index].name == name {
                    state.servers[index].process.pid += 1_000
                }
            }
            state.onCall?(text, &state)
            return CommandOutcome()
        }
    }

    private static func answer(_ words: [String], _ state: State) -> CommandOutcome {
        let name = String(words.last?.dropFirst() ?? "")
        if state.stopped.contains(name) { return CommandOutcome(failure: "no answer") }
        if words.contains("exposures") { return self.encoded(self.exposures(state)) }
        if let server = state.servers.first(where: { $0.name == name }) { return self.encoded(server) }
        if let client = state.clients.first(where: { $0.name == name }) { return self.encoded(client) }
        return CommandOutcome(failure: "nobody answers")
    }

    private static func exposures(_ state: State) -> [ExposureRow] {
        state.ports.sorted { $0.key < $1.key }.map { key, port in
            let parts = key.split(separator: "/").map(String.init)
            return ExposureRow(client: parts[0], name: parts[1], port: port, healthy: true, servers: [])
        }
    }

    private static func encoded(_ value: some Encodable) -> CommandOutcome {
        do { return CommandOutcome(output: try AdminJSON.encode(value)) } catch { return CommandOutcome(failure: "\(error)") }
    }

    private static func mainPID(_ words: [String], _ state: State) -> CommandOutcome {
        let name = words.last?.replacing(".service", with: "")
        let pid = state.servers.first { $0.name == name }?.process.pid ?? state.clients.first { $0.name == name }?.process.pid
        return CommandOutcome(output: Array("\(pid ?? 0)\n".utf8))
    }

    // MARK: Statuses

    static func statuses(_ names: [String], leader: String) -> [ServerStatus] {
        names.enumerated().map { index, name in
            ServerStatus(
                name: name, role: name == leader ? .leader : .follower, term: 3, leader: leader, cluster: "c0ffee", voters: names,
                ready: true,
                draining: false,
                peers: names.filter { $0 != name }.map { PeerStatus(name: $0, addr: "\($0):17000", state: .alive) },
                clients: 1, streams: 2, services: [], process: self.process(Int32(100 + index)))
        }
    }

    static func single(_ name: String) -> ServerStatus {
        ServerStatus(name: name, ready: true, draining: false, clients: 0, streams: 0, services: [], process: self.process(100))
    }

    static func client(_ name: String, servers: [String]) -> ClientStatus {
        ClientStatus(
            name: name, ready: true,
            links: servers.enumerated().map {
                LinkStatus(
                    server: $1, addr: "\($1):17000", state: $0 == 0 ? .active : .standby, since: Timestamp(milliseconds: 0))
            }, streams: 1, forwards: [], exposures: [], process: self.process(200))
    }

    private static func process(_ pid: Int32) -> ProcessStatus {
        ProcessStatus(
            pid: pid, startedAt: Timestamp(milliseconds: 0), uptimeSeconds: 1, memoryBytes: 0, memoryBudgetBytes: 0,
            residentBytes: 5_000,
            openFds: 9)
    }
}
