/// What servers say of their cluster when all of them say the same.
struct ClusterAccord: Sendable, Equatable {
    let leader: GroupServer
    let term: Int
    /// Sorted.
    let voters: [String]
    /// The cluster's id.
    let id: String

    static func == (left: ClusterAccord, right: ClusterAccord) -> Bool {
        left.leader === right.leader && left.term == right.term && left.voters == right.voters && left.id == right.id
    }
}

extension ServerGroup {
    /// Waits until these servers agree on a leader among them, its term and the voters, and take each other for alive.
    ///
    /// - Parameters:
    ///   - servers: those that run; by default all.
    ///   - voters: who is to have a vote; nil: whoever has.
    ///   - least: the least term.
    @discardableResult
    func accord(
        of servers: [GroupServer]? = nil, voters: [GroupServer]? = nil, least: Int = 1, within limit: Duration = .seconds(30)
    ) async throws -> ClusterAccord {
        let servers = servers ?? self.servers
        return try await eventually("\(servers.map(\.name)) to agree", within: limit, every: .milliseconds(50)) {
            var views: [ClusterAccord] = []
            for server in servers { views.append(try await self.view(of: server, others: servers.filter { $0 !== server })) }
            guard let first = views.first, views.allSatisfy({ $0 == first }) else {
                throw Unmet("they say \(views.map { "\($0.leader.name) \($0.term) \($0.voters)" })")
            }
            guard first.term >= least else { throw Unmet("the term is \(first.term)") }
            if let voters, voters.map(\.name).sorted() != first.voters { throw Unmet("the voters are \(first.voters)") }
            return first
        }
    }

    /// What a server says; an error when it does not know what it should.
    private func view(of server: GroupServer, others: [GroupServer]) async throws -> ClusterAccord {
        let status = try await server.admin.status()
        let states = Dictionary(uniqueKeysWithValues: status["peers"].items.map { ($0["name"].text ?? "", $0["state"].text) })
        for other in others where states[other.name] != "alive" {
            throw Unmet("\(server.name) says that \(other.name) is \((states[other.name] ?? nil) ?? "unknown")")
        }
        guard let leader = ([server] + others).first(where: { $0.name == status["leader"].text }),
            let term = status["term"].int, let id = status["cluster"].text
        else { throw Unmet("\(server.name) says that \(status["leader"]) leads cluster \(status["cluster"])") }
        let role = status["role"].text
        let isVoter = status["voters"].items.contains { $0.text == server.name }
        guard (role == "leader") == (leader === server), isVoter || role == "learner" else {
            throw Unmet("\(server.name) says that it is \(role ?? "nothing")")
        }
        return ClusterAccord(leader: leader, term: term, voters: status["voters"].items.compactMap(\.text).sorted(), id: id)
    }

    /// The others of the group.
    func others(than servers: GroupServer...) -> [GroupServer] {
        self.servers.filter { server in !servers.contains { $0 === server } }
    }

    /// What a server says of another: `alive`, `dead` ...; nil: it has not heard of it.
    func state(of other: GroupServer, at server: GroupServer) async throws -> String? {
        try await server.admin.status()["peers"].items.first { $0["name"].text == other.name }?["state"].text
    }

    /// An exposure of the client as a server shows it; null when it does not know of it.
    func exposure(_ name: String, at server: GroupServer) async throws -> JSON {
        try JSON(try await server.admin.request("/v1/exposures").body).items.first { $0["name"].text == name } ?? .null
    }

    /// The port that the leader has chosen, once every one of the servers shows it.
    func pickedPort(at servers: [GroupServer]? = nil, within limit: Duration = .seconds(30)) async throws -> Int {
        let servers = servers ?? self.servers
        return try await eventually("a picked port at \(servers.map(\.name))", within: limit) {
            var ports: Set<Int> = []
            for server in servers {
                let row = try await self.exposure("picked", at: server)
                guard row["healthy"].bool == true, let port = row["port"].int else { throw Unmet("\(server.name) shows \(row)") }
                ports.insert(port)
            }
            guard let port = ports.first, ports.count == 1 else { throw Unmet("they show \(ports)") }
            return port
        }
    }

    /// Waits until these mapped ports lead to what the client exposes, at each of the servers.
    func whenMapped(_ ports: [Int], at servers: [GroupServer]? = nil, within limit: Duration = .seconds(30)) async throws {
        for server in servers ?? self.servers {
            for port in ports {
                try await eventually("port \(port) of \(server.name) to answer", within: limit) {
                    try await NamedBackend.ask(host: server.bind, port: port) == 0
                }
            }
        }
    }
}
