import Testing

extension Integration {
    /// `server.clients` says who may do what; ports have one owner.
    @Suite struct PolicyTests {
        @Test func aServiceThatIsNotAllowedIsRefused() async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(
                services: ["one": echo.port, "two": echo.port], server: "clients: {\"worker-*\": {services: [one]}}")
            try await TunnelPair.with(setup, waits: false) { pair in
                try await pair.startServer()
                try await pair.startClient()
                let admin = pair.clientAdmin
                try await eventually("a client whose second forward is not offered") {
                    let rows = try await admin.status()["forwards"].items
                    let one = rows.first { $0["service"].text == "one" }
                    let two = rows.first { $0["service"].text == "two" }
                    return one?["healthy"].bool == true
                        && two?["reason"].text == "the server does not offer this service to this client" ? true : nil
                }
                try await TestConnection.connect(port: try pair.forward("one")).use { connection in
                    try await connection.write("a")
                    #expect(try await connection.readText(1) == "a")
                }
                #expect(try await TestConnection.fate(port: try pair.forward("two")) == .reset)
                try await eventually("the reason in both logs") {
                    try pair.client.log.contains("stream refused") && pair.client.log.contains("code=forbidden")
                        && pair.server.log.contains("stream refused") ? true : nil
                }
                for admin in [pair.serverAdmin, pair.clientAdmin] {
                    #expect(try await admin.metric("gotunnel_stream_refusals_total{code=\"forbidden\"}") == 1)
                }
            }
            await echo.stop()
        }

        @Test(arguments: ["clients: {\"worker-*\": {exposures: [other]}}", "clients: {\"worker-*\": {ports: [\"19000-19999\"]}}"])
        func anExposureThatIsNotAllowedIsRefused(policy: String) async throws {
            let echo = try await TestServer.echo()
            try await TunnelPair.with(TunnelSetup(exposures: ["web": echo.port], server: policy), waits: false) { pair in
                try await pair.startServer()
                try await pair.startClient()
                let admin = pair.clientAdmin
                let reason = try await eventually("an exposure with a reason") {
                    let row = try await admin.status()["exposures"][0]
                    return row["healthy"].bool == false ? row["reason"].text : nil
                }
                #expect(reason.contains("worker-1") || reason.contains("port"), "\(reason)")
                // The client says which server it was, the server does not.
                #expect(reason.hasPrefix("\(TunnelPair.serverName): "))
                let told = String(reason.dropFirst(TunnelPair.serverName.count + 2))
                let part = told.prefix { $0 != "\"" }.prefix(40)
                try await eventually("the reason in the client's log") {
                    try pair.client.log.contains("exposure refused by server") && pair.client.log.contains(part) ? true : nil
                }
                let row = try await pair.serverAdmin.json("exposures")[0]
                #expect(row["healthy"].bool == false && row["reason"].text == told)
                #expect(!isListening(try pair.exposure("web")))
            }
            await echo.stop()
        }

        @Test func aNameThatNoPatternMatchesIsTurnedAway() async throws {
            try await TunnelPair.with(TunnelSetup(server: "clients: {\"k8s-*\": {}}"), waits: false) { pair in
                try await pair.startServer()
                try await pair.startClient()
                #expect(try await pair.client.exit(within: .seconds(20)) == .exit(77))
                #expect(try pair.client.log.contains("no pattern under server.clients matches the client name worker-1"))
            }
        }

        @Test func aMappedPortHasOneOwner() async throws {
            let (first, second) = (try await TestServer.echo(), try await TestServer.sink())
            try await TunnelPair.with(TunnelSetup(exposures: ["web": first.port])) { pair in
                let port = try pair.exposure("web")
                try await Self.allow("worker-2", pair)
                try pair.folder.write(
                    "other.yaml",
                    """
                    client:
                      name: worker-2
                      token_file: "\(pair.folder["token-2"])"
                      server_addrs: ["127.0.0.1:\(pair.linkPort)"]
                      state_dir: "\(pair.folder["os"])"
                      admin: {socket: "\(pair.folder["o.sock"])"}
                      exposures: [{name: web, target: "127.0.0.1:\(second.port)", remote_port: \(port)}]
                    """)
                let arguments = ["--config", pair.folder["other.yaml"]]
                try await RunningProgram.with(try Programs.client, arguments, name: "other", in: pair.folder) { other in
                    let admin = AdminAccess(socket: pair.folder["o.sock"])
                    let wanted = "port \(port) belongs to exposure web of client worker-1"
                    try await eventually("the reason in the status of the second client") {
                        try await admin.status()["exposures"][0]["reason"].text == "\(TunnelPair.serverName): \(wanted)"
                            ? true : nil
                    }
                    #expect(other.log.contains(wanted))
                    try await TestConnection.connect(port: port).use { connection in
                        try await connection.write("still the first")
                        #expect(try await connection.readText(15) == "still the first")
                    }
                    let rows = try await pair.serverAdmin.json("exposures").items
                    #expect(rows.map { $0["healthy"].bool } == [true, false])
                }
            }
            await first.stop()
            await second.stop()
        }

        /// Gives a second client a token.
        private static func allow(_ name: String, _ pair: TunnelPair) async throws {
            try pair.folder.write("token-2", otherToken)
            var setup = pair.setup
            setup.server = """
                tokens:
                  - {id: one, token_file: "\(pair.folder["token"])", clients: [worker-1]}
                  - {id: two, token_file: "\(pair.folder["token-2"])", clients: [\(name)]}
                """
            try pair.writeServer(setup)
            #expect(try await pair.serverAdmin.ctl("reload").end == .exit(0))
        }
    }
}
