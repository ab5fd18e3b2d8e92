import Admin
import ChaosCore

/// Whether the servers tell the same story, and which it is.
struct AgreementWatch: Sendable {
    let stage: ChaosStage
    /// The servers that are to be there.
    let servers: [String]

    /// Asks until all agree, or until the time is over.
    func wait(since healed: Double, within limit: Duration) async -> AgreementRecord {
        let end = ContinuousClock.now + limit
        var record = AgreementRecord()
        while !Task.isCancelled {
            record.differences = await self.differences()
            if record.differences.isEmpty {
                record.after = TrafficClock.now() / 1_000 - healed
                return record
            }
            if ContinuousClock.now >= end { return record }
            try? await Task.sleep(for: .milliseconds(200))
        }
        return record
    }

    /// What they do not agree on, in short sentences.
    private func differences() async -> [String] {
        var statuses: [ServerStatus] = []
        var tales: [String: Agreement.Registry] = [:]
        var differences: [String] = []
        for name in self.servers {
            guard let status = await self.stage.serverStatus(name), let clients = try? await self.stage.admin(name).clients(),
                let exposures = try? await self.stage.admin(name).exposures()
            else {
                differences.append("\(name) does not answer")
                continue
            }
            statuses.append(status)
            tales[name] = Agreement.Registry(voters: status.voters, clients: clients, exposures: exposures)
            if let reason = status.reason, !status.ready { differences.append("\(name) is not ready: \(reason)") }
        }
        if self.servers.count > 1, Agreement.leader(of: statuses, servers: self.servers) == nil {
            let leaders = statuses.map { "\($0.name): \($0.role.rawValue) in term \($0.term), leader \($0.leader ?? "none")" }
            differences.append("no leader that all agree on (\(leaders.joined(separator: "; ")))")
        }
        if let first = self.servers.first, let tale = tales[first] {
            for name in self.servers.dropFirst() where tales[name] != tale && tales[name] != nil {
                differences.append("\(name) tells another registry than \(first)")
            }
        }
        return differences + (await self.clientDifferences()) + self.missing(in: tales[self.servers.first ?? ""])
    }

    /// Who is not registered, or on fewer servers than it wants.
    private func missing(in registry: Agreement.Registry?) -> [String] {
        guard let registry else { return [] }
        let wanted = self.stage.places.clients.count + self.stage.layout.fleet
        var differences: [String] = []
        if registry.clients.count != wanted {
            differences.append("\(registry.clients.count) clients are registered, of \(wanted)")
        }
        let poor = registry.clients.filter { $0.servers.count < self.stage.linksEach }
        if let first = poor.first {
            differences.append("\(poor.count) clients are on too few servers, among them \(first.name)")
        }
        return differences
    }

    private func clientDifferences() async -> [String] {
        var differences: [String] = []
        for client in self.stage.places.clients {
            guard let status = await self.stage.clientStatus(client.name) else {
                differences.append("\(client.name) does not answer")
                continue
            }
            let up = status.links.count { $0.state == .active || $0.state == .standby }
            if up < self.stage.linksEach { differences.append("\(client.name) has \(up) links of \(self.stage.linksEach)") }
            for exposure in status.exposures where exposure.port == nil {
                differences.append("\(client.name)/\(exposure.name) has no mapped port: \(exposure.reason ?? "no reason given")")
            }
        }
        return differences
    }
}
