import Testing

extension Integration {
    /// Which servers a client holds links with, and what it says of them.
    @Suite struct LinksTests {
        @Test func twoOfThreeServersAreLinked() async throws {
            try await ServerGroup.with(GroupSetup(hasExposure: true)) { group in
                let streams = try await CountedStream.open(2, port: group.forward)
                let (active, standby, third) = (try await group.active(), try await group.standby(), try await group.third())
                #expect(try await group.link(to: active)["state"].text == "active")
                #expect(try await group.link(to: standby)["state"].text == "standby")
                for server in [active, standby] {
                    try await eventually("a measured round trip to \(server.name)", within: .seconds(20)) {
                        let link = try await group.link(to: server)
                        return (link["rtt_seconds"].number ?? 0) > 0 && link["since"].text?.hasSuffix("Z") == true
                            && link["addr"].text == server.address && link["reason"] == .null
                    }
                    #expect(try await server.admin.status()["clients"].int == 1)
                    try await eventually("the mapped port of \(server.name) to answer") { try await group.isMapped(at: server) }
                }
                let idle = try await third.admin.status()
                #expect(idle["clients"].int == 0 && idle["sessions"]["linked"].int == 0)
                let status = try await group.clientAdmin.status()
                #expect(status["ready"].bool == true && status["links"].items.count == 2)
                #expect(status["sessions"]["linked"].int == 2 && status["sessions"]["waiting"].int == 0)
                #expect(status["forwards"][0]["healthy"].bool == true && status["exposures"][0]["healthy"].bool == true)
                // Every stream goes to the same server while nothing speaks against it.
                #expect(streams.allSatisfy { $0.number == active.number })
                #expect(try await streams.finish() == [.whole, .whole])
            }
        }

        /// Whatever its addresses are: the second session with a server is found out before it takes the first one's place.
        @Test func twoAddressesOfOneServerAreOneSession() async throws {
            var setup = GroupSetup(servers: 1, links: 1)
            try await ServerGroup.with(setup, waits: false) { group in
                let server = group.servers[0]
                let (port, others) = (server.linkPort, ["127.0.0.2", "localhost", "127.0.0.3"])
                try group.write(server)
                try group.folder.write(
                    "server-1.yaml", group.folder.read("server-1.yaml").replacing("127.0.0.1:\(port)", with: "0.0.0.0:\(port)"))
                let addresses = (["127.0.0.1"] + others).map { "\"\($0):\(port)\"" }.joined(separator: ", ")
                setup.client = "server_addrs: [\(addresses)]"
                try group.writeClient(setup)
                try await group.start([server])
                try group.startClient()
                try await group.whenReady()
                let stream = try await CountedStream.open(port: group.forward)
                // Long enough for many more attempts than there are addresses.
                try await Task.sleep(for: .seconds(4))
                let lines = try group.client.logLines
                #expect(lines.count { $0.contains("connected to server") } == 1, "\(lines)")
                #expect(!lines.contains { $0.contains("took over") || $0.contains("session ended") }, "\(lines)")
                #expect(try server.program.logLines.count { $0.contains("client connected") } == 1)
                #expect(try !server.program.log.contains("superseded"))
                // Each further address is looked at once; then the client has no reason to ask again for a minute.
                let shaken = try await server.admin.metric("gotunnel_handshakes_total{result=\"failed\"}") ?? 0
                #expect(shaken <= Double(others.count), "expected each other address to be dialled once, got \(shaken) dials")
                #expect(try await stream.finish() == .whole)
            }
        }

        @Test func oneServerOfThreeRefusesTheToken() async throws {
            try await ServerGroup.with(GroupSetup(client: "links: 3"), waits: false) { group in
                let refusing = group.servers[2]
                try group.folder.write(refusing.tokenFile, otherToken)
                try await group.start(group.servers)
                try group.startClient()
                try await group.whenReady()
                let client = try group.client
                try await eventually("a line that says which server refused") {
                    client.logLines.contains { $0.contains("cannot reach server") && $0.contains(refusing.address) }
                }
                let link = try await eventually("the refusing server in the status") {
                    try await group.clientAdmin.status()["links"].items.first { $0["addr"].text == refusing.address }
                }
                #expect(link["state"].text == "down" && link["reason"].text?.contains("authentication failed") == true, "\(link)")
                // The others serve, one of them going away included.
                try await group.active().kill()
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(30)
                }
                arrivals.afterMark.expectAllServed()
                #expect(client.isRunning)
            }
        }

        @Test func aClientThatEveryServerRefusesExits77() async throws {
            try await ServerGroup.with(waits: false) { group in
                for server in group.servers { try group.folder.write(server.tokenFile, otherToken) }
                try await group.start(group.servers)
                try group.startClient()
                #expect(try await group.client.exit(within: .seconds(20)) == .exit(77))
                #expect(try group.client.logLines.last?.contains("authentication failed") == true)
                for server in group.servers {
                    let failures = try await server.admin.metric(
                        "gotunnel_handshake_failures_total{reason=\"authentication\"}")
                    #expect((failures ?? 0) >= 1, "expected \(server.name) to have been asked")
                }
            }
        }

        @Test func aReloadBringsAnotherServer() async throws {
            var setup = GroupSetup(servers: 2, listed: [1], links: 1)
            try await ServerGroup.with(setup) { group in
                let stream = try await CountedStream.open(port: group.forward)
                #expect(stream.number == 1)
                setup.listed = [1, 2]
                try group.writeClient(setup)
                let reloaded = try await group.clientAdmin.ctl("reload")
                #expect(reloaded.end == .exit(0), "\(reloaded)")
                #expect(reloaded.output == "client.server_addrs: changed, in force now\n")
                try await group.whenLinked(to: group.servers)
                #expect(try group.client.log.contains("client.server_addrs: changed, in force now"))
                #expect(try await stream.finish() == .whole)
                // The new one does what the old one did.
                try await group.servers[0].kill()
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(30)
                }
                arrivals.afterMark.expectAllServed()
                #expect(arrivals.afterMark.numbers == [2])
            }
        }
    }
}
