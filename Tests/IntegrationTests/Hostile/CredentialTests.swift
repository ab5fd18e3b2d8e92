import Foundation
import Identity
import Testing
import TunnelTransport
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

extension Integration.HostileTests {
    /// A wrong secret and an unknown id get the same answer; each is counted, all are one line in the log.
    @Test("wrong and unknown tokens", .timeLimit(.minutes(2)))
    func wrongTokens() async throws {
        try await HostileSite.attack { site in
            var rng = SystemRandomNumberGenerator()
            let stranger = Token.generate(using: &rng)
            let before = try await site.failures("authentication")
            var answers: Set<String> = []
            for number in 0..<40 {
                var client = HandmadeClient(name: "intruder-1", token: stranger)
                if number % 2 == 0 { client.tokenID = site.intruder.id }
                answers.insert(await Self.answer(client, site.port))
            }
            #expect(answers.count == 1 && answers.first?.contains("authenticationFailed") == true, "\(answers)")
            #expect(try await site.failures("authentication") == before + 40)
            #expect(try site.failureLines("authentication").count == 1)
        }
    }

    @Test("a token under a name that it is not for", .timeLimit(.minutes(1)))
    func otherName() async throws {
        try await HostileSite.attack { site in
            for name in [TunnelPair.clientName, "controller-1", "someone"] {
                let answer = await Self.answer(HandmadeClient(name: name, token: site.intruder), site.port)
                #expect(answer.contains("forbidden"), "\(answer)")
            }
            let (count, lines) = (try await site.failures("forbidden"), try site.failureLines("forbidden"))
            #expect(count == 3 && lines.count == 1)
        }
    }

    @Test("a token that is removed while it is in use", .timeLimit(.minutes(1)))
    func revokedToken() async throws {
        try await HostileSite.attack { site in
            let session = try await site.intrude()
            var setup = site.pair.setup
            setup.server = HostileSite.tokens(site.keys, withIntruder: false)
            try site.pair.writeServer(setup)
            try site.pair.server.signal(SIGHUP)
            let close = try await session.link.waitForClose()
            #expect(close?.code == .forbidden)
            let answer = await Self.answer(HandmadeClient(name: "intruder-1", token: site.intruder), site.port)
            #expect(answer.contains("authenticationFailed"), "\(answer)")
            setup.server = HostileSite.tokens(site.keys)
            try site.pair.writeServer(setup)
            try site.pair.server.signal(SIGHUP)
            try await eventually("the token is back") {
                await (try await site.intrude()).link.close()
                return true
            }
        }
    }

    @Test("a weak token refuses the start and says how to make a good one", .timeLimit(.minutes(1)))
    func weakToken() async throws {
        try await TemporaryFolder.with { folder in
            for (section, program) in [("server", try Programs.server), ("client", try Programs.client)] {
                try folder.write(
                    "\(section).yaml",
                    """
                    \(section):
                      name: one
                      token: tunnel-secret
                      state_dir: "\(folder["state"])"
                      \(section == "server" ? "addr: \"127.0.0.1:\(try FreePorts.one())\"" : "server_addr: \"127.0.0.1:1\"")
                      admin: {socket: "\(folder["a.sock"])"}
                    """)
                let result = try await run(program, ["--config", folder["\(section).yaml"]])
                #expect(result.end == .exit(78), "\(result)")
                #expect(result.errors.contains("openssl rand -hex 32"), "\(result)")
                #expect(!result.errors.contains("tunnel-secret"))
            }
        }
    }

    /// What a client that tries to connect is told.
    static func answer(_ client: HandmadeClient, _ port: Int) async -> String {
        do {
            let session = try await client.connect(port: port)
            await session.link.close()
            return "welcome"
        } catch {
            return "\(error)"
        }
    }
}
