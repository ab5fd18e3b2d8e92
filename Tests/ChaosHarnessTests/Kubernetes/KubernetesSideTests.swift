import ChaosCore
import Foundation
import Testing

@testable import ChaosHarness

private let programs: KubernetesPrograms? =
    if case .all(let programs) = KubernetesPrograms.find() { programs } else { nil }
private let built = ProcessInfo.processInfo.environment["GOTUNNEL_PROGRAMS"]

/// Servers and a client of a stage with a genuine control plane beside them.
@Suite("kubectl through the tunnel", .serialized)
struct KubernetesSideTests {
    @Test("each server has a kube-apiserver as its service, each client a forward; etcd is on no server's host")
    func configuration() {
        var layout = StageLayout()
        (layout.servers, layout.spares, layout.clients) = (3, 1, 2)
        let places = ChaosPlaces(
            layout, folder: "/f", hosts: (1...6).map { StageHost(address: "10.9.0.\($0)", namespace: "n\($0)") })
        let plane = KubernetesSide.layout(places)
        #expect(plane.apiservers.map(\.address) == ["10.9.0.1:7443", "10.9.0.2:7443", "10.9.0.3:7443"])
        #expect(plane.apiservers.map(\.name) == ["kube-apiserver-1", "kube-apiserver-2", "kube-apiserver-3"])
        #expect(plane.etcdURL == "http://10.9.0.5:12379")
        #expect(KubernetesSide.serviceLines(places.servers[1])[1] == "      targets: [\"10.9.0.2:7443\"]")
        #expect(KubernetesSide.forward(places.clients[1]) == "{listen: \"10.9.0.6:7443\", service: kubernetes}")
    }

