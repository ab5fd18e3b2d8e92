import Admin
import Daemon
import Settings
import TunnelSession
import TunnelTransport

/// What the admin API shows of a client and can make it do.
struct ClientAdmin: AdminSource {
    private let client: GotunnelClient

    init(_ client: GotunnelClient) { self.client = client }

    func readiness() async -> String? {
        if self.client.isDraining { return "stopping" }
        do {
            return try await self.client.onLoop(\.links.problem).map { "no link to a server: \($0)" }
        } catch {
            return "stopping"
        }
    }

    func status() async throws -> DaemonStatus {
        let problem = await self.readiness()
        let (links, forwards, sessions, servers) = try await self.client.onLoop { worker in
            (
                worker.links.states.map(LinkStatus.init), Self.forwards(of: worker), worker.links.sessions,
                worker.links.linkedServers
            )
        }
        return .client(
            ClientStatus(
                name: self.client.settings.withLock { $0.name }, ready: problem == nil, reason: problem,
                draining: self.client.isDraining, links: links,
                streams: sessions.reduce(0) { $0 + $1.streams }, forwards: forwards,
                exposures: self.client.exposures.entries.map { ExposureStatus($0, servers: servers) },
                process: ProcessStatus.current(
                    since: self.client.startedAt, budget: self.client.budget, handoff: self.client.handoff),
                sessions: SessionTotals(
                    linked: sessions.count(where: \.isAttached), waiting: sessions.count { !$0.isAttached },
                    resumes: self.client.totals.resumes, resumedBytes: self.client.totals.resumedBytes,
                    replayBytes: sessions.reduce(0) { $0 + $1.replayBytes },
                    bytesIn: sessions.reduce(0) { $0 + Int(clamping: $1.bytesReceived) },
                    bytesOut: sessions.reduce(0) { $0 + Int(clamping: $1.bytesSent) })))
    }

    func clients() async throws -> [ClientRow] {
        throw AdminError.notSupported("this is a client: it has no clients")
    }

    func exposures() async throws -> [ExposureRow] {
        let (name, servers) = try await self.client.onLoop { [client] worker in
            (client.settings.withLock { $0.name }, worker.links.linkedServers)
        }
        return self.client.exposures.entries.map { entry in
            let status = ExposureStatus(entry, servers: servers)
            let serving = entry.health.isHealthy ? servers.filter { entry.problems[$0] == nil } : []
            return ExposureRow(
                client: name, name: status.name, port: status.port, healthy: status.healthy && !serving.isEmpty,
                servers: serving, reason: status.reason)
        }
    }

    func streams() async throws -> [StreamRow] {
        let now = Timestamp.now()
        let name = self.client.settings.withLock { $0.name }
        return try await self.client.onLoop { worker in
            worker.links.connections.flatMap { connection in
                (connection.session?.streamSnapshots() ?? []).map {
                    StreamRow($0, client: name, openedHereBy: .client, now: now)
                }
            }
        }
    }

    func drain(wait: Bool) async throws -> ActionResult {
        throw AdminError.notSupported("a client is drained by stopping it")
    }

    func undrain() async throws -> ActionResult {
        throw AdminError.notSupported("a client is drained by stopping it")
    }

    func reload() async throws -> ActionResult {
        do {
            let lines = try await self.client.reload()
            return ActionResult(messages: lines.isEmpty ? ["nothing changed"] : lines)
        } catch {
            throw AdminError(422, "nothing was changed: \(error)")
        }
    }

    private static func forwards(of worker: ClientWorker) -> [ForwardStatus] {
        worker.forwards.entries.map { entry in
            let reason = entry.problem ?? worker.links.problem(with: entry.service)
            return ForwardStatus(listen: "\(entry.listen)", service: entry.service, healthy: reason == nil, reason: reason)
        }
    }
}

extension ExposureStatus {
    /// Healthy when the target is and not every server that there is a link with has something against it.
    init(_ entry: ExposureBoard.Entry, servers: [String]) {
        let isRefused = servers.isEmpty ? !entry.problems.isEmpty : servers.allSatisfy { entry.problems[$0] != nil }
        let healthProblem = entry.health.isHealthy ? nil : entry.health.reason ?? "its target is down"
        self.init(
            name: entry.settings.name, target: "\(entry.settings.target)", port: entry.port,
            healthy: entry.health.isHealthy && !isRefused, reason: entry.problem ?? healthProblem)
    }
}

extension GotunnelClient: DaemonService {
    package var admin: any AdminSource { ClientAdmin(self) }

    package func observe(_ metrics: TunnelMetrics) {
        let (budget, links) = (self.budget, self.links)
        metrics.registry.onScrape {
            for state in LinkStatus.State.allCases { metrics.links(state).set(links[state]) }
            metrics.memory.set(budget.held)
            metrics.memoryBudget.set(budget.limit)
        }
    }
}
