import Admin
import ChaosCore

/// What the servers and clients say of themselves.
extension ChaosStage {
    func socket(_ name: String) -> String {
        self.places.server(name)?.socket ?? self.places.client(name)?.socket ?? ""
    }

    func admin(_ name: String, timeout: Duration = .seconds(2)) -> AdminClient {
        AdminClient(socket: self.socket(name), timeout: timeout)
    }

    /// Nil: it does not answer.
    func serverStatus(_ name: String) async -> ServerStatus? {
        guard case .server(let status)? = try? await self.admin(name, timeout: .seconds(1)).status() else { return nil }
        return status
    }

    /// Nil: it does not answer.
    func clientStatus(_ name: String) async -> ClientStatus? {
        guard case .client(let status)? = try? await self.admin(name, timeout: .seconds(1)).status() else { return nil }
        return status
    }

    func waitReady(_ name: String, within limit: Duration = .seconds(30)) async throws {
        try await self.wait(for: "\(name) to be ready", within: limit) {
            (try? await self.admin(name, timeout: .seconds(1)).raw("/readyz")) != nil
        }
    }

    /// Puts a new process in the place of one; returns when that is ready.
    func upgrade(_ name: String) async throws {
        let admin = self.admin(name, timeout: .seconds(20))
        let before = try await admin.status().process.startedAt
        _ = try await admin.upgrade()
        try await self.wait(for: "the next process of \(name)", within: .seconds(30)) {
            // The old one answers until the new one takes over.
            guard let now = try? await self.admin(name).status().process.startedAt else { return false }
            return now != before
        }
        try await self.waitReady(name)
    }

    private func firstServers() -> [String] { self.places.servers.filter { !$0.isSpare }.map(\.name) }

    func waitForLeader() async throws {
        let names = self.firstServers()
        guard names.count > 1 else { return }
        try await self.wait(for: "the servers to agree on a leader", within: .seconds(30)) {
            var statuses: [ServerStatus] = []
            for name in names { if let status = await self.serverStatus(name) { statuses.append(status) } }
            return Agreement.leader(of: statuses, servers: names) != nil
        }
    }

    func wait(for what: String, within limit: Duration, _ isDone: () async -> Bool) async throws {
        let end = ContinuousClock.now + limit
        while !(await isDone()) {
            guard ContinuousClock.now < end else {
                throw StageError("waited in vain for \(what); see \(self.places.folder)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
