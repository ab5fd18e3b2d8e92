import Admin
import Foundation

extension ClusterStage {
    func admin(_ server: Server, timeout: Duration = .seconds(2)) -> AdminClient {
        AdminClient(socket: server.socket, timeout: timeout)
    }

    /// Nil: it does not answer.
    func status(_ server: Server) async -> ServerStatus? {
        guard case .server(let status)? = try? await self.admin(server).status() else { return nil }
        return status
    }

    func clientStatus(_ client: Client) async -> ClientStatus? {
        let admin = AdminClient(socket: client.socket, timeout: .seconds(2))
        guard case .client(let status)? = try? await admin.status() else { return nil }
        return status
    }

    func linkedServers(of client: Client) async -> [String] {
        let links = await self.clientStatus(client)?.links ?? []
        return links.filter { $0.state == .active || $0.state == .standby }.compactMap(\.server)
    }

    func waitReady(_ server: Server) async throws {
        try await self.wait(for: "\(server.name) to be ready", within: .seconds(20)) {
            (try? await self.admin(server, timeout: .seconds(1)).raw("/readyz")) != nil
        }
    }

    /// Waits until these servers agree on one leader, one of them, and hold each other alive; gives the leader.
    @discardableResult
    func settle(_ servers: [Server], within limit: Duration = .seconds(30)) async throws -> Server {
        let leader = MutexBox<Server?>(nil)
        try await self.wait(for: "\(servers.map(\.name).joined(separator: ", ")) to agree on a leader", within: limit) {
            var statuses: [ServerStatus] = []
            for server in servers { if let status = await self.status(server) { statuses.append(status) } }
            guard let name = Agreement.leader(of: statuses, servers: servers.map(\.name)) else { return false }
            leader.with { $0 = servers.first { $0.name == name } }
            return true
        }
        guard let found = leader.with({ $0 }) else { throw StageError("no leader") }
        return found
    }

    /// The port that an exposure got, once every one of these servers knows it.
    func waitForPort(_ client: String, _ exposure: String, at servers: [Server], within limit: Duration) async throws -> Int {
        let port = MutexBox<Int?>(nil)
        try await self.wait(for: "a port for \(client)/\(exposure)", within: limit) {
            var ports: Set<Int?> = []
            for server in servers { ports.insert(await self.exposure(client, exposure, at: server)?.port) }
            guard ports.count == 1, let one = ports.first, let one else { return false }
            port.with { $0 = one }
            return true
        }
        return port.with { $0 } ?? 0
    }

    func exposure(_ client: String, _ exposure: String, at server: Server) async -> ExposureRow? {
        try? await self.admin(server).exposures().first { $0.client == client && $0.name == exposure }
    }

    func wait(for what: String, within limit: Duration, _ isDone: () async -> Bool) async throws {
        let end = ContinuousClock.now + limit
        while !(await isDone()) {
            guard ContinuousClock.now < end else { throw StageError("waited in vain for \(what); see \(self.plan.folder)") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}

/// Whether servers tell the same story.
package enum Agreement {
    /// The leader that all of `servers` name: one of them, who says so itself, and nobody else does; each holds all the others
    /// alive. Nil: they do not agree, or one is missing.
    package static func leader(of statuses: [ServerStatus], servers: [String]) -> String? {
        guard Set(statuses.map(\.name)) == Set(servers), Set(statuses.map(\.leader)).count == 1,
            Set(statuses.map(\.term)).count == 1, let leader = statuses.first?.leader,
            statuses.filter({ $0.role == .leader }).map(\.name) == [leader]
        else { return nil }
        let areAllAlive = statuses.allSatisfy { status in
            Set(status.peers.filter { $0.state == .alive }.map(\.name)).isSuperset(of: Set(servers).subtracting([status.name]))
        }
        return areAllAlive ? leader : nil
    }

    /// What every server of a healed cluster has to tell alike: who is registered where, with which exposures and ports, and
    /// who votes. Left out is what only the server that holds a session can know of it: its streams, bytes and round trip.
    package struct Registry: Equatable, Sendable {
        package struct Client: Equatable, Sendable {
            var name: String
            var instance: String
            var servers: [String]
            var exposures: [String]
        }

        package var voters: [String]
        package var clients: [Client]
        package var exposures: [ExposureRow]

        package init(voters: [String], clients: [ClientRow], exposures: [ExposureRow]) {
            self.voters = voters.sorted()
            self.clients = clients.sorted { $0.name < $1.name }.map {
                Client(name: $0.name, instance: $0.instance, servers: $0.servers.sorted(), exposures: $0.exposures.sorted())
            }
            self.exposures = exposures.sorted { ($0.client, $0.name) < ($1.client, $1.name) }
        }
    }

    /// Ports that lead to two exposures.
    package static func doubled(_ exposures: [ExposureRow]) -> [Int] {
        let ports = exposures.compactMap(\.port)
        return Set(ports.filter { port in ports.count { $0 == port } > 1 }).sorted()
    }
}
