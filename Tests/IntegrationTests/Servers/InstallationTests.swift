import Testing

extension Integration {
    /// Whose name and ports they are, at every server that a client is linked to.
    @Suite struct InstallationTests {
        @Test func aRestartedClientHasItsNameAndPortsAtOnce() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, hasExposure: true)) { group in
                for server in group.servers {
                    try await eventually("the mapped port of \(server.name) to answer") { try await group.isMapped(at: server) }
                }
                var instances: [String?] = []
                for server in group.servers { instances.append(try await Self.clients(of: server)[0]["instance"].text) }
                #expect(instances[0] != nil && instances[0] == instances[1], "expected one instance at both")
                try await group.restartClient()
                try await group.whenReady()
                for server in group.servers {
                    try await eventually("the mapped port of \(server.name) to answer again") {
                        try await group.isMapped(at: server)
                    }
                    let clients = try await Self.clients(of: server)
                    #expect(clients.count == 1 && clients[0]["instance"].text != instances[0], "\(clients)")
                    #expect(clients[0]["linked"].bool == true)
                    // The old instance's session was ended by the new one, not by its window.
                    #expect(try server.program.log.contains("a newer instance of the client"))
                }
                #expect(try !group.client.log.contains("exposure refused by server"))
            }
        }

        @Test func anotherInstallationDoesNotGetTheName() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, hasExposure: true)) { group in
                let stream = try await CountedStream.open(port: group.forward)
                let before = try await Self.clients(of: group.servers[0])[0]["instance"].text
                // A copy of the configuration, with a state directory, a socket and no ports of its own.
                let copy = group.folder.read("client.yaml").split(separator: "\n")
                    .filter { !$0.contains("forwards:") && !$0.contains("state_dir:") && !$0.contains("admin:") }
                let own = "  state_dir: \"\(group.folder["cs2"])\"\n  admin: {socket: \"\(group.folder["c2.sock"])\"}\n"
                try group.folder.write("copy.yaml", copy.joined(separator: "\n") + "\n" + own)
                let arguments = ["--config", group.folder["copy.yaml"]]
                try await RunningProgram.with(try Programs.client, arguments, name: "copy", in: group.folder) { other in
                    let admin = AdminAccess(socket: group.folder["c2.sock"])
                    try await eventually("both servers to have refused the other installation", within: .seconds(20)) {
                        let links = try await admin.status()["links"].items
                        return links.count == 2
                            && links.allSatisfy { $0["reason"].text?.contains("is in use by another installation") == true }
                    }
                    #expect(other.isRunning, "expected it to wait for the name")
                    #expect(try await admin.isReady() == false)
                }
                for server in group.servers {
                    let clients = try await Self.clients(of: server)
                    #expect(clients.count == 1 && clients[0]["instance"].text == before, "\(clients)")
                    #expect(try await group.isMapped(at: server))
                }
                #expect(try await stream.finish() == .whole)
                #expect(try group.client.logLines.count { $0.contains("connected to server") } == 2)
            }
        }

        private static func clients(of server: GroupServer) async throws -> [JSON] {
            try JSON(try await server.admin.request("/v1/clients").body).items
        }
    }
}
