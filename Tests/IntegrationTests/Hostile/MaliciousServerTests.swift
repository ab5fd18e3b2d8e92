import Identity
import NIOCore
import Testing
import TunnelTransport
import TunnelWire

extension Integration.HostileTests {
    /// What a server that holds the token can do to a client. After each the client is to dial again.
    struct Mischief: Sendable, CustomStringConvertible {
        let name: String
        /// What the client's log has to say about it.
        let said: String
        let act: @Sendable (HandmadeServer, HandmadeLink) async throws -> Void
        var description: String { self.name }

        init(_ name: String, said: String, _ act: @escaping @Sendable (HandmadeServer, HandmadeLink) async throws -> Void) {
            self.name = name
            self.said = said
            self.act = act
        }
    }

    private static func afterWelcome(_ name: String, said: String, _ frames: @escaping @Sendable () -> [ByteBuffer]) -> Mischief {
        Mischief(name, said: said) { server, link in
            try await server.welcome(link)
            for frame in frames() { try? await link.send(frame) }
            try await link.waitForEnd()
        }
    }

    static let mischiefs: [Mischief] = [
        Mischief("a proof under another token", said: "does not know the token") { server, link in
            let greeted = try await server.greet(link)
            var rng = SystemRandomNumberGenerator()
            let other = AuthenticationKey(Token.generate(using: &rng), for: .clientToken)
            try await link.send(Proof(link: greeted.transcript.proof(for: .acceptor, key: other).bytes))
            try await link.waitForEnd()
        },
        Mischief("the client's own proof sent back", said: "does not know the token") { server, link in
            let greeted = try await server.greet(link)
            try await link.send(greeted.proof)
            try await link.waitForEnd()
        },
        Mischief("no proof at all", said: "malformed") { server, link in
            _ = try await server.greet(link)
            try await link.send(Welcome(session: .fresh(), secret: [UInt8](repeating: 7, count: 32), resumed: false, received: 0))
            try await link.waitForEnd()
        },
        Mischief("a WELCOME for a resume that nobody asked for", said: "malformed") { server, link in
            let greeted = try await server.greet(link)
            try await link.send(server.proof(greeted))
            try await link.send(Welcome(session: .fresh(), secret: [], resumed: true, received: 1 << 40))
            try await link.waitForEnd()
        },
        Mischief("garbage inside TLS", said: "malformed") { _, link in
            try await link.waitForTLS()
            try await link.send(ByteBuffer(bytes: TestBytes.sample(3_000, seed: 3).map { $0 & 0x3F | 0x20 }))
            try await link.waitForEnd()
        },
        afterWelcome("garbage behind the WELCOME", said: "broke the protocol") {
            [ByteBuffer(bytes: [UInt8](repeating: 0x3F, count: 4_000))]
        },
        afterWelcome("an impossible count", said: "impossible_count") { [LinkFrames.ack(1 << 50)] },
        afterWelcome("data on a stream that never was", said: "unexpected") {
            [HandmadeLink.raw(.data, stream: 8, payload: [1, 2, 3])]
        },
        afterWelcome("a frame that is too long", said: "too_long") { [HandmadeLink.raw(.services, length: 0xFF_FFFF)] },
        afterWelcome("a SERVICES with an impossible name", said: "malformed") {
            [HandmadeLink.raw(.services, payload: [0, 1, 3, 0x0A, 0x1B, 0x41, 1])]
        },
        afterWelcome("a CLOSE with a forged line", said: "closed by the other end") {
            let evil = Array("\n2026-01-01T00:00:00Z CRITICAL forged\u{1B}[31m".utf8)
            return [HandmadeLink.raw(.close, payload: [0, 1, UInt8(evil.count)] + evil)]
        },
    ]

