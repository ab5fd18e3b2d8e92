import NIOCore
import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// Health checks flip what they watch, both ways, and a stream that cannot be opened says why on both ends.
    @Suite struct HealthTests {
        @Test(arguments: ["tcp", "http", "https"])
        func aServiceGoesDownAndComesBack(kind: String) async throws {
            try await TemporaryFolder.with { folder in
                let port = try FreePorts.one()
                let path = kind == "tcp" ? "" : ", path: /readyz" + (kind == "https" ? ", insecure: true" : "")
                let health = "health: {type: \(kind)\(path), interval: 100ms, timeout: 1s, unhealthy_after: 2}"
                let setup = TunnelSetup(services: ["one": port], serviceLines: ["one": health])
                var backend: HealthBackend? = try await HealthBackend.start(kind: kind, port: port, in: folder)
                try await TunnelPair.with(setup) { pair in
                    try await Self.expectService(healthy: true, pair)
                    await backend?.stop()
                    backend = nil
                    let reason = try await Self.expectService(healthy: false, pair)
                    #expect(!reason.isEmpty && reason.utf8.count <= 200, "\(reason)")
                    try await Self.expectRefusal(pair, code: "unhealthy")
                    #expect(try pair.server.log.contains("service target is unhealthy"))
                    backend = try await HealthBackend.start(kind: kind, port: port, in: folder)
                    try await Self.expectService(healthy: true, pair)
                    try await pair.whenReady()
                    #expect(try pair.server.log.contains("service target is healthy"))
                }
                await backend?.stop()
            }
        }

        @Test func anAnswerThatIsNotFineIsUnhealthyAndNamesItsStatus() async throws {
            try await TemporaryFolder.with { folder in
                let port = try FreePorts.one()
                let backend = try await HealthBackend.start(kind: "http", port: port, in: folder)
                let health = "health: {type: http, path: /absent, interval: 100ms, unhealthy_after: 1}"
                try await TunnelPair.with(TunnelSetup(services: ["one": port], serviceLines: ["one": health]), waits: false) {
                    pair in
                    try await pair.startServer()
                    let reason = try await Self.expectService(healthy: false, pair, onlyServer: true)
                    #expect(reason == "HTTP status 404")
                }
                await backend.stop()
            }
        }

        @Test func anExposureIsWithdrawnWhileItsTargetIsDown() async throws {
            let first = try await TestServer.echo()
            let setup = TunnelSetup(exposures: ["web": first.port], client: "health_check_interval: 100ms")
            try await TunnelPair.with(setup) { pair in
                let mapped = try pair.exposure("web")
                await first.stop()
                try await eventually("no listener on the mapped port") { isListening(mapped) ? nil : true }
                for admin in [pair.serverAdmin, pair.clientAdmin] {
                    let isServer = admin.socket == pair.serverAdmin.socket
                    try await eventually("an unhealthy exposure with a reason") {
                        let row = isServer ? try await admin.json("exposures")[0] : try await admin.status()["exposures"][0]
                        return row["healthy"].bool == false && row["reason"].text != nil ? true : nil
                    }
                }
                #expect(try pair.client.log.contains("exposure target is down; the exposure is withdrawn"))
                let again = try await TestServer.echo(port: first.port)
                try await eventually("the listener again") { isListening(mapped) ? true : nil }
                try await TestConnection.connect(port: mapped).use { connection in
                    try await connection.write("back")
                    #expect(try await connection.readText(4) == "back")
                }
                #expect(try pair.client.log.contains("exposure target is back"))
                await again.stop()
            }
        }

        // MARK: Targets that cannot be reached

        private static let checksLate = "health: {type: tcp, interval: 1h, unhealthy_after: 100}"

        @Test func aServiceTargetThatRefuses() async throws {
            let setup = TunnelSetup(services: ["one": try FreePorts.one()], serviceLines: ["one": Self.checksLate])
            try await TunnelPair.with(setup) { pair in
                try await Self.expectRefusal(pair, code: "connection_refused", reason: "connection refused")
            }
        }

        @Test func aServiceTargetThatDoesNotAnswer() async throws {
            let target = try SilentTarget(port: try FreePorts.one())
            let setup = TunnelSetup(
                services: ["one": target.port], server: "dial_timeout: 700ms", serviceLines: ["one": Self.checksLate])
            try await TunnelPair.with(setup) { pair in
                try await Self.expectRefusal(pair, code: "timed_out", reason: "no answer to the connection attempt")
            }
        }

        @Test func anExposureTargetThatRefuses() async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(exposures: ["web": echo.port], client: "health_check_interval: 1h")
            try await TunnelPair.with(setup) { pair in
                await echo.stop()
                try await Self.expectRefusal(
                    pair, code: "connection_refused", reason: "connection refused", port: try pair.exposure("web"))
            }
        }

        @Test func anExposureTargetThatDoesNotAnswer() async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(exposures: ["web": echo.port], client: "health_check_interval: 1h\ndial_timeout: 700ms")
            try await TunnelPair.with(setup) { pair in
                await echo.stop()
                let target = try SilentTarget(port: echo.port)
                try await Self.expectRefusal(
                    pair, code: "timed_out", reason: "no answer to the connection attempt", port: try pair.exposure("web"))
                withExtendedLifetime(target) {}
            }
        }

        // MARK: What the tests share

        /// Waits until the server, and the client too, say so; returns the reason of the target.
        @discardableResult
        private static func expectService(healthy: Bool, _ pair: TunnelPair, onlyServer: Bool = false) async throws -> String {
            let (server, client) = (pair.serverAdmin, pair.clientAdmin)
            let reason = try await eventually("a service that is \(healthy ? "healthy" : "unhealthy")", within: .seconds(15)) {
                let service = try await server.status()["services"][0]
                return service["healthy"].bool == healthy ? service["targets"][0]["reason"].text ?? "" : nil
            }
            if onlyServer { return reason }
            try await eventually("a forward that is \(healthy ? "healthy" : "unhealthy")") {
                try await client.status()["forwards"][0]["healthy"].bool == healthy ? true : nil
            }
            return reason
        }

        /// A connection is reset within the dial bound, and log and metrics of both ends say why.
        private static func expectRefusal(
            _ pair: TunnelPair, code: String, reason: String? = nil, port: Int? = nil
        ) async throws {
            #expect(try await TestConnection.fate(port: try port ?? pair.forward("one")) == .reset)
            for (admin, program) in [(pair.serverAdmin, try pair.server), (pair.clientAdmin, try pair.client)] {
                try await eventually("\(program.name) to log the refusal with code=\(code)") {
                    program.logLines.contains {
                        $0.contains("stream refused") && $0.contains("code=\(code)") && (reason.map($0.contains) ?? true)
                    } ? true : nil
                }
                let count = try await admin.metric("gotunnel_stream_refusals_total{code=\"\(code)\"}")
                #expect(count == 1, "refusals of \(program.name)")
                #expect(try await admin.metric("gotunnel_streams") == 0)
            }
        }
    }
}

/// What a health check asks: a TCP listener, or nginx with `/readyz` over HTTP or HTTPS.
enum HealthBackend {
    case tcp(TestServer)
    case nginx(RunningProgram)

    static func start(kind: String, port: Int, in folder: TemporaryFolder) async throws -> HealthBackend {
        guard kind != "tcp" else { return .tcp(try await TestServer.echo(port: port)) }
        return .nginx(try await Nginx.start(port: port, isTLS: kind == "https", in: folder))
    }

    func stop() async {
        switch self {
        case .tcp(let server): await server.stop()
        case .nginx(let program): await program.stop()
        }
    }
}
