import Admin
import ChaosCore
import Testing

@testable import ChaosHarness

@Suite("The guard of a running cluster")
struct RunningGuardTests {
    private static let cluster = RunningCluster(
        name: "production-eu", servers: ["one", "two", "three"].map { RunningMember(.server, $0) },
        clients: [RunningMember(.client, "worker")])
    private let guardian = RunningGuard(Self.cluster)

    // MARK: Consent

    @Test("without a terminal only the exact name on the command line agrees")
    func unattended() {
        func consent(_ yes: String?) -> RunningGuard.Consent {
            self.guardian.consent(yes: yes, isTerminal: false) { _ in
                Issue.record("nobody is to be asked")
                return "production-eu"
            }
        }
        #expect(consent("production-eu") == .given)
        #expect(
            consent(nil)
                == .refused("nobody can be asked: standard input is no terminal; give --yes production-eu if this is meant"))
        for wrong in ["", "yes", "production", "production-eu ", "Production-EU", "production-us"] {
            #expect(
                consent(wrong)
                    == .refused("--yes \(wrong) is not the name of this cluster, which is production-eu; nothing was done"))
        }
    }

    @Test("at a terminal the name has to be typed")
    func asked() {
        func consent(_ answer: String?) -> RunningGuard.Consent {
            self.guardian.consent(yes: nil, isTerminal: true) { _ in answer }
        }
        #expect(consent("production-eu") == .given)
        #expect(consent(" production-eu\n") == .given)
        #expect(consent("y") == .refused("that is not production-eu; nothing was done"))
        #expect(consent("") == .refused("that is not production-eu; nothing was done"))
        #expect(consent(nil) == .refused("no answer; nothing was done"))
    }

    @Test("a wrong name on the command line is not asked about")
    func wrongName() {
        let consent = self.guardian.consent(yes: "staging", isTerminal: true) { _ in "production-eu" }
        #expect(consent != .given)
    }

    // MARK: The plan

    private func schedule(_ plans: FaultPlan...) -> [ScheduledFault] {
        var scenario = Scenario(name: "s", title: "t")
        scenario.faults = plans
        return Schedule.make(scenario, duration: .seconds(60), seed: 1)
    }

    @Test("says what will be done to whom, how often and for how long")
    func announcement() {
        let lines = self.guardian.announcement(
            of: self.schedule(
                FaultPlan(
                    .stop, .eachServer, .every(.seconds(20), first: .seconds(5)), lasts: .seconds(2) ... .seconds(4), line: 3),
                FaultPlan(.cut, .leader, other: .everyone, .at(.seconds(1)), lasts: .seconds(3) ... .seconds(3), line: 4)),
            title: "Two faults", lasting: .seconds(90))
        #expect(
            lines == [
                "This strikes the running cluster production-eu: Two faults",
                "  server one: gotunnel-server.service on this machine", "  server two: gotunnel-server.service on this machine",
                "  server three: gotunnel-server.service on this machine",
                "  client worker: gotunnel-client.service on this machine",
                "What is done, one at a time, during 90s or a little more:", "  3 × stop each server for 2s to 4s",
                "  1 × cut leader from everyone for 3s",
                "Before each, every server must be ready and a quorum there. ^C undoes what is at work and ends it.",
            ])
    }

    @Test("objects to what is not for a running cluster")
    func objections() {
        func objections(_ action: FaultAction, _ who: Target) -> [String] {
            self.guardian.objections(to: self.schedule(FaultPlan(action, who, .at(.seconds(1)), line: 7)))
        }
        #expect(objections(.kill, .leader).isEmpty)
        #expect(objections(.kill, .named("worker")).isEmpty)
        #expect(
            objections(.fillDisk, .leader) == [
                "line 7: fill_disk is not done to a running cluster: it would harm what else runs on the host; use stop"
            ])
        #expect(
            objections(.stop, .allServers) == [
                "line 7: stop all servers: at most one server is struck at a time; write each server"
            ])
        #expect(
            objections(.kill, .activeApiserver) == [
                "line 7: kill active apiserver: apiservers of a running cluster are left alone"
            ])
        #expect(objections(.kill, .named("four")) == ["line 7: kill four: production-eu has no such server or client"])
        var alone = Self.cluster
        alone.clients = []
        let plan = FaultPlan(.kill, .anyClient, .at(.seconds(1)), line: 7)
        #expect(
            RunningGuard(alone).objections(to: self.schedule(plan)) == [
                "line 7: kill any client: the cluster's file names no clients"
            ])
    }

    @Test("never strikes two servers at once, nor one that the others cannot do without")
    func refusals() {
        func refusal(_ action: FaultAction, _ victims: [String], of servers: [String] = ["one", "two", "three"]) -> String? {
            var cluster = Self.cluster
            cluster.servers = servers.map { RunningMember(.server, $0) }
            return RunningGuard(cluster).refusal(of: ResolvedFault(number: 0, action: action, victims: victims))
        }
        #expect(refusal(.kill, ["one"]) == nil)
        #expect(refusal(.kill, ["worker"]) == nil)
        #expect(refusal(.kill, ["one", "worker"]) == nil)
        #expect(refusal(.kill, ["one", "two"]) == "it would strike 2 servers at once")
        #expect(refusal(.restart, ["one", "two"]) == "it would strike 2 servers at once")
        #expect(refusal(.kill, ["one"], of: ["one", "two"]) == "without one there would be no majority of 2 servers")
        #expect(refusal(.stop, ["one"], of: ["one"]) == "without one there would be no majority of 1 server")
        #expect(refusal(.upgrade, ["one"], of: ["one", "two"]) == nil, "it is handed over")
        #expect(refusal(.kill, ["worker"], of: ["one"]) == nil)
    }

    // MARK: The cluster's state

    private static func view(_ change: (inout [ServerStatus], inout [ClientStatus]) -> Void = { _, _ in }) -> RunningView {
        var servers = FakeCluster.statuses(["one", "two", "three"], leader: "two")
        var clients = [FakeCluster.client("worker", servers: ["one", "two"])]
        change(&servers, &clients)
        return RunningView(
            servers: servers.map { .init(name: $0.name, status: $0) }, clients: clients.map { .init(name: $0.name, status: $0) })
    }

    @Test("a cluster that is well has no troubles")
    func well() {
        #expect(Self.view().troubles == [])
        let single = RunningView(
            servers: [.init(name: "one", status: FakeCluster.single("one"))], clients: [])
        #expect(single.troubles == [])
    }

    @Test("each thing that is not well is one")
    func troubles() {
        #expect(Self.view { servers, _ in servers[0].ready = false }.troubles == ["one is not ready: no reason given"])
        #expect(Self.view { servers, _ in servers[0].draining = true }.troubles == ["one is draining"])
        #expect(Self.view { servers, _ in servers[0].peers[0].state = .suspect }.troubles == ["one holds two for suspect"])
        #expect(Self.view { _, clients in clients[0].ready = false }.troubles == ["worker is not ready: no reason given"])
        #expect(
            Self.view { servers, _ in for index in servers.indices { servers[index].role = .follower } }.troubles
                == ["there is no leader, so no quorum"])
        #expect(
            Self.view { servers, _ in
                for index in servers.indices where servers[index].name != "two" { servers[index].leader = nil }
            }.troubles
                == ["no quorum: 1 of 3 voters follow two"])
        #expect(
            Self.view { servers, _ in servers[0].term = 99 }.troubles == ["there is no leader, so no quorum"],
            "a newer term has begun")
        #expect(
            Self.view { servers, _ in servers[1].voters.append("four") }.troubles == [
                "four of the cluster is missing in the file"
            ])
        #expect(Self.view { servers, _ in servers[2].cluster = "beef" }.troubles == ["the servers belong to 2 clusters"])
        var silent = Self.view()
        silent.servers[0].status = nil
        silent.servers[0].failure = "no route"
        #expect(silent.troubles == ["one does not answer (no route)"])
    }
}
