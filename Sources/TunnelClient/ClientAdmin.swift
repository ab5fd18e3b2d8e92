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
        guard let link = try? await self.client.onLoop({ $0.connection.status }) else { return "stopping" }
        return link.isUp ? nil : "no link to a server: \(link.reason ?? "unknown")"
    }

    func status() async throws -> DaemonStatus {
        let problem = await self.readiness()
        let (link, forwards) = try await self.client.onLoop { ($0.connection.status, Self.forwards(of: $0)) }
        let session = link.session
        return .client(
            ClientStatus(
                name: self.client.settings.withLock { $0.name }, ready: problem == nil, reason: problem,
                draining: self.client.isDraining, links: [LinkStatus(link)], streams: session?.streams ?? 0, forwards: forwards,
                exposures: self.exposureStatus,
                process: ProcessStatus.current(since: self.client.startedAt, budget: self.client.budget),
                sessions: SessionTotals(
                    linked: link.isUp ? 1 : 0, waiting: session != nil && !link.isUp ? 1 : 0, resumes: self.client.totals.resumes,
                    resumedBytes: self.client.totals.resumedBytes, replayBytes: session?.replayBytes ?? 0,
                    bytesIn: Int(clamping: session?.bytesReceived ?? 0), bytesOut: Int(clamping: session?.bytesSent ?? 0))))
    }

    func clients() async throws -> [ClientRow] {
        throw AdminError.notSupported("this is a client: it has no clients")
    }

    func exposures() async throws -> [ExposureRow] {
        let (name, link) = try await self.client.onLoop { [client] worker in
            (client.settings.withLock { $0.name }, worker.connection.status)
        }
        return self.exposureStatus.map {
            ExposureRow(
                client: name, name: $0.name, port: $0.port, healthy: $0.healthy && link.isUp,
                servers: link.isUp ? [link.server].compactMap { $0 } : [], reason: $0.reason)
        }
    }

    func streams() async throws -> [StreamRow] {
        let now = Timestamp.now()
        let name = self.client.settings.withLock { $0.name }
        return try await self.client.onLoop { worker in
            (worker.connection.session?.streamSnapshots() ?? []).map {
                StreamRow($0, client: name, openedHereBy: .client, now: now)
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

    private var exposureStatus: [ExposureStatus] {
        self.client.exposures.entries.map { entry in
            let healthProblem = entry.health.isHealthy ? nil : entry.health.reason ?? "its target is down"
            return ExposureStatus(
                name: entry.settings.name, target: "\(entry.settings.target)", port: entry.settings.remotePort,
                healthy: entry.health.isHealthy && entry.problem == nil, reason: entry.problem ?? healthProblem)
        }
    }

    private static func forwards(of worker: ClientWorker) -> [ForwardStatus] {
        let isUp = worker.connection.status.isUp
        return worker.forwards.entries.map { entry in
            let reason: String? =
                if let problem = entry.problem {
                    problem
                } else if !isUp {
                    "no link to a server"
                } else if worker.connection.status.session?.isPeerDraining == true {
                    "the server drains"
                } else {
                    switch worker.services[entry.service] {
                    case true?: nil
                    case false?: "the server says that the service is down"
                    case nil: "the server does not offer this service to this client"
                    }
                }
            return ForwardStatus(listen: "\(entry.listen)", service: entry.service, healthy: reason == nil, reason: reason)
        }
    }
}

extension LinkStatus {
    init(_ link: ServerConnection.Status) {
        let state: State = link.isUp ? (link.isSuspect ? .suspect : .active) : .down
        self.init(
            server: link.server, addr: "\(link.address)", state: state, rttSeconds: link.isUp ? link.roundTrip?.inSeconds : nil,
            since: link.since, reason: link.isSuspect ? "two heartbeats went unanswered" : link.reason)
    }
}

extension GotunnelClient: DaemonService {
    package var admin: any AdminSource { ClientAdmin(self) }

    package func observe(_ metrics: TunnelMetrics) {
        let budget = self.budget
        metrics.registry.onScrape {
            metrics.memory.set(budget.held)
            metrics.memoryBudget.set(budget.limit)
        }
    }
}
