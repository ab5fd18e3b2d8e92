import ApiserverTraffic
import ChaosCore
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// The traffic of a stage: the applications of each worker, those of each controller, and the control, which asks the same
/// past the tunnel. Each is a process on its host.
struct ChaosTraffic: Sendable {
    let stage: ChaosStage
    let layout: TrafficLayout

    static let control = "control"

    private struct Part {
        var name: String
        var host: StageHost
        var plan: LoadPlan
    }

    /// The processes' names.
    var names: [String] {
        [Self.control] + self.stage.places.clients.map { Self.name(of: $0.name) }
            + self.firstServers.map { Self.name(of: $0.name) }
    }

    /// The records of what passes the tunnel.
    var records: [String] { self.names.filter { $0 != Self.control }.map { self.stage.places.record($0) } }

    /// All record files, those of the control and the apiservers included.
    var allRecords: [String] {
        let apiservers = self.stage.places.servers.map(\.apiserver) + [ChaosStage.controlApiserver]
        return (self.names + apiservers).map { self.stage.places.record($0) }
    }

    private var firstServers: [ChaosPlaces.Server] { self.stage.places.servers.filter { !$0.isSpare } }

    private static func name(of owner: String) -> String { "load-\(owner)" }

    /// Starts everything; returns when every long stream runs.
    func start() async throws {
        let first = [self.control] + self.stage.places.clients.map { self.workload(of: $0) }
        for part in first { try await self.start(part) }
        for part in first { try await self.waitRunning(part) }
        // A mapped port is given out once the kubelet behind it answers.
        let ports = try await self.ports()
        let second = self.firstServers.map { self.controlLoad(of: $0, ports: ports) }
        for part in second { try await self.start(part) }
        for part in second { try await self.waitRunning(part) }
    }

    // MARK: What each process does

    private func workload(of client: ChaosPlaces.Client) -> Part {
        var plan = LoadPlan(who: client.name, traffic: self.layout)
        plan.apiserver = client.forward
        plan.kubelet = client.kubelet
        return Part(name: Self.name(of: client.name), host: client.host, plan: plan)
    }

    /// What a controller asks of the kubelets, through the mapped ports.
    private func controlLoad(of server: ChaosPlaces.Server, ports: [Int]) -> Part {
        var plan = LoadPlan(who: server.name, traffic: self.layout)
        plan.mapped = ports.map { "\(server.host.address):\($0)" }
        plan.streamsPerMapped = self.layout.mapped
        return Part(name: Self.name(of: server.name), host: server.host, plan: plan)
    }

    private var control: Part {
        var plan = LoadPlan(who: Self.control, traffic: self.layout)
        plan.apiserver = self.stage.controlAddress
        return Part(name: Self.control, host: self.stage.places.controlHost, plan: plan)
    }

    /// The mapped port of every client, once all servers listen there.
    private func ports() async throws -> [Int] {
        guard self.layout.mapped > 0 else { return [] }
        let found = MutexBox<[Int]>([])
        try await self.stage.wait(for: "every client to have a mapped port on every server", within: .seconds(30)) {
            var ports: [Int] = []
            for server in self.firstServers {
                let rows = (try? await self.stage.admin(server.name).exposures()) ?? []
                let own = rows.filter { $0.healthy && $0.name == ChaosPlaces.exposure }.compactMap(\.port).sorted()
                guard own.count == self.stage.places.clients.count, ports.isEmpty || ports == own else { return false }
                ports = own
            }
            let all = ports
            found.with { $0 = all }
            return true
        }
        return found.with { $0 }
    }

    // MARK: Processes

    private func start(_ part: Part) async throws {
        let file = self.stage.places.file("\(part.name).json")
        try JSONEncoder().encode(part.plan).write(to: URL(filePath: file))
        self.stage.helpers.define(
            part.name,
            PlainKeeper.Recipe(
                command: [
                    self.stage.setting.harness, "load", "--plan", file, "--output", self.stage.places.record(part.name),
                ], host: part.host, log: self.stage.places.log(part.name)))
        try await self.stage.helpers.start(part.name)
    }

    private func waitRunning(_ part: Part) async throws {
        let log = self.stage.places.log(part.name)
        try await self.stage.wait(for: "the traffic of \(part.name) to run", within: .seconds(30)) {
            (try? String(contentsOfFile: log, encoding: .utf8))?.contains("running") ?? false
        }
    }

    /// Ends all traffic in order.
    func stop() async throws {
        await withTaskGroup(of: Void.self) { group in
            for name in self.names { group.addTask { try? await self.stage.helpers.stop(name) } }
        }
    }
}
