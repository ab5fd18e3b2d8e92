import Admin
import ChaosCore
import Settings
import Testing

@testable import ChaosHarness

@Suite("A rehearsal with a running cluster")
struct RunningRehearsalTests {
    private static func scenario(_ plans: FaultPlan...) -> Scenario {
        var scenario = Scenario(name: "s", title: "t")
        (scenario.duration, scenario.warmup, scenario.settle) = (.milliseconds(400), .zero, .milliseconds(500))
        scenario.faults = plans
        return scenario
    }

    private static func stop(_ who: Target, lasts: Duration = .milliseconds(50)) -> FaultPlan {
        FaultPlan(.stop, who, .at(.milliseconds(100)), lasts: lasts...lasts, line: 1)
    }

    private func run(_ fake: FakeCluster, _ scenario: Scenario) async throws -> (evidence: Evidence, said: [String]) {
        let said = MutexBox<[String]>([])
        let rehearsal = RunningRehearsal(fake.cluster, scenario, duration: nil, seed: 1, caller: fake)
        let evidence = try await rehearsal.run(say: { line in said.with { $0.append(line) } }, progress: { _ in })
        return (evidence, said.with { $0 })
    }

    @Test("strikes, undoes, takes the safeguard away, and tells what happened")
    func stops() async throws {
        let fake = FakeCluster()
        let (evidence, said) = try await self.run(fake, Self.scenario(Self.stop(.leader)))
        #expect(said == ["stop one for 50ms"])
        #expect(fake.calls.count == 4)
        #expect(fake.calls[0].hasPrefix("systemd-run "))
        #expect(fake.calls[0].hasSuffix("-- systemctl kill -s SIGCONT one.service"))
        #expect(fake.calls[1] == "systemctl kill -s SIGSTOP one.service")
        #expect(fake.calls[2] == "systemctl kill -s SIGCONT one.service")
        #expect(fake.calls[3].hasPrefix("systemctl stop gotunnel-chaos-"))
        let record = try #require(evidence.faults.first)
        #expect(evidence.faults.count == 1)
        #expect(record.action == "stop")
        #expect(record.victims == ["one"])
        #expect(record.there >= record.began && record.ended ?? 0 > record.there)
        #expect(evidence.agreement.after != nil)
        #expect(evidence.views.contains { $0.leader == "one" && $0.servers.count == 3 && $0.clients.first?.active == "one" })
        #expect(evidence.usage.contains { $0.name == "two" && $0.memory == 5_000 && $0.openFiles == 9 })
        #expect(evidence.lives.map(\.name).sorted() == ["one", "three", "two", "worker"])
    }

    @Test("what was seen can be judged; a port that changes meanwhile breaks its promise")
    func judged() async throws {
        for isMoved in [false, true] {
            let fake = FakeCluster()
            fake.state.with {
                $0.ports = ["worker/kubelet": 20_001]
                $0.onCall = { text, state in
                    if isMoved, text.contains("-s SIGSTOP") { state.ports = ["worker/kubelet": 20_002] }
                }
            }
            var scenario = Self.scenario(Self.stop(.follower))
            scenario.duration = .seconds(2)
            scenario.promises = [
                .portsKept, .agreement(.seconds(5)), .leaderless(.seconds(5)), .noHarm, .oneLeaderPerTerm, .allAlive,
            ]
            let rehearsal = RunningRehearsal(fake.cluster, scenario, duration: nil, seed: 1, caller: fake)
            let evidence = try await rehearsal.run(say: { _ in }, progress: { _ in })
            let verdicts = Judge.judge(rehearsal.judged, evidence)
            #expect(verdicts.count == 5, "noHarm needs numbered traffic")
            #expect(verdicts.map(\.outcome) == [isMoved ? .broken : .held] + Array(repeating: .held, count: 4), "\(verdicts)")
        }
    }

    @Test("an end of a process is meant when its fault caused it, and only then")
    func lives() async throws {
        let fake = FakeCluster()
        fake.state.with {
            $0.onCall = { text, state in
                if text.contains("SIGKILL") { state.servers[1].process.pid += 1_000 }
            }
        }
        let kill = FaultPlan(
            .kill, .named("one"), .at(.milliseconds(50)), lasts: .milliseconds(50) ... .milliseconds(50), line: 1)
        let (evidence, _) = try await self.run(fake, Self.scenario(kill))
        let ended = evidence.lives.filter { $0.ended != nil }
        #expect(ended.first { $0.name == "one" }?.wasMeant == true)
        #expect(ended.first { $0.name == "two" }?.wasMeant == false)
        #expect(ended.count == 2)
    }

    @Test("a cluster that is not well is not touched")
    func unwell() async throws {
        let fake = FakeCluster()
        fake.state.with { $0.servers[2].ready = false }
        let error = await #expect(throws: StageError.self) { try await self.run(fake, Self.scenario(Self.stop(.leader))) }
        #expect(error?.description == "fake is in no state to be struck: three is not ready: no reason given")
        #expect(fake.calls == [])
    }

