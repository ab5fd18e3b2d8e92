import Admin
import ChaosCore

/// Asks every server and client again and again how it is, each by itself: one that hangs keeps no other from answering.
final class ClusterWatch: Sendable {
    /// Between two questions, and between two views.
    static let interval = Duration.milliseconds(200)
    /// An answer that is older is none.
    private static let freshness = 0.7

    private struct Answers: Sendable {
        var servers: [String: (at: Double, ClusterView.Server)] = [:]
        var clients: [String: (at: Double, ClusterView.Client)] = [:]
        var views: [ClusterView] = []
    }

    private let stage: ChaosStage
    private let answers = MutexBox(Answers())
    private let task = MutexBox<Task<Void, Never>?>(nil)

    init(_ stage: ChaosStage) {
        self.stage = stage
    }

    func start() {
        let task = Task { [self] in
            await withTaskGroup(of: Void.self) { group in
                for server in self.stage.places.servers { group.addTask { await self.repeatedly { await self.ask(server) } } }
                for client in self.stage.places.clients { group.addTask { await self.repeatedly { await self.ask(client) } } }
                group.addTask { await self.repeatedly { self.takeView() } }
            }
        }
        self.task.with { $0 = task }
    }

    func stop() { self.task.with { $0?.cancel() } }

    var views: [ClusterView] { self.answers.with { $0.views } }
    var latest: ClusterView? { self.answers.with { $0.views.last } }

    private func repeatedly(_ body: () async -> Void) async {
        while !Task.isCancelled {
            await body()
            try? await Task.sleep(for: Self.interval)
        }
    }

    private func ask(_ server: ChaosPlaces.Server) async {
        let asked = TrafficClock.now() / 1_000
        guard let status = await self.stage.serverStatus(server.name) else { return }
        let exposures = (try? await self.stage.admin(server.name, timeout: .seconds(1)).exposures()) ?? []
        var ports: [String: Int] = [:]
        for row in exposures { if let port = row.port { ports["\(row.client)/\(row.name)"] = port } }
        let view = ClusterView.Server(
            name: server.name, role: status.role.rawValue, term: status.term, leader: status.leader,
            alive: status.peers.filter { $0.state == .alive }.map(\.name).sorted(), clients: status.clients,
            streams: status.streams, ports: ports)
        self.answers.with { $0.servers[server.name] = (asked, view) }
    }

    private func ask(_ client: ChaosPlaces.Client) async {
        let asked = TrafficClock.now() / 1_000
        guard let status = await self.stage.clientStatus(client.name) else { return }
        let up = status.links.filter { $0.state == .active || $0.state == .standby }
        let view = ClusterView.Client(
            name: client.name, linked: up.compactMap(\.server).sorted(),
            active: status.links.first { $0.state == .active }?.server, streams: status.streams)
        self.answers.with { $0.clients[client.name] = (asked, view) }
    }

    private func takeView() {
        let now = TrafficClock.now() / 1_000
        self.answers.with { answers in
            func fresh<View>(_ all: [String: (at: Double, View)]) -> [View] {
                all.keys.sorted().compactMap { key in all[key].flatMap { now - $0.at <= Self.freshness ? $0.1 : nil } }
            }
            answers.views.append(ClusterView(t: now, servers: fresh(answers.servers), clients: fresh(answers.clients)))
        }
    }
}
