import Testing

extension Integration {
    /// Several servers as one: whichever is asked, whichever is killed.
    @Suite enum Cluster {}
}

extension Integration.Cluster {
    /// `gotunnelctl` at any server shows the whole cluster.
    @Suite struct StatusTests {
        @Test func everyServerShowsTheSame() async throws {
            try await ServerGroup.with(GroupSetup(hasExposure: true, hasPicked: true, isCluster: true)) { group in
                let accord = try await group.accord(voters: group.servers)
                let port = try await group.pickedPort()
                let linked = try await group.linked().map(\.name)
                #expect(linked.count == 2)
                try await eventually("every server to show who holds the client") {
                    for server in group.servers {
                        let clients = try await server.admin.json("clients").items
                        guard clients.count == 1, clients[0]["servers"].items.compactMap(\.text) == linked else {
                            throw Unmet("\(server.name) shows \(clients)")
                        }
                    }
                    return true
                }
                for server in group.servers {
                    try await Self.expectStatus(of: server, accord, group)
                    try await Self.expectExposures(of: server, linked, [group.mapped, port])
                    try await Self.expectText(of: server, accord, group)
                }
                // The client's links, seen by it, are those that the servers show.
                let instances = try await group.servers.asyncMap { try await $0.admin.json("clients")[0]["instance"].text }
                #expect(Set(instances).count == 1 && instances[0] != nil, "\(instances)")
            }
        }

        private static func expectStatus(of server: GroupServer, _ accord: ClusterAccord, _ group: ServerGroup) async throws {
            let names = group.servers.map(\.name)
            let others = names.filter { $0 != server.name }
            let status = try await server.admin.json("status")
            #expect(status["name"].text == server.name && status["ready"].bool == true)
            #expect(status["role"].text == (server === accord.leader ? "leader" : "follower"))
            let leader = try await server.admin.json("leader")
            for answer in [status, leader] {
                #expect(answer["leader"].text == accord.leader.name && answer["term"].int == accord.term)
                #expect(answer["voters"].items.compactMap(\.text) == names)
                #expect(answer["cluster"].text == accord.id && accord.id.utf8.count == 32)
            }
            for peers in [status["peers"].items, try await server.admin.json("peers").items] {
                #expect(peers.compactMap { $0["name"].text } == others)
                for peer in peers {
                    #expect(peer["state"].text == "alive")
                    #expect(group.servers.contains { $0.name == peer["name"].text && $0.address == peer["addr"].text })
                }
            }
            // What takes a probe, or what a peer says of itself.
            try await eventually("\(server.name) to know the round trips and the versions") {
                try await server.admin.json("peers").items.allSatisfy {
                    ($0["rtt_seconds"].number ?? 0) > 0 && $0["version"].text?.hasPrefix("gotunnel/") == true
                }
            }
            #expect(try await server.admin.metric("gotunnel_cluster_members{state=\"alive\"}") == 3)
            #expect(try await server.admin.metric("gotunnel_cluster_term") == Double(accord.term))
            #expect(try await server.admin.metric("gotunnel_cluster_is_leader") == (server === accord.leader ? 1 : 0))
        }

        private static func expectExposures(of server: GroupServer, _ linked: [String], _ ports: [Int]) async throws {
            let rows = try await server.admin.json("exposures").items
            #expect(rows.map { $0["name"].text } == ["picked", "web"])
            #expect(rows.map { $0["port"].int } == [ports[1], ports[0]])
            for row in rows {
                #expect(row["client"].text == ServerGroup.clientName && row["healthy"].bool == true, "\(row)")
                #expect(row["servers"].items.compactMap(\.text) == linked)
            }
        }

        private static func expectText(of server: GroupServer, _ accord: ClusterAccord, _ group: ServerGroup) async throws {
            let expected: [(command: String, begins: String, names: [String])] = [
                ("status", "\(server.name): server ", group.servers.map(\.name) + ["leader \(accord.leader.name)   term"]),
                ("peers", "PEER ", group.others(than: server).map { "\($0.name)  \($0.address)  alive" }),
                ("clients", "CLIENT ", [ServerGroup.clientName, "picked,web"]),
                ("exposures", "CLIENT ", ["picked", "web", "\(group.mapped)", "yes"]),
                ("leader", "\(accord.leader.name) (term \(accord.term); voters: server-1, server-2, server-3)\n", []),
            ]
            for (command, begins, names) in expected {
                let result = try await server.admin.ctl(command)
                #expect(result.end == .exit(0) && result.errors.isEmpty, "\(command): \(result)")
                #expect(result.output.hasPrefix(begins), "\(command): \(result.output)")
                for name in names { #expect(result.output.contains(name), "\(command): expected \(name) in \(result.output)") }
                let lines = result.output.split(separator: "\n")
                #expect(lines.allSatisfy { $0.utf8.count <= 80 }, "\(command) is wider than 80 columns:\n\(result.output)")
                #expect(lines.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } })
            }
        }
    }
}

extension Sequence where Element: Sendable {
    /// One after the other.
    func asyncMap<Value>(_ body: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}