    @Test("a unit that is another process than what answers is not touched")
    func otherUnit() async throws {
        let fake = FakeCluster()
        fake.state.with { $0.servers[1].process.pid = 1 }
        var cluster = fake.cluster
        cluster.servers[1].unit = "one.service"
        let rehearsal = RunningRehearsal(cluster, Self.scenario(Self.stop(.leader)), duration: nil, seed: 1, caller: fake)
        let error = await #expect(throws: StageError.self) { try await rehearsal.run(say: { _ in }, progress: { _ in }) }
        #expect(
            error?.description
                == "one.service on this machine is not what answers at /two (its process is 100, not 1); name the right unit:")
        #expect(fake.calls == [])
    }

    @Test("a socket that is another's is not believed")
    func otherSocket() async throws {
        let fake = FakeCluster()
        var cluster = fake.cluster
        cluster.servers[1].socket = "/three"
        let rehearsal = RunningRehearsal(cluster, Self.scenario(Self.stop(.leader)), duration: nil, seed: 1, caller: fake)
        let error = await #expect(throws: StageError.self) { try await rehearsal.run(say: { _ in }, progress: { _ in }) }
        #expect(error?.description.contains("/three of this machine belongs to three, not to two") == true)
    }

    @Test("the next fault waits until the cluster is well again")
    func waits() async throws {
        let fake = FakeCluster()
        // Not well from the first fault on, until it has been asked a few times.
        let asked = MutexBox(0)
        fake.state.with {
            $0.onCall = { text, state in
                if text.contains("SIGCONT one") || text.contains("SIGCONT two") { state.servers[2].peers[0].state = .suspect }
            }
        }
        let healing = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(20))
                let isStruck = fake.state.with { $0.servers[2].peers[0].state == .suspect }
                let count = asked.with { count in
                    if isStruck { count += 1 }
                    return count
                }
                if count > 5 { fake.state.with { $0.servers[2].peers[0].state = .alive } }
            }
        }
        defer { healing.cancel() }
        var scenario = Self.scenario(
            FaultPlan(
                .stop, .eachServer, .every(.milliseconds(60), first: .milliseconds(10)),
                lasts: .milliseconds(5) ... .milliseconds(5), line: 1))
        scenario.duration = .seconds(3)
        let (evidence, _) = try await self.run(fake, scenario)
        #expect(evidence.faults.count > 1)
        for (one, next) in zip(evidence.faults, evidence.faults.dropFirst()) {
            #expect(next.began >= one.ended ?? .infinity, "one at a time")
        }
        #expect(asked.with { $0 } > 5)
    }

    @Test("whom a fault meets is decided by how the cluster is then, not by how it was")
    func changedLeader() async throws {
        let fake = FakeCluster()
        fake.state.with {
            $0.onCall = { text, state in
                if text.contains("-s SIGCONT one"), !text.contains("systemd-run") {
                    state.servers = FakeCluster.statuses(["one", "two", "three"], leader: "three")
                }
            }
        }
        var scenario = Self.scenario(
            Self.stop(.leader),
            FaultPlan(.stop, .leader, .at(.milliseconds(101)), lasts: .milliseconds(5) ... .milliseconds(5), line: 2))
        scenario.duration = .seconds(2)
        let (evidence, _) = try await self.run(fake, scenario)
        #expect(evidence.faults.map(\.victims) == [["one"], ["three"]])
    }

    @Test("when the task is cancelled, what is at work is undone at once")
    func cancelled() async throws {
        let fake = FakeCluster()
        var scenario = Self.scenario(Self.stop(.leader, lasts: .seconds(900)))
        scenario.duration = .seconds(1_000)
        let rehearsal = RunningRehearsal(fake.cluster, scenario, duration: nil, seed: 1, caller: fake)
        let task = Task { try await rehearsal.run(say: { _ in }, progress: { _ in }) }
        while !fake.calls.contains(where: { $0.contains("SIGSTOP") }) { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(fake.state.with { $0.stopped } == [])
        #expect(fake.calls.last?.hasPrefix("systemctl stop gotunnel-chaos-") == true)
    }

    @Test("what cannot be begun is undone, and written down; the next fault comes all the same")
    func failing() async throws {
        let fake = FakeCluster()
        fake.state.with { $0.failing = "-s SIGSTOP" }
        let restart = FaultPlan(.restart, .named("two"), .at(.milliseconds(110)), line: 2)
        let (evidence, said) = try await self.run(fake, Self.scenario(Self.stop(.leader), restart))
        let problem = "this machine: systemctl kill -s SIGSTOP one.service: it failed"
        #expect(evidence.faults.map(\.problem) == [problem, nil])
        #expect(evidence.faults[0].ended == nil)
        #expect(said.contains("stop: \(problem)"))
        #expect(fake.calls.contains("systemctl kill -s SIGCONT one.service"))
    }

    @Test("without its safeguard nothing is begun")
    func noSafeguard() async throws {
        let fake = FakeCluster()
        fake.state.with { $0.failing = "systemd-run" }
        let (evidence, _) = try await self.run(fake, Self.scenario(Self.stop(.leader)))
        #expect(evidence.faults.first?.problem?.hasSuffix(": it failed") == true)
        #expect(!fake.calls.contains { $0.contains("SIGSTOP") })
    }

    @Test("what cannot be undone ends the rehearsal, and its safeguard stays")
    func notUndone() async throws {
        let fake = FakeCluster()
        fake.state.with {
            $0.onCall = { text, state in if text.contains("SIGSTOP") { state.failing = "SIGCONT" } }
        }
        let restart = FaultPlan(.restart, .named("two"), .at(.milliseconds(110)), line: 2)
        let (evidence, _) = try await self.run(fake, Self.scenario(Self.stop(.leader), restart))
        #expect(
            evidence.faults.map(\.problem) == [
                "not undone: this machine: systemctl kill -s SIGCONT one.service: it failed; "
                    + "the host itself tries again 20s after the fault's time"
            ])
        #expect(!fake.calls.contains { $0.hasPrefix("systemctl stop gotunnel-chaos-") })
    }

    @Test("each host has its safeguard before its own part of a fault is done, and all of it is undone")
    func severalHosts() async throws {
        let fake = FakeCluster()
        var cluster = fake.cluster
        for index in cluster.servers.indices { cluster.servers[index].address = IPAddress("10.0.0.\(index + 1)") }
        let cut = FaultPlan(
            .cut, .named("two"), other: .everyone, .at(.milliseconds(20)), lasts: .milliseconds(20) ... .milliseconds(20), line: 1
        )
        let rehearsal = RunningRehearsal(cluster, Self.scenario(cut), duration: nil, seed: 1, caller: fake)
        let evidence = try await rehearsal.run(say: { _ in }, progress: { _ in })
        #expect(evidence.faults.map(\.problem) == [nil])
        let kinds = fake.calls.map { call in
            call.hasPrefix("nft")
                ? call.split(separator: " ").prefix(2).joined(separator: " ") : String(call.prefix(14).prefix { $0 != " " })
        }
        #expect(
            kinds == [
                "systemd-run", "nft table", "systemd-run", "nft table", "nft delete", "nft delete", "systemctl", "systemctl",
            ])
        let made = Set(fake.calls.filter { $0.hasPrefix("nft table") }.map { $0.split(separator: " ")[3] })
        let deleted = Set(fake.calls.filter { $0.hasPrefix("nft delete") }.map { $0.split(separator: " ")[4] })
        #expect(made.count == 2)
        #expect(made == deleted)
    }

    @Test("a client is moved away from the server that it uses")
    func moves() async throws {
        let fake = FakeCluster()
        _ = try await self.run(fake, Self.scenario(FaultPlan(.move, .anyClient, .at(.milliseconds(100)), line: 1)))
        #expect(fake.calls == ["ctl move --socket /one -- worker two"])
    }

    @Test("a scenario that is not for a running cluster is refused as a whole")
    func objections() async throws {
        let fake = FakeCluster()
        let scenario = Self.scenario(Self.stop(.leader), FaultPlan(.rotateToken, .leader, .at(.zero), line: 2))
        let error = await #expect(throws: StageError.self) { try await self.run(fake, scenario) }
        #expect(
            error?.description
                == "line 2: rotate_token is not done to a running cluster: it would change secrets; see docs on tokens")
        #expect(fake.calls == [])
    }

    @Test("promises that need numbered traffic or logs are left out, and said to be")
    func promises() throws {
        var cluster = FakeCluster().cluster
        let all: [Promise] = [
            .failed(.new, .atMost(0)), .failed(.get, .atMost(0)), .longestSilence(.seconds(1)), .latestEvent(.seconds(1)),
            .leaderless(.seconds(2)), .portsKept, .noHarm, .cleanLogs, .oneLeaderPerTerm, .allAlive,
        ]
        #expect(
            RunningPromises(of: all, in: cluster).judged == [.leaderless(.seconds(2)), .portsKept, .oneLeaderPerTerm, .allAlive])
        cluster.probe = ProbePlan(url: try #require(ProbeAddress("https://127.0.0.1:6443/readyz")))
        let promises = RunningPromises(of: all, in: cluster)
        #expect(promises.judged.prefix(2) == [.failed(.new, .atMost(0)), .longestSilence(.seconds(1))])
        #expect(promises.left == [.failed(.get, .atMost(0)), .latestEvent(.seconds(1)), .noHarm, .cleanLogs])
    }
}
