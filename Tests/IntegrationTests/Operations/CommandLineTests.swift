import Testing

extension Integration {
    /// What the programs say about themselves, and to wrong usage.
    @Suite struct CommandLineTests {
        private static let commands: [[String]] = [
            ["gotunnel-server"], ["gotunnel-client"], ["gotunnelctl"], ["gotunnelctl", "status"], ["gotunnelctl", "peers"],
            ["gotunnelctl", "clients"], ["gotunnelctl", "exposures"], ["gotunnelctl", "streams"], ["gotunnelctl", "leader"],
            ["gotunnelctl", "drain"], ["gotunnelctl", "undrain"], ["gotunnelctl", "reload"], ["gotunnelctl", "evict"],
            ["gotunnelctl", "move"], ["gotunnelctl", "token"], ["gotunnelctl", "token", "new"], ["gotunnelctl", "token", "list"],
            ["gotunnelctl", "pki"], ["gotunnelctl", "pki", "init"], ["gotunnelctl", "pki", "issue"], ["gotunnelctl", "config"],
            ["gotunnelctl", "config", "check"], ["gotunnelctl", "config", "example"], ["gotunnelctl", "config", "migrate"],
        ]

        @Test(arguments: commands)
        func helpFitsATerminal(_ command: [String]) async throws {
            let text = try await runWell(try Programs.ours(command[0]), command.dropFirst() + ["--help"])
            #expect(text.contains("USAGE: \(command.joined(separator: " "))"))
            let long = text.split(separator: "\n").filter { $0.count > 80 }.map(String.init)
            #expect(long == [], "expected no line of more than 80 columns in the help of \(command)")
        }

        @Test(arguments: ["gotunnel-server", "gotunnel-client", "gotunnelctl"])
        func versionIsThatOfTheOthers(_ program: String) async throws {
            let text = try await runWell(try Programs.ours(program), ["--version"])
            let version = text.split(whereSeparator: \.isWhitespace).last.map(String.init) ?? ""
            #expect(version.split(separator: ".").count == 3, "expected a version such as 0.1.0, got \(text)")
            let server = try await runWell(try Programs.server, ["--version"])
            #expect(server.contains(version))
        }

        @Test(arguments: [
            ["gotunnel-server", "--nope"], ["gotunnel-client", "--nope"], ["gotunnel-server", "nope"],
            ["gotunnel-client", "--config"],
            ["gotunnelctl", "--nope"], ["gotunnelctl", "nope"], ["gotunnelctl", "evict"],
            ["gotunnelctl", "status", "--interval", "0"],
            ["gotunnelctl", "pki", "issue", "--role", "king"], ["gotunnelctl", "token", "new", "--client", "not a name"],
        ])
        func wrongUsageExits64(_ command: [String]) async throws {
            let result = try await run(try Programs.ours(command[0]), Array(command.dropFirst()))
            #expect(result.end == .exit(64), "\(result)")
            #expect(result.output.isEmpty)
            #expect(result.errors.contains("Error: ") && result.errors.contains("--help"), "\(result)")
        }

        @Test func ctlWithoutADaemonExits69() async throws {
            try await TemporaryFolder.with { folder in
                for command in ["status", "clients", "exposures", "streams", "drain", "undrain", "reload"] {
                    let result = try await run(try Programs.ctl, [command, "--socket", folder["none.sock"]])
                    #expect(result.end == .exit(69), "\(command): \(result)")
                    #expect(result.errorLines.count == 1 && result.errors.contains(folder["none.sock"]), "\(command): \(result)")
                }
            }
        }

        @Test func checkSaysOkAndStartsNothing() async throws {
            try await TemporaryFolder.with { folder in
                let port = try FreePorts.one()
                try folder.write("token", sampleToken)
                let server = try folder.write(
                    "server.yaml",
                    """
                    server:
                      name: controller-1
                      addr: "127.0.0.1:\(port)"
                      tokens: [{id: one, token_file: "\(folder["token"])", clients: [worker-1]}]
                      state_dir: "\(folder["ss"])"
                      admin: {socket: "\(folder["s.sock"])"}
                    """)
                let client = try folder.write(
                    "client.yaml",
                    """
                    client:
                      name: worker-1
                      token_file: "\(folder["token"])"
                      server_addrs: ["127.0.0.1:\(port)"]
                      state_dir: "\(folder["cs"])"
                      admin: {socket: "\(folder["c.sock"])"}
                    """)
                #expect(try await runWell(try Programs.server, ["--config", server, "--check"]) == "\(server): ok\n")
                #expect(try await runWell(try Programs.client, ["--config", client, "--check"]) == "\(client): ok\n")
                for name in ["ss", "cs", "s.sock", "c.sock"] { #expect(!folder.has(name), "expected no \(name) after --check") }
            }
        }

        @Test func theConfigurationIsFoundByTheEnvironment() async throws {
            try await TemporaryFolder.with { folder in
                let path = try folder.write("c.yaml", "server: {token: \(sampleToken), name: a, addr: \"127.0.0.1:17000\"}\n")
                let result = try await run(try Programs.server, ["--check"], environment: ["GOTUNNEL_CONFIG": path])
                #expect(result.end == .exit(0) && result.output.hasSuffix("\(path): ok\n"), "\(result)")
                let missing = try await run(try Programs.server, ["--check", "--config", folder["none.yaml"]])
                #expect(missing.end == .exit(78))
                #expect(
                    missing.errorLines == [
                        "\(folder["none.yaml"]): cannot be read: there is no such file; create it or mend the path"
                    ])
            }
        }
    }
}
