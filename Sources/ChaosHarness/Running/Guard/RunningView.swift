import Admin

/// How a running cluster is at one moment, for the decision whether it may be struck.
struct RunningView: Sendable {
    struct Member<Status: Sendable>: Sendable {
        var name: String
        /// Nil: it did not answer.
        var status: Status?
        /// Why not.
        var failure: String?
    }

    var servers: [Member<ServerStatus>]
    var clients: [Member<ClientStatus>]

    /// What stands against striking anybody now, a line each; empty: nothing does.
    var troubles: [String] {
        self.servers.flatMap(self.troubles) + self.clients.flatMap(self.troubles) + (self.leaderTrouble.map { [$0] } ?? [])
    }

    private func troubles(_ server: Member<ServerStatus>) -> [String] {
        guard let status = server.status else {
            return ["\(server.name) does not answer (\(server.failure ?? "no reason given"))"]
        }
        var troubles: [String] = []
        if !status.ready { troubles.append("\(server.name) is not ready: \(SafeText.line(status.reason ?? "no reason given"))") }
        if status.draining { troubles.append("\(server.name) is draining") }
        let names = Set(self.servers.map(\.name))
        for peer in status.peers where names.contains(peer.name) && peer.state != .alive {
            troubles.append("\(server.name) holds \(peer.name) for \(peer.state.rawValue)")
        }
        return troubles
    }

    private func troubles(_ client: Member<ClientStatus>) -> [String] {
        guard let status = client.status else {
            return ["\(client.name) does not answer (\(client.failure ?? "no reason given"))"]
        }
        if status.ready { return [] }
        return ["\(client.name) is not ready: \(SafeText.line(status.reason ?? "no reason given"))"]
    }

    /// A quorum is there when a majority of the voters follow one leader in one term.
    private var leaderTrouble: String? {
        let statuses = self.servers.compactMap(\.status)
        if self.servers.count == 1, statuses.first?.role == .single { return nil }
        let clusters = Set(statuses.map { $0.cluster ?? "none" })
        guard clusters.count <= 1 else { return "the servers belong to \(clusters.count) clusters" }
        guard let term = statuses.map(\.term).max(), let leader = statuses.first(where: { $0.role == .leader && $0.term == term })
        else { return "there is no leader, so no quorum" }
        let following = statuses.filter { $0.term == term && $0.leader == leader.name && leader.voters.contains($0.name) }
        guard following.count * 2 > leader.voters.count else {
            return "no quorum: \(following.count) of \(leader.voters.count) voters follow \(leader.name)"
        }
        let unnamed = leader.voters.filter { voter in !self.servers.contains { $0.name == voter } }
        return unnamed.isEmpty ? nil : "\(unnamed.joined(separator: ", ")) of the cluster is missing in the file"
    }
}
