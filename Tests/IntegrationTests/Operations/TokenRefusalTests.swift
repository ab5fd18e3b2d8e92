import Testing

extension Integration {
    /// A client whose token the server does not take.
    @Suite struct TokenRefusalTests {
        @Test func aClientThatWasNeverAcceptedExits77() async throws {
            try await TunnelPair.with(waits: false) { pair in
                try await pair.startServer()
                try pair.folder.write("token", otherToken)
                try await pair.startClient()
                #expect(try await pair.client.exit(within: .seconds(20)) == .exit(77))
                let last = try pair.client.logLines.last ?? ""
                #expect(last.contains("authentication failed"))
                let refused = try pair.server.logLines.filter { $0.contains("handshake failed") }
                #expect(refused.count == 1, "expected one line of the failed handshake, got \(refused)")
                #expect(try await pair.serverAdmin.metric("gotunnel_handshake_failures_total{reason=\"authentication\"}") == 1)
                try Self.expectNoSecrets(pair)
            }
        }

        @Test func aTokenBoundToAnotherNameIsRefused() async throws {
            try await TunnelPair.with(TunnelSetup(server: "# the token belongs to another\n"), waits: false) { pair in
                var setup = pair.setup
                setup.server = "tokens: [{id: one, token_file: \"\(pair.folder["token"])\", clients: [\"worker-2\"]}]"
                try pair.writeServer(setup)
                try await pair.startServer()
                try await pair.startClient()
                #expect(try await pair.client.exit(within: .seconds(20)) == .exit(77))
            }
        }

        @Test func aClientThatWasAcceptedOnceKeepsTrying() async throws {
            try await TunnelPair.with { pair in
                let token = pair.folder.read("token")
                try pair.folder.write("token", otherToken)
                // The server forgets the token; the client still holds it.
                #expect(try await pair.serverAdmin.ctl("reload").end == .exit(0))
                let admin = pair.clientAdmin
                try await eventually("a refused client") {
                    let link = try await admin.status()["links"][0]
                    return link["state"].text == "down" && link["reason"].text?.contains("authentication") == true ? true : nil
                }
                #expect(try pair.client.isRunning)
                try await eventually("a line that says why") {
                    try pair.client.log.contains("authentication failed") ? true : nil
                }
                try pair.folder.write("token", token)
                #expect(try await pair.serverAdmin.ctl("reload").end == .exit(0))
                try await pair.whenReady(within: .seconds(40))
                try Self.expectNoSecrets(pair)
            }
        }

        private static func expectNoSecrets(_ pair: TunnelPair) throws {
            let secrets = [pair.folder.read("token"), sampleToken, otherToken].map {
                $0.split(separator: "_").last.map(String.init) ?? $0
            }
            for secret in secrets.map({ $0.filter { !$0.isWhitespace } }) {
                #expect(
                    try !pair.client.log.contains(secret) && !pair.server.log.contains(secret), "expected no secret in the logs")
            }
        }
    }
}
