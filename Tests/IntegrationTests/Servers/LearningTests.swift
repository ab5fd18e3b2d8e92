import Testing

extension Integration {
    /// Servers that the client's own file does not name: announced by others, remembered, found by a name.
    @Suite struct LearningTests {
        @Test func oneServerInTheFileIsEnough() async throws {
            try await ServerGroup.with(GroupSetup(isCluster: true, listed: [1])) { group in
                let first = group.servers[0]
                #expect(try await group.linked().contains { $0 === first })
                let path = group.folder["cs/servers.json"]
                try await eventually("the servers to be remembered") {
                    let file = group.folder.read("cs/servers.json")
                    return group.servers.dropFirst().allSatisfy { file.contains("\"\($0.address)\"") }
                }
                #expect(try TemporaryFolder.mode(of: path) == 0o600)
                // Without the only server that its file names, a client that begins anew finds the others.
                try await first.kill()
                try await group.restartClient()
                try await group.whenLinked(to: Array(group.servers.dropFirst()))
                #expect(try await [2, 3].contains(group.whoAnswers().number))
                #expect(try !group.client.log.contains("servers learned earlier cannot be used"))
            }
        }

        @Test(arguments: ["{\"format\": 1, \"announcers\": [", "", "{\"format\": 99, \"announcers\": []}"])
        func aDamagedFileIsOneWarning(content: String) async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, isCluster: true, listed: [1]), waits: false) { group in
                try group.folder.makeFolder("cs")
                try group.folder.write("cs/servers.json", content)
                try await group.start(group.servers)
                try group.startClient()
                try await group.whenReady()
                let warnings = try group.client.logLines.filter { $0.contains("servers learned earlier cannot be used") }
                #expect(warnings.count == 1, "\(warnings)")
                #expect(warnings.allSatisfy { $0.contains("WARNING") && $0.contains("/cs/servers.json") }, "\(warnings)")
                try await eventually("a sound file in its place") {
                    let file = try JSON(group.folder.read("cs/servers.json"))
                    return file["format"].int == 1 && !file["announcers"].items.isEmpty
                }
                try await group.restartClient()
                try await group.whenReady()
                let again = try group.client.logLines.count { $0.contains("servers learned earlier cannot be used") }
                #expect(again == 1, "expected no warning of the second start")
            }
        }

        /// A name with two addresses is two servers; it is looked up again when one of them is lost.
        @Test func aNameLeadsToSeveralServers() async throws {
            var setup = GroupSetup(hasOnePort: true)
            try await ServerGroup.with(setup, waits: false) { group in
                let hosts = try group.folder.write("hosts", Self.hosts("127.0.0.1", "127.0.0.2"))
                let script = "mount --bind \(hosts) /etc/hosts && exec \"$0\" \"$@\""
                let command = [try Programs.installed("unshare"), "--mount", try Programs.installed("sh"), "-c", script]
                let trial = try await run(command[0], Array(command.dropFirst()) + [Programs.installed("true")])
                guard trial.end == .exit(0) else {
                    return print("mounting is not permitted here: names with several addresses are left out: \(trial.errors)")
                }
                setup.client = "server_addrs: [\"servers.test:\(group.servers[0].linkPort)\"]"
                try group.writeClient(setup)
                try await group.start(group.servers)
                try group.startClient(by: command)
                try await group.whenLinked(to: Array(group.servers.prefix(2)))
                let link = try await group.link(to: group.servers[1])
                #expect(link["addr"].text == "servers.test:\(group.servers[0].linkPort) (\(group.servers[1].address))")
                #expect(try await group.servers[2].admin.status()["clients"].int == 0)
                // The name leads elsewhere by now, which is found out when a server is needed.
                try group.folder.write("hosts", Self.hosts("127.0.0.2", "127.0.0.3"))
                try await group.servers[0].kill()
                try await group.whenLinked(to: Array(group.servers.suffix(2)), within: .seconds(40))
                #expect(try await [2, 3].contains(group.whoAnswers().number))
            }
        }

        private static func hosts(_ addresses: String...) -> String {
            "127.0.0.1 localhost\n" + addresses.map { "\($0) servers.test\n" }.joined()
        }
    }
}
