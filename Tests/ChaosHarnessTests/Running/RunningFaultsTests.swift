import ChaosCore
import Foundation
import Settings
import Testing

@testable import ChaosHarness

@Suite("Faults of a running cluster, as commands")
struct RunningFaultsTests {
    static let one = RunningMember(.server, "one", ssh: "root@10.0.0.11", address: IPAddress("10.0.0.11"))
    static let two = RunningMember(.server, "two", ssh: "root@10.0.0.12", address: IPAddress("10.0.0.12"), port: 17_002)
    static let six = RunningMember(.server, "six", ssh: "root@six", address: IPAddress("fd00::6"))
    static let worker = RunningMember(.client, "worker", socket: "/run/w.sock")
    static let cluster = RunningCluster(name: "c", servers: [one, two, six], clients: [worker], control: "ctl")
    private let faults = RunningFaults(cluster: Self.cluster, run: "7")

    private func fault(
        _ action: FaultAction, _ victims: [String], others: [String] = [], lasts: Duration? = .seconds(3)
    ) -> ResolvedFault {
        ResolvedFault(number: 4, action: action, victims: victims, others: others, lasts: lasts)
    }

    @Test("a stopped service is continued, by its host if need be")
    func stop() throws {
        let steps = try self.faults.steps(self.fault(.stop, ["one"]))
        let undo = ["systemctl", "kill", "-s", "SIGCONT", "gotunnel-server.service"]
        #expect(steps.begin == [HostCommand(Self.one, ["systemctl", "kill", "-s", "SIGSTOP", "gotunnel-server.service"])])
        #expect(steps.end == [HostCommand(Self.one, undo)])
        #expect(
            steps.safeguards == [
                HostCommand(
                    Self.one,
                    [
                        "systemd-run", "--quiet", "--collect", "--unit=gotunnel-chaos-7-4-0", "--on-active=23000ms",
                        "--timer-property=AccuracySec=100ms", "--",
                    ] + undo)
            ])
        #expect(steps.dismissals == [HostCommand(Self.one, ["systemctl", "stop", "gotunnel-chaos-7-4-0.timer"], mayFail: true)])
        #expect(steps.awaited == ["one"])
    }

    @Test("each action is its command")
    func commands() throws {
        func words(_ action: FaultAction, _ victim: String) throws -> [[String]] {
            let steps = try self.faults.steps(self.fault(action, [victim])) { _ in ["two", "one"] }
            #expect(steps.end.count == steps.safeguards.count, "what has to be undone has a safeguard")
            return (steps.begin + steps.end).map(\.words)
        }
        let server = "gotunnel-server.service"
        #expect(try words(.kill, "one") == [["systemctl", "kill", "-s", "SIGKILL", server], ["systemctl", "start", server]])
        #expect(try words(.kill, "worker")[0].last == "gotunnel-client.service")
        #expect(try words(.restart, "one") == [["systemctl", "restart", server]])
        #expect(try words(.upgrade, "worker") == [["ctl", "upgrade", "--socket", "/run/w.sock"]])
        let socket = ["--socket", "/run/gotunnel/server.sock"]
        #expect(try words(.drain, "one") == [["ctl", "drain"] + socket, ["ctl", "undrain"] + socket])
        #expect(try words(.move, "worker") == [["ctl", "move"] + socket + ["--", "worker", "one"]])
        #expect(try self.faults.steps(self.fault(.move, ["worker"])) { _ in ["two", "one"] }.begin[0].member == Self.two)
    }

    @Test("a cut is a table of its own on the victim's host, for the links' ports alone")
    func cut() throws {
        let steps = try self.faults.steps(self.fault(.cut, ["one"], others: ["two", "six"]))
        #expect(steps.begin.map(\.member) == [Self.one])
        #expect(
            steps.begin[0].words == [
                "nft",
                "table inet gotunnel_chaos_7_4_0 { chain output { type filter hook output priority -350; policy accept; "
                    + "ip daddr 10.0.0.12 tcp dport 17002 drop; ip daddr 10.0.0.12 tcp sport 17000 drop; "
                    + "ip6 daddr fd00::6 tcp dport 17000 drop; ip6 daddr fd00::6 tcp sport 17000 drop; }; "
                    + "chain input { type filter hook input priority -350; policy accept; "
                    + "ip saddr 10.0.0.12 tcp sport 17002 drop; ip saddr 10.0.0.12 tcp dport 17000 drop; "
                    + "ip6 saddr fd00::6 tcp sport 17000 drop; ip6 saddr fd00::6 tcp dport 17000 drop; }; }",
            ])
        #expect(steps.end[0].words == ["nft", "delete", "table", "inet", "gotunnel_chaos_7_4_0"])
        #expect(steps.safeguards[0].words.suffix(5) == steps.end[0].words.suffix(5))
    }

    @Test("a one-way cut drops what the victim sends; a worker's links are cut by the worker's own filter")
    func directions() throws {
        let toPeer = try LinkCut.cuts(of: Self.one, from: [Self.two], isOneWay: true)
        #expect(toPeer == [LinkCut(host: Self.one, outgoing: [Self.two])])
        let toWorker = try LinkCut.cuts(of: Self.one, from: [Self.worker], isOneWay: true)
        #expect(toWorker == [LinkCut(host: Self.worker, incoming: [Self.one])])
        #expect(!toWorker[0].rules(table: "t").contains("output"))
        let fromWorker = try LinkCut.cuts(of: Self.worker, from: [Self.one], isOneWay: true)
        #expect(fromWorker == [LinkCut(host: Self.worker, outgoing: [Self.one])])
        #expect(fromWorker[0].rules(table: "t").contains("ip daddr 10.0.0.11 tcp dport 17000 drop"))
        #expect(!fromWorker[0].rules(table: "t").contains("sport"), "a worker accepts no links")
        let both = try LinkCut.cuts(of: Self.one, from: [Self.two, Self.worker], isOneWay: false)
        #expect(both.map(\.host) == [Self.one, Self.worker])
    }

    @Test(
        "the kernel understands the rules",
        .enabled(if: getuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/nft")))
    func syntax() async throws {
        for isOneWay in [false, true] {
            for cut in try LinkCut.cuts(of: Self.one, from: [Self.two, Self.six, Self.worker], isOneWay: isOneWay) {
                let outcome = await ProgramCaller().call(
                    ["nft", "--check", cut.rules(table: "gotunnel_chaos_test")], within: .seconds(10))
                #expect(outcome.failure == nil)
            }
        }
    }

    @Test(
        "what would harm a running cluster is refused in one line",
        arguments: [
            FaultAction.killWithDisk, .reboot, .reset, .ring, .flap(.seconds(1)), .loss(0.1), .rate(1_000),
            .delay(.milliseconds(5)),
            .starve(0.1), .exhaustFiles(1), .fillDisk, .clock(2), .hang("loop"), .rotateToken, .replaceVoter, .dropFleet,
        ])
    func refused(_ action: FaultAction) {
        let error = #expect(throws: StageError.self) { try self.faults.steps(self.fault(action, ["one"])) }
        #expect(error?.description.hasPrefix("\(action.name) is not done to a running cluster: ") == true)
    }

    @Test("what cannot be done says why")
    func impossible() {
        func reason(_ fault: ResolvedFault) -> String? {
            #expect(throws: StageError.self) { try self.faults.steps(fault) }?.description
        }
        #expect(reason(self.fault(.kill, ["three"])) == "three is no server or client of c")
        #expect(reason(self.fault(.drain, ["worker"])) == "worker is a client: only servers are drained")
        #expect(reason(self.fault(.move, ["one"])) == "one is a server: only clients are moved")
        #expect(reason(self.fault(.move, ["worker"])) == "worker has no second server that it could be moved to")
        #expect(reason(self.fault(.cut, ["one"])) == "cut of one: from whom? Write between:")
        #expect(reason(self.fault(.cut, ["one"], others: ["two"], lasts: nil)) == "cut of one: for how long? Write for:")
        var cluster = Self.cluster
        cluster.servers[1].address = nil
        let blind = RunningFaults(cluster: cluster, run: "7")
        let error = #expect(throws: StageError.self) { try blind.steps(self.fault(.cut, ["one"], others: ["two"])) }
        #expect(error?.description == "two cannot be cut off: its address is not known; write address: in the cluster's file")
    }
}
