import Testing

extension Integration {
    /// `gotunnelctl move`: an operator says where new streams go.
    @Suite struct MoveTests {
        @Test func toAServerThatIsLinkedAndToOneThatIsNot() async throws {
            try await ServerGroup.with { group in
                let (active, standby, third) = (try await group.active(), try await group.standby(), try await group.third())
                let old = try await CountedStream.open(2, port: group.forward)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    for server in [standby, third, active] {
                        try await newcomers.more(10)
                        try await group.move(to: server)
                        #expect(try await group.whoAnswers() === server)
                    }
                }
                arrivals.afterMark.expectAllServed(least: 30)
                #expect(arrivals.afterMark.numbers == [1, 2, 3])
                // Streams stay where they are.
                #expect(old.allSatisfy { $0.number == active.number })
                #expect(try await old.finish() == [.whole, .whole])
                let log = try group.client.logLines
                #expect(log.count { $0.contains("new streams go to another server, as asked") } == 3)
            }
        }

        /// The names of servers are remembered: after a restart the third one is found by its own address.
        @Test func toAServerThatIsKnownByName() async throws {
            try await ServerGroup.with(GroupSetup(advertises: true)) { group in
                try await group.move(to: group.third())
                let file = try await eventually("a file that names all three") {
                    let file = try JSON(group.folder.read("cs/servers.json"))
                    return file["announcers"].items.count == 3 ? file : nil
                }
                for (announcer, server) in zip(file["announcers"].items, group.servers) {
                    #expect(announcer["name"].text == server.name)
                    #expect(announcer["servers"][0]["addresses"] == .array([.string(server.address)]))
                }
                try await group.restartClient()
                try await group.whenReady()
                let third = try await group.third()
                let others = try await group.linked()
                try await group.move(to: third)
                #expect(try await group.whoAnswers() === third)
                for server in others { #expect(try await server.admin.status()["clients"].int == 1) }
            }
        }

        @Test func toAServerThatIsNotThere() async throws {
            try await ServerGroup.with { group in
                let (active, linked) = (try await group.active(), try await group.linked())
                let stream = try await CountedStream.open(port: group.forward)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    #expect(try await active.admin.ctl("move", ServerGroup.clientName, "server-9").end == .exit(0))
                    let client = try group.client
                    try await eventually("a line about the server that is sought") {
                        client.logLines.contains { $0.contains("looking for the server to move to") && $0.contains("server-9") }
                    }
                    try await newcomers.more(50)
                }
                arrivals.afterMark.expectAllServed(least: 50)
                #expect(arrivals.afterMark.numbers == [active.number])
                try await group.whenLinked(to: linked)
                #expect(try await stream.finish() == .whole)
                // A move that can be followed is followed, whatever is still sought.
                let standby = try await group.standby()
                try await group.move(to: standby)
                #expect(try await group.whoAnswers() === standby)
            }
        }

        @Test func ofAClientThatIsNotThere() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2)) { group in
                let server = group.servers[0]
                let answer = try await server.admin.request(
                    "/v1/clients/nobody/move", method: "POST", body: "{\"peer\":\"server-2\"}")
                #expect(answer.status == 404 && answer.body.contains("no client named nobody is connected"), "\(answer)")
                let unknown = try await server.admin.ctl("move", "nobody", "server-2")
                #expect(unknown.end == .exit(69) && unknown.errorLines.count == 1, "\(unknown)")
                let wrong = try await server.admin.request(
                    "/v1/clients/\(ServerGroup.clientName)/move", method: "POST", body: "{\"peer\":\"no name\"}")
                #expect(wrong.status == 400, "\(wrong)")
                #expect(try await group.linked().count == 2)
            }
        }
    }
}