    /// The client survives each, says why, and dials again; at the end an honest handshake still works.
    @Test("a malicious server", .timeLimit(.minutes(3)))
    func maliciousServer() async throws {
        try await self.attackClient(
            script: { server, link, connection in
                // The first time it is honest, so that the client knows it has the right server and goes on trying.
                if connection > 0, connection <= Self.mischiefs.count {
                    try await Self.mischiefs[connection - 1].act(server, link)
                } else {
                    try await server.welcome(link)
                    if connection == 0 { return }
                    try await link.waitForEnd(within: .seconds(60))
                }
            },
            check: { server, client, admin in
                try await eventually("the client to have come through all of it", within: .seconds(90)) {
                    if let end = client.ended { throw Unmet("the client has ended: \(end)") }
                    guard server.count > Self.mischiefs.count + 1, try await admin.isReady() else {
                        throw Unmet("connection \(server.count)")
                    }
                    return true
                }
                let log = client.log
                for mischief in Self.mischiefs { #expect(log.contains(mischief.said), "\(mischief)") }
                #expect(!client.logLines.contains { $0.hasPrefix("2026-01-01T00:00:00Z") })
            })
    }

    /// Messages without end behind an honest handshake, and streams to places that the client does not offer.
    @Test("a server that floods", .timeLimit(.minutes(2)))
    func floodingServer() async throws {
        try await self.attackClient(
            script: { server, link, _ in
                try await server.welcome(link)
                var burst = ByteBuffer()
                for number in 0..<1_000 {
                    burst.writeImmutableBuffer(
                        GoAway(deadlineMilliseconds: UInt32(number % 2), reason: "flood \(number)").frame())
                    burst.writeImmutableBuffer(Services([ServiceAnnouncement(name: "s\(number)", isHealthy: true)]).frame())
                    burst.writeImmutableBuffer(LinkFrames.ping(UInt64(number)))
                }
                for _ in 0..<20 { try await link.send(burst) }
                for number in 0..<100 {
                    let places: [Destination] = [
                        .exposure(client: "victim", name: "secret-\(number)"), .service("anything"),
                        .address(host: "169.254.169.254", port: 80), .exposure(client: "other", name: "web"),
                    ]
                    let open = Open(destination: places[number % places.count], source: "\n\u{1B}[31mforged \(number)")
                    try await link.send(open.frame(stream: StreamID(number * 2 + 2)))
                }
                var refused = 0
                while refused < 100, let (header, _) = try await link.nextFrame() {
                    if header.type == .refused { refused += 1 }
                    if header.type == .opened { throw Unmet("a stream that the client should refuse") }
                }
                try await link.send(Services([ServiceAnnouncement(name: "refused-\(refused)", isHealthy: true)]))
                try await link.waitForEnd(within: .seconds(60))
            },
            check: { _, client, admin in
                try await eventually("all 100 streams to be refused", within: .seconds(30)) {
                    let refused = try await admin.metrics("gotunnel_stream_refusals_total{")
                    guard refused == 100 else { throw Unmet("\(refused)") }
                    return true
                }
                #expect(client.isRunning)
                #expect(try await admin.status()["streams"].int == 0)
                #expect(client.residentBytes < 200 << 20)
                #expect(client.logLines.count < 200, "\(client.logLines.count) lines; the last: \(client.logLines.suffix(3))")
                #expect(client.log.utf8.allSatisfy { $0 == 0x0A || (0x20...0x7E).contains($0) })
            })
    }

    /// Runs a real client against a handmade server.
    private func attackClient(
        script: @escaping HandmadeServer.Script,
        check: @escaping (HandmadeServer, RunningProgram, AdminAccess) async throws -> Void
    ) async throws {
        try await TemporaryFolder.with { folder in
            var rng = SystemRandomNumberGenerator()
            let token = Token.generate(using: &rng)
            try folder.write("token", token.reveal())
            try await HandmadeServer.with(token: token, in: folder, script: script) { server, port in
                let config = try folder.write(
                    "client.yaml",
                    """
                    client:
                      name: victim
                      token_file: "\(folder["token"])"
                      server_addrs: ["127.0.0.1:\(port)"]
                      state_dir: "\(folder["state"])"
                      exposures: [{name: web, target: "127.0.0.1:1"}]
                      admin: {socket: "\(folder["c.sock"])"}
                    """)
                let program = try Programs.client
                try await RunningProgram.with(program, ["--config", config], name: "client", in: folder) { client in
                    try await check(server, client, AdminAccess(socket: folder["c.sock"]))
                }
            }
        }
    }
}

extension AdminAccess {
    /// The sum of all series whose name begins so.
    func metrics(_ prefix: String) async throws -> Int {
        let lines = try await self.request("/metrics").body.split(separator: "\n").filter { $0.hasPrefix(prefix) }
        return lines.reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) }
    }
}
