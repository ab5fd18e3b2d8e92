import Identity
import Testing
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// What attackers try against real programs.
    @Suite("Hostile", .serialized) struct HostileTests {}
}

/// A server that is attacked while an honest client has streams through it.
struct HostileSite: Sendable {
    let pair: TunnelPair
    let kept: KeptStreams
    /// The honest client's token, bound to its name.
    let honest: Token
    /// Another valid token, bound to `intruder*`: what an authenticated attacker has.
    let intruder: Token
    let keys: TemporaryFolder
    private let residentBefore: Int

    static let service = "echo"

    var port: Int { self.pair.linkPort }

    /// Runs `body` against a server, then checks that nothing is harmed: the server lives, the honest client's streams have gone
    /// on, a new client gets in, memory is bounded, and the log is neither long nor altered by what strangers sent.
    ///
    /// - Parameters:
    ///   - logLines: the most that the server's log may have grown to.
    ///   - memory: the most that its resident memory may have grown by, in bytes.
    static func attack(
        server: String = "", serviceLines: [String: String] = [:], services: [String: Int] = [:], logLines: Int = 60,
        memory: Int = 64 << 20, _ body: (HostileSite) async throws -> Void
    ) async throws {
        let echo = try await TestServer.echo()
        try await TemporaryFolder.with { keys in
            var rng = SystemRandomNumberGenerator()
            let (honest, intruder) = (Token.generate(using: &rng), Token.generate(using: &rng))
            try keys.write("honest", honest.reveal())
            try keys.write("intruder", intruder.reveal())
            var setup = TunnelSetup(services: services.merging([Self.service: echo.port]) { $1 }, exposures: ["back": echo.port])
            setup.serviceLines = serviceLines
            setup.server = Self.tokens(keys) + (server.isEmpty ? "" : "\n" + server)
            setup.client = "token_file: \"\(keys["honest"])\""
            try await TunnelPair.with(setup) { pair in
                let kept = try await KeptStreams.open(5, port: pair.forward(Self.service))
                let resident = try pair.server.residentBytes
                let site = HostileSite(
                    pair: pair, kept: kept, honest: honest, intruder: intruder, keys: keys, residentBefore: resident)
                try await body(site)
                try await site.expectUnharmed(logLines: logLines, memory: memory)
                await kept.close()
            }
        }
        await echo.stop()
    }

    /// The `tokens` line of the server's configuration.
    static func tokens(_ keys: TemporaryFolder, withIntruder: Bool = true) -> String {
        let honest = "{id: honest, token_file: \"\(keys["honest"])\", clients: [\(TunnelPair.clientName)]}"
        let intruder = "{id: intruder, token_file: \"\(keys["intruder"])\", clients: [\"intruder*\"]}"
        return "tokens: [\(withIntruder ? "\(honest), \(intruder)" : honest)]"
    }

    /// An attacker who is in: a session of its own, under a name its token permits.
    func intrude(as name: String = "intruder-1") async throws -> HandmadeSession {
        try await HandmadeClient(name: name, token: self.intruder).connect(port: self.port)
    }

    private func expectUnharmed(logLines: Int, memory: Int) async throws {
        let server = try self.pair.server
        #expect(server.isRunning)
        try await self.kept.check()
        let newcomer = try await self.intrude(as: "intruder-last")
        await newcomer.link.close()
        let resident = server.residentBytes
        #expect(resident <= self.residentBefore + memory, "RSS \(self.residentBefore >> 10) → \(resident >> 10) KiB")
        let log = server.log
        #expect(log.split(separator: "\n").count <= logLines, "\(log.prefix(4_000))")
        #expect(log.utf8.allSatisfy { $0 == 0x0A || (0x20...0x7E).contains($0) })
        for token in [self.honest, self.intruder] { #expect(!log.contains(String(token.reveal().suffix(64)))) }
    }

    // MARK: What the server counted and said

    /// The server's count of failed handshakes for one reason.
    func failures(_ reason: String) async throws -> Int {
        Int(try await self.pair.serverAdmin.metric("gotunnel_handshake_failures_total{reason=\"\(reason)\"}") ?? 0)
    }

    func violations(_ kind: String) async throws -> Int {
        Int(try await self.pair.serverAdmin.metric("gotunnel_protocol_violations_total{kind=\"\(kind)\"}") ?? 0)
    }

    /// Waits until failures for `reason` have come to at least `count`.
    func expectFailures(_ reason: String, atLeast count: Int, within limit: Duration = .seconds(20)) async throws {
        try await eventually("\(count) handshake failures for \(reason)", within: limit) {
            let now = try await self.failures(reason)
            guard now >= count else { throw Unmet("\(now)") }
            return true
        }
    }

    /// Lines of failed handshakes for one reason.
    func failureLines(_ reason: String) throws -> [String] {
        try self.pair.server.logLines.filter { $0.contains("handshake failed") && $0.contains("reason=\(reason)") }
    }

    /// Names of the clients that have a session.
    func clients() async throws -> [String] {
        try JSON(try await self.pair.serverAdmin.request("/v1/clients").body).items.compactMap { $0["name"].text }.sorted()
    }

    /// Waits until the honest client alone has a session.
    func expectIntrudersGone(within limit: Duration = .seconds(20)) async throws {
        try await eventually("only the honest client is left", within: limit) {
            let names = try await self.clients()
            guard names == [TunnelPair.clientName] else { throw Unmet("\(names)") }
            return true
        }
    }
}
