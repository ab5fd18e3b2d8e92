import Testing

extension Integration {
    /// Certificates in place of tokens, made by `gotunnelctl pki`.
    @Suite struct CertificateTests {
        @Test func bothEndsKnowEachOtherByCertificates() async throws {
            let echo = try await TestServer.echo()
            try await Self.withAuthority { folder, ctl in
                try await Self.issue(ctl, folder, "client", "worker-1")
                try await Self.withPair(folder, echo: echo.port, client: "worker-1") { pair in
                    try await pair.startServer()
                    try await pair.startClient()
                    try await pair.whenReady()
                    for port in [try pair.forward("one"), try pair.exposure("web")] {
                        try await TestConnection.connect(port: port).use { connection in
                            try await connection.write("mutual")
                            #expect(try await connection.readText(6) == "mutual")
                        }
                    }
                    #expect(try pair.server.log.contains("token=certificate"))
                    for name in ["ca.key", "server-controller-1.key", "client-worker-1.key"] {
                        let mode = try TemporaryFolder.mode(of: "\(folder["pki"])/\(name)")
                        #expect(mode == 0o600, "\(name) has mode \(String(mode, radix: 8))")
                    }
                }
            }
            await echo.stop()
        }

        /// The name in the certificate counts, not the one in the configuration.
        @Test func aCertificateOfAnotherNameIsRefused() async throws {
            let echo = try await TestServer.echo()
            try await Self.withAuthority { folder, ctl in
                try await Self.issue(ctl, folder, "client", "worker-2")
                try await Self.withPair(folder, echo: echo.port, client: "worker-2") { pair in
                    try await pair.startServer()
                    try await pair.startClient()
                    #expect(try await pair.client.exit(within: .seconds(20)) == .exit(77))
                    #expect(try pair.server.logLines.filter { $0.contains("handshake failed") }.count == 1)
                }
            }
            await echo.stop()
        }

        @Test func aCertificateOfAnotherAuthorityIsRefused() async throws {
            let echo = try await TestServer.echo()
            try await Self.withAuthority { folder, ctl in
                try await runWell(ctl, ["pki", "init", folder["other"], "--cluster", "test"])
                try await runWell(ctl, ["pki", "issue", "--dir", folder["other"], "--role", "client", "--name", "worker-1"])
                try await Self.withPair(folder, echo: echo.port, client: "worker-1", directory: "other", trust: "pki") { pair in
                    try await pair.startServer()
                    try await pair.startClient()
                    try await eventually("the server to refuse the certificate") {
                        try pair.server.log.contains("handshake failed") ? true : nil
                    }
                    #expect(try await pair.serverAdmin.status()["clients"].int == 0)
                }
            }
            await echo.stop()
        }

        @Test func aServersCertificateMakesNoClient() async throws {
            let echo = try await TestServer.echo()
            try await Self.withAuthority { folder, ctl in
                try await Self.issue(ctl, folder, "server", "worker-1")
                try await Self.withPair(folder, echo: echo.port, client: "worker-1", role: "server") { pair in
                    try await pair.startServer()
                    try await pair.startClient()
                    try await eventually("the server to say what is wrong with the certificate") {
                        try pair.server.log.contains("the certificate is a server's, a client's is needed") ? true : nil
                    }
                    #expect(try await pair.serverAdmin.status()["clients"].int == 0)
                }
            }
            await echo.stop()
        }

        // MARK: What the tests share

        private static func withAuthority(_ body: (TemporaryFolder, String) async throws -> Void) async throws {
            try await TemporaryFolder.with { folder in
                let ctl = try Programs.ctl
                try await runWell(ctl, ["pki", "init", folder["pki"], "--cluster", "test"])
                try await runWell(
                    ctl,
                    ["pki", "issue", "--dir", folder["pki"], "--role", "server", "--name", "controller-1", "--host", "127.0.0.1"])
                let again = try await run(ctl, ["pki", "init", folder["pki"], "--cluster", "test"])
                #expect(again.end == .exit(78), "expected an authority not to be overwritten: \(again)")
                try await body(folder, ctl)
            }
        }

        private static func issue(_ ctl: String, _ folder: TemporaryFolder, _ role: String, _ name: String) async throws {
            try await runWell(ctl, ["pki", "issue", "--dir", folder["pki"], "--role", role, "--name", name])
        }

        /// A pair, not started, whose server trusts `pki` and whose client shows a certificate of `directory`.
        private static func withPair(
            _ folder: TemporaryFolder, echo: Int, client: String, role: String = "client", directory: String = "pki",
            trust: String? = nil, _ body: (TunnelPair) async throws -> Void
        ) async throws {
            let (pki, own) = (folder["pki"], folder[directory])
            let setup = TunnelSetup(
                services: ["one": echo], exposures: ["web": echo],
                server: """
                    tls: {certificate: "\(pki)/server-controller-1.crt", key: "\(pki)/server-controller-1.key", client_ca: "\(pki)/ca.crt"}
                    """,
                client: """
                    tls: {certificate: "\(own)/\(role)-\(client).crt", key: "\(own)/\(role)-\(client).key", ca: "\(pki)/ca.crt"}
                    """)
            try await TunnelPair.with(setup, waits: false, body)
        }

    }
}
