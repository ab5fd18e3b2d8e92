import Admin
import Testing

@testable import ChaosHarness

@Suite("Agreement of servers")
struct AgreementTests {
    private static let names = ["server-1", "server-2", "server-3"]

    private func status(_ name: String, leader: String? = "server-2", term: UInt64 = 3) -> ServerStatus {
        var status = ServerStatus(
            name: name, role: name == leader ? .leader : .follower, term: term, leader: leader, ready: true, draining: false,
            clients: 0, streams: 0, services: [],
            process: ProcessStatus(
                pid: 1, startedAt: Timestamp(milliseconds: 0), uptimeSeconds: 1, memoryBytes: 0, memoryBudgetBytes: 0,
                residentBytes: 0, openFds: 0))
        status.peers = Self.names.filter { $0 != name }.map { PeerStatus(name: $0, addr: "", state: .alive) }
        return status
    }

    private func leader(_ change: (inout [ServerStatus]) -> Void = { _ in }) -> String? {
        var statuses = Self.names.map { self.status($0) }
        change(&statuses)
        return Agreement.leader(of: statuses, servers: Self.names)
    }

    @Test("all name the same leader, in one term, and hold each other alive")
    func agreed() { #expect(self.leader() == "server-2") }

    @Test("anything less is no agreement")
    func disagreed() {
        #expect(self.leader { $0.removeLast() } == nil)
        #expect(self.leader { $0[0] = self.status("server-1", leader: nil) } == nil)
        #expect(self.leader { $0[0] = self.status("server-1", leader: "server-3") } == nil)
        #expect(self.leader { $0[0] = self.status("server-1", term: 4) } == nil)
        #expect(self.leader { $0[0].role = .leader } == nil)
        #expect(self.leader { $0[1].role = .candidate } == nil)
        #expect(self.leader { $0[2].peers[0].state = .suspect } == nil)
        #expect(self.leader { $0[2].peers.removeLast() } == nil)
    }

    @Test("those of one side of a split may agree without the others")
    func side() {
        var statuses = ["server-1", "server-2"].map { self.status($0) }
        for index in statuses.indices { statuses[index].peers[1].state = .dead }
        #expect(Agreement.leader(of: statuses, servers: ["server-1", "server-2"]) == "server-2")
    }

    private func client(_ streams: Int, servers: [String], instance: String = "a") -> ClientRow {
        ClientRow(
            name: "worker", instance: instance, addr: "", servers: servers, since: Timestamp(milliseconds: Int64(streams)),
            streams: streams, exposures: ["web"])
    }

    @Test("registries are the same when they differ in what only the holder of a session knows")
    func registries() {
        func tale(_ client: ClientRow, port: Int? = 20_000, voters: [String] = ["b", "a"]) -> Agreement.Registry {
            let row = ExposureRow(client: "worker", name: "web", port: port, healthy: true, servers: client.servers.sorted())
            return Agreement.Registry(voters: voters, clients: [client], exposures: [row])
        }
        let one = tale(self.client(1, servers: ["x", "y"]))
        #expect(one == tale(self.client(7, servers: ["y", "x"]), voters: ["a", "b"]))
        #expect(one != tale(self.client(1, servers: ["x"])))
        #expect(one != tale(self.client(1, servers: ["x", "y"], instance: "b")))
        #expect(one != tale(self.client(1, servers: ["x", "y"]), port: 20_001))
        #expect(one != tale(self.client(1, servers: ["x", "y"]), voters: ["a"]))
    }

    @Test("a port that leads to two exposures is found")
    func doubled() {
        let rows = [("a", 1), ("b", 2), ("c", 1), ("d", nil), ("e", nil)].map { name, port in
            ExposureRow(client: name, name: "web", port: port, healthy: true, servers: [])
        }
        #expect(Agreement.doubled(rows) == [1])
        #expect(Agreement.doubled(Array(rows.dropFirst())) == [])
    }
}