    @Test(
        "kubectl goes on when the server that carries it is killed, and nothing is lost, repeated or changed",
        .enabled(
            if: programs != nil && built != nil, "needs kube-apiserver, etcd and kubectl on the PATH, and $GOTUNNEL_PROGRAMS"),
        .timeLimit(.minutes(5)))
    func kill() async throws {
        let stage = try SmallStage(programs: try #require(built))
        defer { stage.removeFolder() }
        let side = try await KubernetesSide.raise(stage.places, try #require(programs))
        do {
            try stage.start()
            try await self.rehearse(side, stage)
        } catch {
            await side.strike()
            await stage.stop()
            throw error
        }
        await side.strike()
        await stage.stop()
    }

    private func rehearse(_ side: KubernetesSide, _ stage: SmallStage) async throws {
        let notes = MutexBox<[Observation]>([])
        func wait(_ what: String, _ condition: ([Observation]) -> Bool) async throws {
            for _ in 0..<1_200 where !condition(notes.with { $0.filter { $0.who == "worker-1" } }) {
                try await Task.sleep(for: .milliseconds(50))
            }
            let holds = condition(notes.with { $0.filter { $0.who == "worker-1" } })
            try #require(holds, "\(what): \(notes.with { $0.suffix(5).map { "\($0.what) \($0.why ?? "")" } })")
        }
        try await stage.waitForForward(side)
        try side.startTraffic { observation in notes.with { $0.append(observation) } }
        try await wait("traffic through the tunnel") { all in
            all.count { $0.what == .done } >= 3 && all.count { $0.what == .flow } >= 3
        }
        #expect(notes.with { $0.filter { [.failed, .ended].contains($0.what) } } == [])
        // The one that carries the watch is one of two; each is killed in its turn and started again.
        for name in ["controller-1", "controller-2"] {
            let before = notes.with { $0.filter { $0.who == "worker-1" }.count }
            try await stage.kill(name)
            try await wait("traffic after the death of \(name)") { all in
                all.dropFirst(before).count { $0.what == .done } >= 3 && all.dropFirst(before).count { $0.what == .flow } >= 3
            }
            try stage.start(name)
            try await stage.waitForForward(side)
        }
        await side.stopTraffic()
        let all = notes.with { $0 }
        #expect(all.contains { $0.what == .ended && $0.who == "worker-1" }, "the watch went through one of them")
        #expect(all.filter { $0.what == .harm } == [])
        #expect(all.contains { $0.who == "control" && $0.what == .flow })
        #expect(all.filter { $0.who == "control" && [.failed, .ended].contains($0.what) } == [])
    }
}

/// Two servers, each alone, and a client with a link to both.
private final class SmallStage: Sendable {
    let places: ChaosPlaces
    private let programs: String
    private let folder: String
    private let processes = MutexBox<[String: StagedProcess]>([:])

    init(programs: String) throws {
        var layout = StageLayout()
        (layout.servers, layout.clients) = (2, 1)
        self.programs = programs
        self.folder = NSTemporaryDirectory() + "/gotunnel-kube-\(UUID().uuidString)"
        self.places = ChaosPlaces(layout, folder: self.folder, hosts: [])
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
        try Shell.run(["\(programs)/gotunnelctl", "token", "new", "--output", self.places.file("token")])
    }

    func removeFolder() { try? FileManager.default.removeItem(atPath: self.folder) }

    func start() throws {
        let token = self.places.file("token")
        for server in self.places.servers {
            let lines = [
                "server:", "  name: \(server.name)", "  addr: \"\(server.address)\"", "  tokens: [{id: t, token_file: \(token)}]",
                "  state_dir: \(self.places.file("state-\(server.name)"))", "  admin: {socket: \(server.socket)}",
                "  exposures: {bind: \"\(server.host.address)\", ports: [\"20000-20999\"]}", "  services:",
            ]
            try self.write(lines + KubernetesSide.serviceLines(server), server.name)
            try self.start(server.name)
        }
        for client in self.places.clients {
            let servers = self.places.servers.map { "\"\($0.address)\"" }.joined(separator: ", ")
            let lines = [
                "client:", "  name: \(client.name)", "  token_file: \(token)", "  server_addrs: [\(servers)]",
                "  state_dir: \(self.places.file("state-\(client.name)"))", "  admin: {socket: \(client.socket)}",
                "  forwards: [\(KubernetesSide.forward(client))]",
            ]
            try self.write(lines, client.name)
            try self.start(client.name)
        }
    }

    func start(_ name: String) throws {
        let program = self.places.server(name) == nil ? "gotunnel-client" : "gotunnel-server"
        let process = try StagedProcess.start(
            ["\(self.programs)/\(program)", "--config", self.places.configuration(name)], name: name, log: self.places.log(name),
            in: .loopback)
        self.processes.with { $0[name] = process }
    }

    func kill(_ name: String) async throws {
        let process = try #require(self.processes.with { $0[name] })
        process.signal(SIGKILL)
        #expect(await process.waitForEnd(within: .seconds(10)))
    }

    func stop() async { for process in self.processes.with({ $0.values.map { $0 } }) { await process.stop() } }

    /// Until kubectl gets an answer through the tunnel, and both links are up.
    func waitForForward(_ side: KubernetesSide) async throws {
        let client = try #require(self.places.clients.first)
        let kubeconfig = try side.plane.writeKubeconfig(for: client.name, forward: KubernetesSide.forwardAddress(client))
        let kubectl = KubectlCommand(program: side.plane.programs.kubectl, kubeconfig: kubeconfig, patience: .seconds(5))
        for _ in 0..<300 {
            let status = try? Shell.run(["\(self.programs)/gotunnelctl", "status", "--json", "--socket", client.socket])
            let links = status.map { $0.components(separatedBy: "\"state\":\"").dropFirst().count { !$0.hasPrefix("down") } } ?? 0
            let answer = await ProgramCaller().call(kubectl.raw("/readyz"), within: .seconds(10))
            if links >= 2, answer.failure == nil { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw StageError("no way through the tunnel; see \(self.folder)")
    }

    private func write(_ lines: [String], _ name: String) throws {
        try (lines.joined(separator: "\n") + "\n").write(
            toFile: self.places.configuration(name), atomically: true, encoding: .utf8)
    }
}
