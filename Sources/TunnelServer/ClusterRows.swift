import Admin
import ClusterCore
import TunnelWire

extension ClusterView {
    var role: ServerStatus.Role {
        switch self.leadership?.role {
        case .leader: .leader
        case .candidate: .candidate
        case .learner: .learner
        case .follower, nil: .follower
        }
    }

    /// The other servers, by name.
    func peers(besides own: ServerName, _ directory: ClusterDirectory) -> [PeerStatus] {
        let software = Dictionary(
            directory.otherServers.map { ($0.member.name, $0.record?.software) }, uniquingKeysWith: { first, _ in first })
        return self.members.filter { $0.name != own }.map { member in
            PeerStatus(
                name: member.name, addr: member.addresses.first.map { "\($0.host):\($0.port)" } ?? "unknown",
                state: PeerStatus.State(rawValue: member.state.rawValue) ?? .suspect,
                rttSeconds: self.roundTrips[member.name]?.inSeconds, version: software[member.name] ?? nil)
        }
    }
}

extension ClusterChange {
    var command: ClusterCommand {
        switch self {
        case .found: .found
        case .add(let name): .addVoter(name)
        case .remove(let name): .removeVoter(name)
        case .transfer(let name): .transfer(name)
        }
    }

    var success: String {
        switch self {
        case .found: "the cluster is founded; see gotunnelctl leader"
        case .add(let name): "\(name) is a voter"
        case .remove(let name): "\(name) is no voter"
        case .transfer(let name): "\(name ?? "another voter") was asked to lead; see gotunnelctl leader"
        }
    }
}

extension ClientRow {
    /// A client that other servers hold.
    init(_ name: String, _ record: ClientRecord, servers: [String]) {
        self.init(
            name: name, instance: record.instance.description, addr: record.address, servers: servers,
            since: Timestamp(milliseconds: Int64(clamping: record.since)), streams: 0,
            exposures: record.exposures.map(\.name))
    }
}

/// The exposures of all clients, wherever they are linked.
enum ClusterExposures {
    private struct Row {
        var port: Int?
        var isHealthy = false
        var servers: Set<String> = []
        var reason: String?
    }

    static func rows(of server: GotunnelServer) async -> [ExposureRow] {
        let name = server.context.name
        let own = await server.eachLoop { loop in
            loop.sessions.flatMap { session in
                let isLinked = session.driver.isAttached
                return session.exposures.map { entry in
                    let problem = session.problem(of: entry)
                    return ExposureRow(
                        client: session.name, name: entry.declaration.name,
                        port: (entry.port ?? entry.declaration.mappedPort).map(Int.init),
                        healthy: problem == nil && entry.declaration.isHealthy && isLinked, servers: [name],
                        reason: problem
                            ?? (!isLinked ? "its client has no link" : entry.declaration.isHealthy ? nil : "its target is down"))
                }
            }
        }.flatMap(\.self)
        var rows: [PortHolder: Row] = [:]
        for row in own {
            rows[PortHolder(client: row.client, exposure: row.name)] = Row(
                port: row.port, isHealthy: row.healthy, servers: [name], reason: row.reason)
        }
        for (client, owners) in server.context.directory.clientsElsewhere {
            for owner in owners {
                for exposure in owner.record.exposures {
                    let holder = PortHolder(client: client, exposure: exposure.name)
                    self.add(exposure, at: owner.server, to: &rows[holder, default: Row()])
                    if rows[holder]?.port == nil {
                        rows[holder]?.port = server.context.directory.assignedPort(of: holder).map(Int.init)
                    }
                }
            }
        }
        let unbound = await server.eachLoop { $0.ports.problems }.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
        for (holder, row) in rows {
            // Wherever the client is linked, this server's own port does not lead to it.
            guard row.isHealthy, let problem = row.port.flatMap({ UInt16(exactly: $0) }).flatMap({ unbound[$0] }) else {
                continue
            }
            rows[holder]?.isHealthy = false
            rows[holder]?.reason = "\(name): \(problem)"
        }
        return rows.map { holder, row in
            ExposureRow(
                client: holder.client, name: holder.exposure, port: row.port, healthy: row.isHealthy,
                servers: row.servers.sorted(),
                reason: row.isHealthy ? nil : row.reason)
        }.sorted { ($0.client, $0.name) < ($1.client, $1.name) }
    }

    private static func add(
        _ exposure: ExposureRecord, at server: ServerName, to row: inout Row
    ) {
        row.servers.insert(server)
        if exposure.isHealthy { row.isHealthy = true } else { row.reason = row.reason ?? "its target is down" }
        switch exposure.port {
        case .none: break
        case .fixed(let port, _): row.port = row.port ?? Int(port)
        case .assigned: break
        }
    }
}
