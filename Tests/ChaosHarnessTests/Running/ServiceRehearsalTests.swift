import ChaosCore
import Foundation
import Settings
import Testing

@testable import ChaosHarness

/// A cluster of three servers and a client as services of the systemd that runs here (`scripts/in-systemd`), struck as an
/// operator would strike one in use.
@Suite(
    "A rehearsal with services of a genuine systemd", .serialized,
    .enabled(if: ProcessInfo.processInfo.environment["GOTUNNEL_SYSTEMD"] == "1", "needs a systemd; see scripts/in-systemd"))
struct ServiceRehearsalTests {
    @Test(
        "kills, stops, cuts, drains, moves, restarts and upgrades what runs, and leaves nothing behind", .timeLimit(.minutes(5)))
    func everything() async throws {
        let services = try await ClusterServices.start()
        do { try await self.rehearse(services) } catch {
            await services.stop()
            throw error
        }
        await services.stop()
    }

    private func rehearse(_ services: ClusterServices) async throws {
        var scenario = Scenario(name: "s", title: "Everything that can be done to a running cluster")
        (scenario.duration, scenario.warmup, scenario.settle) = (.seconds(75), .seconds(1), .seconds(10))
        let moment = Duration.seconds(1) ... .seconds(1)
        let plans: [(FaultAction, Target, Target?, ClosedRange<Duration>?)] = [
            (.stop, .follower, nil, moment), (.kill, .leader, nil, moment),
            (.cut, .named("three"), .everyone, .seconds(2) ... .seconds(2)),
            (.cutOneWay, .named("worker"), .active, moment), (.drain, .named("one"), nil, moment),
            (.move, .named("worker"), nil, nil),
            (.restart, .named("two"), nil, nil), (.upgrade, .named("three"), nil, nil), (.kill, .named("worker"), nil, moment),
        ]
        scenario.faults = plans.enumerated().map { index, plan in
            FaultPlan(plan.0, plan.1, other: plan.2, .at(.seconds(index)), lasts: plan.3, line: index + 1)
        }
        let rehearsal = RunningRehearsal(services.cluster, scenario, duration: nil, seed: 7)
        let said = MutexBox<[String]>([])
        let evidence = try await rehearsal.run(say: { line in said.with { $0.append(line) } }, progress: { _ in })
        #expect(evidence.faults.map(\.action) == plans.map(\.0.name), "\(said.with { $0 })")
        #expect(evidence.faults.allSatisfy { $0.problem == nil && $0.ended != nil })
        #expect(evidence.agreement.differences == [])
        #expect(evidence.observations.contains { $0.what == .done })
        #expect(evidence.views.contains { $0.servers.count == 3 && $0.clients.count == 1 })
        // Two were killed; each process that ended was meant to. A restart and an upgrade may keep the process or not.
        let ended = evidence.lives.filter { $0.ended != nil }
        #expect(ended.count >= 2)
        #expect(ended.allSatisfy { $0.wasMeant }, "\(ended)")
        try await self.expectNothingLeft()
    }

    @Test("what a rehearsal that died had begun is undone by the host", .timeLimit(.minutes(3)))
    func safeguard() async throws {
        let services = try await ClusterServices.start()
        do {
            let watch = RunningWatch(cluster: services.cluster, caller: ProgramCaller(), sockets: nil)
            let executor = RunningExecutor(
                cluster: services.cluster, run: "t", caller: ProgramCaller(), watch: watch, sockets: nil)
            try await executor.begin(ResolvedFault(number: 0, action: .stop, victims: ["two"], lasts: .zero))
            try await executor.begin(ResolvedFault(number: 1, action: .cut, victims: ["three"], others: ["one"], lasts: .zero))
            #expect(try Shell.run(["nft", "list", "tables"]).contains("gotunnel_chaos_t_1_0"))
            #expect(await watch.look().servers.first { $0.name == "two" }?.status == nil, "it is stopped")
            // Nobody ends them.
            #expect(await watch.waitReady("two", within: .seconds(60)))
            try await waitAMinute { try !Shell.run(["nft", "list", "tables"]).contains("gotunnel_chaos") }
            try await self.expectNothingLeft()
        } catch {
            await services.stop()
            throw error
        }
        await services.stop()
    }

    private func expectNothingLeft() async throws {
        #expect(try !Shell.run(["nft", "list", "tables"]).contains("gotunnel_chaos"))
        let timers = [
            "systemctl", "list-units", "--all", "--no-legend", "--plain", "gotunnel-chaos-*.timer", "gotunnel-chaos-*.service",
        ]
        try await waitAMinute { try Shell.run(timers).isEmpty }
        #expect(try Shell.run(timers) == "")
    }
}

/// Waits until something holds; a minute at most, after which the caller finds out that it does not.
private func waitAMinute(until holds: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(60)
    while try await !holds(), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(100)) }
}

