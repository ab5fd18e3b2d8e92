import Identity
import NIOCore
import Testing
import TunnelWire

extension Integration {
    /// What a HELLO says reaches the log; nothing in it may break out of its line.
    @Suite struct HostileTextTests {
        private static let evil: [String] = [
            "worker\n2026-01-01T00:00:00Z CRITICAL server forged the log",
            "worker\r\u{1b}[2J\u{1b}[31mred", "worker\u{0}null", "worker \" reason=none", "wörker-\u{202e}1", "WORKER-1",
            "-worker",
            String(repeating: "a", count: 250),
        ]

        @Test(arguments: evil)
        func anEvilNameIsOneCleanLine(name: String) async throws {
            try await TunnelPair.with(waits: false) { pair in
                try await pair.startServer()
                let before = try pair.server.logLines.count
                let link = try await RawLink.connect(port: pair.linkPort)
                try await link.send(Self.hello(name: name, tokenID: "00000000").frame())
                #expect(try await link.isClosed())
                try await Self.expectOneCleanLine(pair, after: before, containing: "reason=malformed")
                #expect(try await pair.serverAdmin.isReady())
            }
        }

        @Test func evilTextsBesideTheNameAreCleaned() async throws {
            try await TunnelPair.with(waits: false) { pair in
                try await pair.startServer()
                let before = try pair.server.logLines.count
                let link = try await RawLink.connect(port: pair.linkPort)
                let hello = Self.hello(name: "worker-1", tokenID: "00000000")
                // The encoder cleans what it writes, so the bytes are put in place afterwards.
                let frame = Self.replacing("00000000", with: "a\nb\u{1b}[1m\r", in: hello.frame())
                try await link.send(frame)
                guard case .frame(let header, _) = try await link.frame(), header.type == .hello else {
                    throw Unmet("expected the server's HELLO")
                }
                try await link.send(Proof(link: Array(repeating: 7, count: 32)).frame())
                #expect(try await link.isClosed())
                try await Self.expectOneCleanLine(pair, after: before, containing: "reason=authentication")
            }
        }

        /// With the right token, what the client calls its software ends up in status and tables.
        @Test func theSoftwareOfAnAuthenticatedClientIsCleaned() async throws {
            try await TunnelPair.with(waits: false) { pair in
                try await pair.startServer()
                let token = try Token(pair.folder.read("token"))
                let link = try await RawLink.connect(port: pair.linkPort)
                var hello = Self.hello(name: "worker-1", tokenID: token.id)
                hello.software = "evil\u{1b}]0;title\u{7}\nline"
                _ = try await link.introduce(hello, key: AuthenticationKey(token, for: .clientToken))
                let admin = pair.serverAdmin
                try await eventually("the client to be there") { try await admin.status()["clients"].int == 1 ? true : nil }
                let version = try await admin.json("clients")[0]["version"].text ?? ""
                #expect(version == "evil?]0;title??line")
                let table = try await admin.ctl("clients").output
                #expect(table.utf8.allSatisfy { $0 == 0x0a || (0x20...0x7e).contains($0) }, "\(table)")
                for line in try pair.server.logLines { Self.expectClean(line) }
                await link.close()
            }
        }

        // MARK: What the tests share

        private static func hello(name: String, tokenID: String) -> Hello {
            var rng = SystemRandomNumberGenerator()
            return Hello(
                role: .client, method: .token, name: name, installation: .random(using: &rng), instance: .random(using: &rng),
                cluster: "", nonce: (0..<32).map { _ in UInt8.random(in: 0...255) }, tokenID: tokenID, software: "test",
                resume: nil)
        }

        private static func replacing(_ old: String, with new: String, in buffer: ByteBuffer) -> ByteBuffer {
            var bytes = Array(buffer.readableBytesView)
            let (old, new) = (Array(old.utf8), Array(new.utf8))
            precondition(old.count == new.count)
            for start in 0...(bytes.count - old.count) where Array(bytes[start..<start + old.count]) == old {
                bytes.replaceSubrange(start..<start + old.count, with: new)
            }
            return ByteBuffer(bytes: bytes)
        }

        private static func expectOneCleanLine(_ pair: TunnelPair, after count: Int, containing text: String) async throws {
            try await eventually("a line with \(text)") { try pair.server.log.contains(text) ? true : nil }
            let added = try pair.server.logLines.dropFirst(count)
            #expect(added.count == 1, "expected one line, got \(added)")
            for line in added {
                #expect(line.contains("handshake failed") && line.contains(text))
                #expect(line.utf8.count < 600)
                Self.expectClean(line)
            }
        }

        private static func expectClean(_ line: String) {
            #expect(line.utf8.allSatisfy { (0x20...0x7e).contains($0) }, "expected printable ASCII: \(line.debugDescription)")
        }
    }
}
