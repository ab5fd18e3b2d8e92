import Admin
import ClusterCore
import Daemon
import Settings
import Synchronization
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// What the admin API shows of a server and can make it do.
package struct ServerAdmin: AdminSource {
    private let server: GotunnelServer

    package init(_ server: GotunnelServer) { self.server = server }

    package func readiness() async -> String? { self.server.readinessProblem }

    package func status() async throws -> DaemonStatus {
        let rows = await self.rows()
        let problem = self.server.readinessProblem
        let view = await self.server.context.cluster.view()
        let isSingle = self.server.settings.withLock { $0.cluster == nil }
        return .server(
            ServerStatus(
                name: self.server.context.name, role: isSingle ? .single : view.role,
                term: isSingle ? 0 : view.leadership?.term ?? 0,
                leader: isSingle ? nil : view.leadership?.leader, cluster: isSingle ? nil : view.leadership?.cluster?.description,
                voters: isSingle ? [] : view.leadership?.voters.voters.map(\.name) ?? [], ready: problem == nil, reason: problem,
                draining: self.server.context.isDraining,
                peers: view.peers(besides: self.server.context.name, self.server.context.directory),
                clients: rows.count, streams: rows.reduce(0) { $0 + $1.streams }, services: self.services,
                process: ProcessStatus.current(
                    since: self.server.startedAt, budget: self.server.context.budget,
                    handoff: self.server.context.inherited?.handoff),
                sessions: SessionTotals(
                    linked: rows.count(where: \.linked), waiting: rows.count { !$0.linked },
                    resumes: self.server.context.metrics.totals.resumes,
                    resumedBytes: self.server.context.metrics.totals.resumedBytes,
                    replayBytes: rows.reduce(0) { $0 + $1.replayBytes },
                    bytesIn: rows.reduce(0) { $0 + $1.bytesIn }, bytesOut: rows.reduce(0) { $0 + $1.bytesOut })))
    }

    package func clients() async throws -> [ClientRow] {
        var rows = Dictionary(await self.rows().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (client, owners) in self.server.context.directory.clientsElsewhere {
            let servers = owners.map(\.server)
            if let row = rows[client] {
                rows[client]?.servers = (row.servers + servers).sorted()
            } else if let youngest = owners.max(by: { $0.record.since < $1.record.since }) {
                rows[client] = ClientRow(client, youngest.record, servers: servers)
            }
        }
        return rows.values.sorted { $0.name < $1.name }
    }

    package func exposures() async throws -> [ExposureRow] { await ClusterExposures.rows(of: self.server) }

    package func peers() async throws -> [PeerStatus] {
        await self.server.context.cluster.view().peers(besides: self.server.context.name, self.server.context.directory)
    }

    package func streams() async throws -> [StreamRow] {
        let now = Timestamp.now()
        let rows = await self.server.eachLoop { loop in
            loop.sessions.flatMap { session in
                session.driver.streamSnapshots().map { StreamRow($0, client: session.name, openedHereBy: .server, now: now) }
            }
        }
        return rows.flatMap { $0 }.sorted { ($0.client, $0.id) < ($1.client, $1.id) }
    }

    package func administer(_ change: ClusterChange) async throws -> ActionResult {
        guard self.server.settings.withLock({ $0.cluster != nil }) else {
            throw AdminError.notSupported("this is a single server: configure server.cluster first")
        }
        let outcome: RequestOutcome
        do {
            outcome = try await self.server.context.cluster.ask { .administer(id: $0, change.command) }
        } catch {
            throw AdminError(504, "\(error)")
        }
        switch outcome {
        case .done, .assigned: return ActionResult(change.success)
        case .refused(let reason): throw AdminError(409, reason)
        }
    }

    package func drain(wait: Bool) async throws -> ActionResult {
        if wait { await self.server.waitForDrainTurn() }
        let left = await self.server.drain(wait: wait)
        let streams = left == 1 ? "1 stream is" : "\(left) streams are"
        return ActionResult(left == 0 ? "drained: no streams are left" : "draining: \(streams) left")
    }

    package func undrain() async throws -> ActionResult {
        await self.server.undrain()
        return ActionResult("the server takes new streams again")
    }

    package func reload() async throws -> ActionResult {
        do {
            let lines = try await self.server.reload()
            return ActionResult(messages: lines.isEmpty ? ["nothing changed"] : lines)
        } catch {
            throw AdminError(422, "nothing was changed: \(error)")
        }
    }

    package func evict(client: String) async throws -> ActionResult {
        let found = await self.server.eachLoop { loop in
            guard let session = loop.session(named: client) else { return false }
            session.driver.end(.closedHere(.shutdown, "evicted by the operator"))
            return true
        }
        guard found.contains(true) else {
            throw AdminError.notFound("no client named \(PrintableText.clean(client)) is connected; see gotunnelctl clients")
        }
        return ActionResult("the session of \(client) has ended; the client may come back")
    }

    package func move(client: String, to peer: String) async throws -> ActionResult {
        guard let server = Names.processName(peer) else {
            throw AdminError(400, "\(PrintableText.clean(peer)) is no server name; see gotunnelctl peers")
        }
        let found = await self.server.eachLoop { loop in
            guard let session = loop.session(named: client) else { return false }
            session.move(to: server)
            return true
        }
        guard found.contains(true) else {
            throw AdminError.notFound("no client named \(PrintableText.clean(client)) is connected; see gotunnelctl clients")
        }
        return ActionResult("\(client) was asked to open its new streams at \(server); those it has stay where they are")
    }

    private var services: [ServiceStatus] {
        self.server.context.services.snapshot.map { service in
            ServiceStatus(
                name: service.settings.name, healthy: service.isHealthy,
                targets: service.targets.map {
                    ServiceStatus.Target(
                        addr: "\($0.address)", healthy: $0.health.isHealthy, reason: $0.health.isHealthy ? nil : $0.health.reason)
                })
        }
    }

    private func rows() async -> [ClientRow] {
        let server = self.server.context.name
        let rows = await self.server.eachLoop { loop in loop.sessions.map { ClientRow($0, server: server) } }
        return rows.flatMap { $0 }.sorted { $0.name < $1.name }
    }
}

extension ClientRow {
    init(_ session: ClientSession, server: String) {
        let state = session.driver.snapshot()
        self.init(
            name: session.name, instance: session.instance.description, addr: session.address, servers: [server],
            since: session.since, streams: state.streams, exposures: session.exposures.map(\.declaration.name),
            version: session.software, linked: state.isAttached, rttSeconds: state.roundTrip?.inSeconds, resumes: state.resumes,
            replayBytes: state.replayBytes, bytesIn: Int(clamping: state.bytesReceived), bytesOut: Int(clamping: state.bytesSent))
    }
}

extension GotunnelServer: DaemonService {
    package var admin: any AdminSource { ServerAdmin(self) }

    package func observe(_ metrics: TunnelMetrics) {
        let context = self.context
        let cluster = ClusterMetrics(registry: metrics.registry)
        let counted = Mutex(0)
        metrics.registry.onScrape {
            let (values, changes) = context.cluster.metrics
            cluster.set(values)
            let before = counted.withLock { counted in
                defer { counted = changes }
                return counted
            }
            cluster.leaderChanges.increment(by: changes - before)
            metrics.clients.set(context.clients)
            metrics.memory.set(context.budget.held)
            metrics.memoryBudget.set(context.budget.limit)
        }
    }
}
