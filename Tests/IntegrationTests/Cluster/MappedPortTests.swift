import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// A mapped port is one port of the whole cluster, whoever is linked to the client and whoever was killed.
    @Suite struct MappedPortTests {
        @Test func portsStayWhatTheyAre() async throws {
            let setup = GroupSetup(client: "links: 1", hasExposure: true, hasPicked: true, isCluster: true, links: 1)
            try await ServerGroup.with(setup) { group in
                let first = try await group.accord()
                let port = try await group.pickedPort()
                #expect(group.pickable.contains(port), "expected a port of exposures.ports, got \(port)")
                try await group.whenMapped([group.mapped, port])

                try await group.restartClient()
                try await Self.expectPorts(port, group, "the client was killed")

                let linked = try await Self.linkedServer(group)
                try await linked.kill()
                let survivors = group.others(than: linked)
                try await group.whenMapped([group.mapped, port], at: survivors)
                // Nobody listens in the name of the dead one.
                await #expect(throws: (any Error).self) { try await NamedBackend.ask(host: linked.bind, port: port) }
                try await group.accord(of: survivors, voters: group.servers, least: first.term)
                try await group.start([linked])
                try await Self.expectPorts(port, group, "the linked server was killed")

                let second = try await group.accord(voters: group.servers)
                try await second.leader.kill()
                let third = try await group.accord(of: group.others(than: second.leader), least: second.term + 1)
                #expect(third.id == first.id)
                try await group.start([second.leader])
                try await Self.expectPorts(port, group, "the leader was killed")

                for server in group.servers { try server.signal(SIGKILL) }
                for server in group.servers { _ = try await server.program.exit() }
                try await group.start(group.servers)
                let last = try await group.accord(voters: group.servers, least: third.term + 1)
                #expect(last.id == first.id, "expected the same cluster as before")
                try await Self.expectPorts(port, group, "all servers were killed")
                #expect(try await group.exposure("picked", at: last.leader)["port"].int == port)
            }
        }

        /// A port that was given out is known from the disk, before any peer and any client is there.
        @Test func aServerAloneListensOnWhatItKnows() async throws {
            let setup = GroupSetup(client: "links: 1", hasExposure: true, hasPicked: true, isCluster: true, links: 1)
            try await ServerGroup.with(setup) { group in
                let port = try await group.pickedPort()
                try group.client.signal(SIGKILL)
                for server in group.servers { try await server.kill() }
                let only = group.servers[0]
                try await group.start([only])
                try await eventually("a listener on the port that was given out") { isListening(port) }
                // Whoever connects is held until the client is back.
                let early = try await TestConnection.connect(port: port)
                try group.startClient()
                #expect(try await early.use { try await $0.readText(1, within: .seconds(20)) } == "0")
                try await group.whenMapped([group.mapped, port], at: [only])
                #expect(try await only.admin.status()["leader"] == .null, "expected no majority")
            }
        }

        /// Several exposures ask at the same time: none gets the port of another, and the last is told that nothing is left.
        @Test func noPortIsGivenTwice() async throws {
            let target = try await TestServer.echo()
            let exposures = (1...4).map { "{name: picked-\($0), target: \"127.0.0.1:\(target.port)\", remote_port: 0}" }
            var setup = GroupSetup(client: "links: 1", hasExposure: true, hasPicked: true, isCluster: true, links: 1)
            setup.exposures = Array(exposures.prefix(2))
            try await ServerGroup.with(setup) { group in
                try await group.accord()
                for server in group.servers {
                    let rows = try await eventually("four ports at \(server.name)", within: .seconds(30)) {
                        let rows = try JSON(try await server.admin.request("/v1/exposures").body).items
                        return rows.count == 4 && rows.allSatisfy { $0["port"].int != nil } ? rows : nil
                    }
                    let ports = Set(rows.compactMap { $0["port"].int })
                    #expect(ports.count == 4 && ports.isSubset(of: group.pickable + [group.mapped]), "\(rows)")
                }
                // There are four to give, and the fixed one is nobody else's. The fifth exposure is told that nothing is left.
                let before = try await group.exposure("picked", at: group.servers[0])["port"].int
                setup.exposures = exposures
                try group.writeClient(setup)
                #expect(try await group.clientAdmin.ctl("reload").end == .exit(0))
                let reasons = try await eventually("one exposure without a port", within: .seconds(30)) {
                    let rows = try await group.clientAdmin.status()["exposures"].items
                    guard rows.count == 6 else { throw Unmet("\(rows)") }
                    let reasons = rows.compactMap { $0["reason"].text }
                    guard reasons.count == 1, !reasons[0].contains("waiting") else { throw Unmet("\(rows)") }
                    return reasons
                }
                let says = "no mapped port is free in the range that \(ServerGroup.clientName) may have"
                #expect(reasons.allSatisfy { $0.hasSuffix(": \(says)") }, "\(reasons)")
                #expect(try await group.exposure("picked-4", at: group.linked()[0])["reason"].text == says)
                #expect(try await group.exposure("picked", at: group.servers[0])["port"].int == before)
            }
            await target.stop()
        }

        private static func linkedServer(_ group: ServerGroup) async throws -> GroupServer {
            try await eventually("the server that the client is linked to") {
                let linked = try await group.linked()
                return linked.count == 1 ? linked[0] : nil
            }
        }

        /// Both ports lead to the client everywhere, and the picked one is still the same.
        private static func expectPorts(_ port: Int, _ group: ServerGroup, _ cause: String) async throws {
            try await group.whenReady(within: .seconds(40))
            try await group.accord()
            #expect(try await group.pickedPort() == port, "expected the same port after \(cause)")
            try await group.whenMapped([group.mapped, port])
        }
    }
}
