import Testing

/// A configuration of the original gotunnel's Kubernetes guide, word for word; of its shell texts what the shell makes of them.
struct OriginalConfiguration: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    /// What `--check` says after the file's name.
    let notices: [String]
}

extension Integration {
    /// Every configuration of the guide is accepted, and each difference from the original is said in one line.
    @Suite struct OriginalConfigurationTests {
        private static let weak =
            "this token is weak, and a weak token is refused at start: put one here from openssl rand -hex 32 or gotunnelctl "
            + "token new (the same on both ends), or write allow_weak_token: true"
        private static let serverVersion =
            "server: both ends must be this version: clients of the original gotunnel are not understood"
        private static let serverBind =
            "server: mapped ports listen on 127.0.0.1, where the original took every address; exposures: {bind: \"0.0.0.0\"} "
            + "brings that back"
        private static let clientVersion =
            "client: both ends must be this version: a server of the original gotunnel is not understood"
        private static let clientBeat =
            "client: heartbeat_interval, heartbeat_timeout, health_check_interval: shorter by default than the original's 10s, "
            + "30s and 30s"
        private static let portsBind =
            "client.local_ports: the server listens for it on 127.0.0.1 unless its exposures.bind says otherwise; the original "
            + "took every address"
        private static let portsMeaning =
            "client.local_ports: 6443 here is this machine's own port, shown to the server; if its programs are to reach the "
            + "controllers' kube-apiserver, write forwards: [{listen: \"127.0.0.1:6443\", service: apiserver}] instead"

        private static let servers = [
            OriginalConfiguration(
                testDescription: "solution 1",
                text: """
                    # config.yaml (Controller side)
                    server:
                      addr: "0.0.0.0:17000"  # Listen on all interfaces, allow public access
                      log_level: "info"
                      token: "your-very-secure-k8s-token-here"  # Use strong random token
                    """,
                notices: ["2: \(serverVersion)", "2: \(serverBind)", "5: server.token: \(weak)"]),
            OriginalConfiguration(
                testDescription: "solution 2",
                text: """
                    # config.yaml (Controller side)
                    server:
                      addr: "0.0.0.0:17000"
                      log_level: "info"
                      token: "your-very-secure-k8s-token-here"
                    """,
                notices: ["2: \(serverVersion)", "2: \(serverBind)", "5: server.token: \(weak)"]),
            OriginalConfiguration(
                testDescription: "deployment, with the token of openssl rand -hex 32",
                text: """
                       server:
                         addr: "0.0.0.0:17000"
                         log_level: "info"
                         token: "\(sampleToken)"  # Generate random token
                    """,
                notices: ["1: \(serverVersion)", "1: \(serverBind)"]),
        ]

        private static let clients = [
            OriginalConfiguration(
                testDescription: "solution 1",
                text: """
                    # config.yaml (Worker side)
                    client:
                      name: "k8s-worker-01"  # Node name, recommend using hostname
                      token: "your-very-secure-k8s-token-here"  # Must match server
                      server_addr: "your-controller-public-ip:17000"  # Controller's public IP
                      local_ports: [6443]  # Map kube-apiserver port
                    """,
                notices: [
                    "2: \(clientVersion)", "2: \(clientBeat)", "4: client.token: \(weak)", "6: \(portsBind)",
                    "6: \(portsMeaning)",
                ]),
            OriginalConfiguration(
                testDescription: "solution 2",
                text: """
                    # config.yaml (Worker side)
                    client:
                      name: "k8s-worker-01"  # Use hostname or node identifier
                      token: "your-very-secure-k8s-token-here"
                      server_addr: "your-controller-public-ip:17000"
                      local_ports: [6443]  # Map Controller's 6443 to address accessible by Worker
                    """,
                notices: [
                    "2: \(clientVersion)", "2: \(clientBeat)", "4: client.token: \(weak)", "6: \(portsBind)",
                    "6: \(portsMeaning)",
                ]),
            OriginalConfiguration(
                testDescription: "deployment, with a host's name",
                text: """
                       client:
                         name: "ip-10-0-0-7"  # Use hostname
                         token: "your-very-secure-k8s-token-here"  # Must match server
                         server_addr: "your-controller-public-ip:17000"
                         local_ports: [6443]
                    """,
                notices: [
                    "1: \(clientVersion)", "1: \(clientBeat)", "3: client.token: \(weak)", "5: \(portsBind)",
                    "5: \(portsMeaning)",
                ]),
        ]

        @Test(arguments: servers)
        func controller(_ original: OriginalConfiguration) async throws {
            try await Self.check(original, try Programs.server)
        }

