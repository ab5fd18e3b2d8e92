import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// What clients hear of the cluster, and what the cluster does with what is left of a client.
    @Suite struct ClientsTests {
        /// One address in the file, three servers to go to; and one that came later, which no file of a client names.
        @Test func clientsFollowTheMembers() async throws {
            let setup = GroupSetup(servers: 4, isCluster: true, founders: 3, listed: [1])
            try await ServerGroup.with(setup, waits: false) { group in
                let founders = Array(group.servers.prefix(3))
                try await group.start(founders)
                try await group.accord(of: founders, voters: founders)
                try group.startClient()
                try await group.whenReady()
                try await Self.whenHeard(of: founders, group)
                try await group.start([group.servers[3]])
                try await group.accord(voters: founders)
                try await Self.whenHeard(of: group.servers, group)
                // The only one in the file is killed, and one that was learned is stopped for good.
                try await group.servers[0].kill()
                let rest = Array(group.servers.dropFirst())
                try await group.accord(of: rest)
                let stopped = group.servers[1]
                for gone in group.servers.prefix(2) {
                    try await Integration.Cluster.VoterTests.change(
                        group.servers[3], "remove", gone.name, says: "\(gone.name) is no voter")
                }
                try stopped.signal(SIGTERM)
                #expect(try await stopped.program.exit(within: .seconds(40)) == .exit(0))
                try await group.whenLinked(to: [group.servers[2], group.servers[3]], within: .seconds(40))
                #expect(try await [3, 4].contains(group.whoAnswers().number))
                // The client that begins anew knows where to go, although its file names a dead one.
                try await group.restartClient()
                try await group.whenLinked(to: [group.servers[2], group.servers[3]], within: .seconds(40))
            }
        }

        /// The client was killed and came back at another server, while the old server has heard nothing of its end.
        @Test(arguments: [true, false])
        func aGhostIsEvicted(isLinked: Bool) async throws {
            let setup = GroupSetup(
                client: "links: 1", hasProxies: true, hasExposure: true, isCluster: true, listed: [1], links: 1)
            try await ServerGroup.with(setup) { group in
                let (old, new) = (group.servers[0], group.servers[1])
                try await group.accord()
                try await group.whenLinked(to: [old])
                let ghost = try await Self.holders(at: old)
                #expect(ghost.servers == [old.name])
                // Silence: the FIN of the killed process does not arrive.
                if isLinked { try await old.proxy?.pause() }
                var changed = setup
                changed.listed = [2]
                try group.writeClient(changed)
                try await group.restartClient()
                try await group.whenLinked(to: [new])
                for server in group.servers {
                    try await eventually("one instance, at \(new.name), in the eyes of \(server.name)", within: .seconds(40)) {
                        let holders = try await Self.holders(at: server)
                        guard holders.servers == [new.name], holders.instance != ghost.instance else { throw Unmet("\(holders)") }
                        return true
                    }
                }
                #expect(try old.program.log.contains("the client is at another server with another instance"))
                try await old.proxy?.heal()
                try await group.whenMapped([group.mapped])
            }
        }

        private static func holders(at server: GroupServer) async throws -> (servers: [String], instance: String?) {
            let rows = try JSON(try await server.admin.request("/v1/clients").body).items
            guard rows.count == 1 else { throw Unmet("\(server.name) shows \(rows)") }
            return (rows[0]["servers"].items.compactMap(\.text), rows[0]["instance"].text)
        }

        /// Waits until the client has written down where these servers are.
        private static func whenHeard(of servers: [GroupServer], _ group: ServerGroup) async throws {
            try await eventually("the client to have heard of \(servers.map(\.name))", within: .seconds(20)) {
                let file = group.folder.read("cs/servers.json")
                // The first one stands in its configuration.
                return servers.dropFirst().allSatisfy { file.contains("\"\($0.address)\"") }
            }
        }
    }
}
