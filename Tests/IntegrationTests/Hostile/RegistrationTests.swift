import Identity
import NIOCore
import Testing
import TunnelTransport
import TunnelWire

extension Integration.HostileTests {
    /// Ports of others, ports of the system and ports outside the range are refused one by one, with reasons; the rest is served.
    @Test("registrations that ask for too much", .timeLimit(.minutes(2)))
    func greedyRegistrations() async throws {
        let (low, high) = (try FreePorts.one(), try FreePorts.one())
        let rules = """
            clients:
              worker-1: {}
              "intruder*": {exposures: ["web*"], ports: ["\(low)-\(low)"]}
            """
        try await HostileSite.attack(server: rules, logLines: 120) { site in
            let session = try await site.intrude()
            let foreign = UInt16(try site.pair.exposure("back"))
            let asked = [
                ExposureDeclaration(name: "web", mappedPort: UInt16(low), isHealthy: true),
                ExposureDeclaration(name: "web-high", mappedPort: UInt16(high), isHealthy: true),
                ExposureDeclaration(name: "web-foreign", mappedPort: foreign, isHealthy: true),
                ExposureDeclaration(name: "web-ssh", mappedPort: 22, isHealthy: true),
                ExposureDeclaration(name: "kubelet", mappedPort: nil, isHealthy: true),
            ]
            try await session.link.send(Register(version: 1, exposures: asked))
            var payload = try await session.link.next(.registered)
            let answer = try Registered(reading: &payload)
            let refused = Set(answer.results.filter { $0.problem != nil }.map(\.name))
            #expect(refused == ["web-high", "web-foreign", "web-ssh", "kubelet"], "\(answer.results)")
            #expect(isListening(low))
            // The honest client's exposure still leads to the honest client.
            try await site.kept.check()
            let through = try await TestConnection.connect(port: Int(foreign))
            try await through.write("mine")
            #expect(try await through.readText(4) == "mine")
            try await through.close()

            let many = (0..<1_024).map {
                ExposureDeclaration(name: "web-\($0)", mappedPort: UInt16(30_000 + $0), isHealthy: true)
            }
            try await session.link.send(Register(version: 2, exposures: many))
            var second = try await session.link.next(.registered)
            let results = try Registered(reading: &second).results
            #expect(!results.isEmpty && results.allSatisfy { $0.problem != nil })
            await session.link.close()
        }
    }

    /// The id of another client's session is of no use without its secret, and neither is the secret under another name.
    @Test("resuming a session of somebody else", .timeLimit(.minutes(1)))
    func stolenSession() async throws {
        try await HostileSite.attack { site in
            var owner = HandmadeClient(name: "intruder-1", token: site.intruder)
            let session = try await owner.connect(port: site.port)
            let secret = SessionSecret(session.welcome.secret)
            let before = try await site.failures("resume")

            var thief = HandmadeClient(name: "intruder-2", token: site.intruder)
            thief.resume = ResumeRequest(server: session.server.instance, session: session.welcome.session, received: 0)
            thief.secret = SessionSecret([UInt8](repeating: 9, count: 32))
            #expect(await Self.answer(thief, site.port).contains("unknownSession"))
            thief.secret = secret
            #expect(await Self.answer(thief, site.port).contains("unknownSession"))
            thief.name = "intruder-1"
            #expect(await Self.answer(thief, site.port).contains("unknownSession"), "another instance")
            thief.instance = owner.instance
            thief.secret = SessionSecret([UInt8](repeating: 9, count: 32))
            #expect(await Self.answer(thief, site.port).contains("unknownSession"), "another secret")
            thief.secret = nil
            #expect(await Self.answer(thief, site.port).contains("unknownSession"), "no secret")
            #expect(try await site.failures("resume") == before + 5)
            #expect(!session.link.isOver, "the owner's link is untouched")

            // A count that cannot be is the owner's own violation.
            owner.resume = ResumeRequest(server: session.server.instance, session: session.welcome.session, received: 1 << 50)
            owner.secret = secret
            let close = try await owner.connect(port: site.port).link.waitForClose()
            #expect(close?.code == .protocolViolation, "\(String(describing: close))")
            #expect(close?.reason.contains("impossible_count") == true, "\(String(describing: close))")
            try await site.expectIntrudersGone()
        }
    }

    /// What strangers and clients call themselves and others cannot forge lines of the log or reach a terminal.
    @Test("text that would like to be in the log", .timeLimit(.minutes(1)))
    func logInjection() async throws {
        let evil = "x\" level=critical\n2026-01-01T00:00:00Z CRITICAL forged\u{1B}[31m\r\u{0}\u{7F}é"
        try await HostileSite.attack { site in
            var client = HandmadeClient(name: evil, token: site.intruder)
            let answer = await Self.answer(client, site.port)
            #expect(answer.contains("protocolViolation"), "\(answer)")
            client.name = "intruder-1"
            client.tokenID = evil
            #expect(await Self.answer(client, site.port).contains("authenticationFailed"))
            client.tokenID = nil
            client.software = evil
            let session = try await client.connect(port: site.port)
            var payload: [UInt8] = [1, 7] + Array("nothing".utf8) + [0, UInt8(evil.utf8.count)] + Array(evil.utf8)
            try await session.link.send(raw: .open, stream: 1, payload: payload)
            _ = try await session.link.next(.refused)
            payload = [0, 1, UInt8(evil.utf8.count)] + Array(evil.utf8)
            try await session.link.send(raw: .goAway, payload: [0, 0, 0, 9, UInt8(evil.utf8.count)] + Array(evil.utf8))
            try await session.link.send(raw: .close, payload: payload)
            try await site.expectIntrudersGone()
            let lines = try site.pair.server.logLines
            #expect(!lines.contains { $0.hasPrefix("2026-01-01T00:00:00Z") })
            #expect(lines.allSatisfy { $0.utf8.count < 1_200 })
            for table in ["clients", "streams", "status"] {
                let shown = try await site.pair.serverAdmin.ctl(table).output
                #expect(shown.utf8.allSatisfy { $0 == 0x0A || $0 >= 0x20 && $0 != 0x7F })
            }
        }
    }
}