/// Three servers and a client, from the project's own units.
private struct ClusterServices {
    let cluster: RunningCluster
    private let backend: TinyServer

    private static let names = ["one", "two", "three"]
    private static let folder = "/etc/gotunnel"

    static func start() async throws -> ClusterServices {
        let programs = try #require(ProcessInfo.processInfo.environment["GOTUNNEL_PROGRAMS"])
        let backend = try await TinyServer.start()
        try FileManager.default.createDirectory(
            atPath: "\(self.folder)/secrets", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for secret in ["token", "secret"] {
            try? FileManager.default.removeItem(atPath: "\(self.folder)/secrets/\(secret)")
            try Shell.run(["\(programs)/gotunnelctl", "token", "new", "--output", "\(self.folder)/secrets/\(secret)"])
        }
        var members: [RunningMember] = []
        for (index, name) in self.names.enumerated() {
            let address = "127.0.0.\(index + 1)"
            try self.write(name, self.server(name, address, backend.port))
            members.append(try self.define(.server, name, address: address))
        }
        try self.write("worker", self.client)
        let worker = try self.define(.client, "worker", address: nil)
        try Shell.run(["systemctl", "daemon-reload"])
        for member in members + [worker] { try Shell.run(["systemctl", "start", member.unit]) }
        let url = try #require(ProbeAddress("http://127.0.0.1:6443/good"))
        let services = ClusterServices(
            cluster: RunningCluster(
                name: "sandbox", servers: members, clients: [worker], probe: ProbePlan(url: url),
                control: "\(programs)/gotunnelctl"),
            backend: backend)
        let watch = RunningWatch(cluster: services.cluster, caller: ProgramCaller(), sockets: nil)
        try await waitAMinute { await watch.look().troubles.isEmpty }
        #expect(await watch.look().troubles == [])
        return services
    }

    func stop() async {
        for member in self.cluster.members {
            _ = try? Shell.run(["systemctl", "kill", "-s", "KILL", member.unit])
            _ = try? Shell.run(["systemctl", "stop", member.unit])
            // Each test founds a cluster of its own.
            _ = try? Shell.run(["rm", "-rf", "/var/lib/gotunnel/\(member.name)"])
        }
        try? await self.backend.stop()
    }

    private static func define(_ role: RunningMember.Role, _ name: String, address: String?) throws -> RunningMember {
        let text = try String(contentsOfFile: "/etc/systemd/system/gotunnel-\(role.rawValue).service", encoding: .utf8)
        let socket = "/run/gotunnel-\(name)/\(role.rawValue).sock"
        let own =
            text.replacing("/etc/gotunnel/\(role.rawValue).yaml", with: "\(self.folder)/\(name).yaml")
            .replacing("/run/gotunnel/\(role.rawValue).sock", with: socket)
            .replacing("StateDirectory=gotunnel/\(role.rawValue)\n", with: "StateDirectory=gotunnel/\(name)\n")
            .replacing("RuntimeDirectory=gotunnel\n", with: "RuntimeDirectory=gotunnel-\(name)\n")
        try own.write(toFile: "/run/systemd/system/rehearsed-\(name).service", atomically: true, encoding: .utf8)
        // Over ssh, where the machine has been set up for it.
        let ssh = ProcessInfo.processInfo.environment["GOTUNNEL_REHEARSAL_SSH"]
        return RunningMember(
            role, name, ssh: ssh, unit: "rehearsed-\(name).service", socket: socket, address: address.flatMap { IPAddress($0) })
    }

    private static func write(_ name: String, _ lines: String) throws {
        try lines.write(toFile: "\(self.folder)/\(name).yaml", atomically: true, encoding: .utf8)
    }

    private static func server(_ name: String, _ address: String, _ backend: Int) -> String {
        """
        server:
          name: \(name)
          addr: "\(address):17000"
          tokens: [{id: token, token_file: $CREDENTIALS_DIRECTORY/secret_token}]
          state_dir: /var/lib/gotunnel/\(name)
          cluster: {peers: ["127.0.0.1:17000", "127.0.0.2:17000", "127.0.0.3:17000"], secret_file: $CREDENTIALS_DIRECTORY/secret_secret}
          exposures: {bind: "\(address)", ports: ["20000-20999"]}
          admin: {socket: /run/gotunnel-\(name)/server.sock}
          services: {apiserver: {targets: ["127.0.0.1:\(backend)"], health: {type: tcp}}}

        """
    }

    private static let client = """
        client:
          name: worker
          token_file: $CREDENTIALS_DIRECTORY/secret_token
          server_addrs: ["127.0.0.1:17000", "127.0.0.2:17000", "127.0.0.3:17000"]
          state_dir: /var/lib/gotunnel/worker
          admin: {socket: /run/gotunnel-worker/client.sock}
          forwards: [{listen: "127.0.0.1:6443", service: apiserver}]

        """
}