        @Test(arguments: clients)
        func worker(_ original: OriginalConfiguration) async throws {
            try await Self.check(original, try Programs.client)
        }

        private static func check(_ original: OriginalConfiguration, _ program: String) async throws {
            try await TemporaryFolder.with { folder in
                let path = try folder.write("config.yaml", original.text + "\n")
                let result = try await run(program, ["--config", path, "--check"])
                #expect(result.end == .exit(0), "\(result)")
                let lines = result.output.split(separator: "\n").map(String.init)
                #expect(lines == original.notices.map { "\(path):\($0)" } + ["\(path): ok"])
                #expect(result.errors == "")
            }
        }

        /// The guide's last fragment shows one key alone; it never was a whole configuration.
        @Test func theFragmentLacksWhatItLacks() async throws {
            try await TemporaryFolder.with { folder in
                let text =
                    "# Worker side: Only map kube-apiserver port\nclient:\n  local_ports: [6443]  # Map Controller's 6443 port\n"
                let path = try folder.write("config.yaml", text)
                let result = try await run(try Programs.client, ["--config", path, "--check"])
                #expect(result.end == .exit(78))
                #expect(
                    result.errorLines == [
                        "\(path):2: client.server_addrs: there is no server to connect to; write server_addrs: [\"203.0.113.11:17000\"]",
                        "\(path):2: client.token_file: there is no token; write token_file: /etc/gotunnel/token (gotunnelctl token "
                            + "new makes a token) or set $GOTUNNEL_TOKEN",
                    ])
            }
        }

        /// The original asked for no better, so it is said and not refused.
        @Test func aFileWithASecretThatOthersMayReadIsSaid() async throws {
            try await TemporaryFolder.with { folder in
                let path = try folder.write("config.yaml", Self.servers[2].text + "\n", mode: 0o644)
                let result = try await run(try Programs.server, ["--config", path, "--check"])
                #expect(result.end == .exit(0))
                let says =
                    "the file holds a secret and is readable by others than its owner; run chmod 600 \(path), or use token_file"
                #expect(result.output.contains("\(path):1: server: \(says)\n"), "\(result)")
            }
        }

        @Test func theGuidesWeakTokenIsRefusedAtStart() async throws {
            try await TemporaryFolder.with { folder in
                let port = try FreePorts.one()
                let path = try folder.write(
                    "config.yaml",
                    """
                    server:
                      addr: "127.0.0.1:\(port)"
                      log_level: "info"
                      token: "your-very-secure-k8s-token-here"
                      state_dir: "\(folder["state"])"
                      admin: {socket: "\(folder["a.sock"])"}
                    """)
                let result = try await run(try Programs.server, ["--config", path])
                #expect(result.end == .exit(78))
                let last = result.errorLines.last ?? ""
                #expect(last.contains("the token is too weak") && last.contains("openssl rand -hex 32"), "\(result)")
                #expect(!folder.has("a.sock") && !isListening(port), "expected that nothing was started")
            }
        }

        /// The old pair, with a strong token, does what it did: the worker's first port appears on the server as 10022.
        @Test func anOldPairWorks() async throws {
            try await TemporaryFolder.with { folder in
                let echo = try await TestServer.echo()
                let (port, mapped) = (try FreePorts.one(), try FreePorts.one())
                let server = try folder.write(
                    "server.yaml",
                    """
                    server:
                      addr: "127.0.0.1:\(port)"
                      log_level: "info"
                      log_lang: "zh"
                      token: "\(sampleToken)"
                      state_dir: "\(folder["ss"])"
                      admin: {socket: "\(folder["s.sock"])"}
                    """)
                let client = try folder.write(
                    "client.yaml",
                    """
                    client:
                      name: "k8s-worker-01"
                      token: "\(sampleToken)"
                      server_addr: "127.0.0.1:\(port)"
                      local_ports: [\(echo.port)]
                      remote_port: \(mapped)
                      heartbeat_interval: 10
                      heartbeat_timeout: 30
                      state_dir: "\(folder["cs"])"
                      admin: {socket: "\(folder["c.sock"])"}
                    """)
                try await RunningProgram.with(try Programs.server, ["--config", server], name: "server", in: folder) { _ in
                    try await RunningProgram.with(try Programs.client, ["--config", client], name: "client", in: folder) { _ in
                        try await eventually("a listener on \(mapped)", within: .seconds(20), isTrue: { isListening(mapped) })
                        try await TestConnection.connect(port: mapped).use { connection in
                            try await connection.write("over the old configuration")
                            #expect(try await connection.readText(26) == "over the old configuration")
                        }
                    }
                }
                await echo.stop()
            }
        }
    }
}
