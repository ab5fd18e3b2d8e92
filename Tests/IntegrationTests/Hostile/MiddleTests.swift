import Foundation
import Identity
import NIOCore
import Testing
import TunnelTransport
import TunnelWire

extension Integration.HostileTests {
    /// Whoever stands between client and server with a certificate of his own gets neither a session nor the token.
    @Test("a man in the middle", .timeLimit(.minutes(2)))
    func manInTheMiddle() async throws {
        try await HostileSite.attack { site in
            let certificate = try ServerCertificate.loadOrCreate(directory: site.keys["middle"], name: "controller-1", at: Date())
            try await TappingRelay.with(certificate: certificate, serverPort: site.port, client: "intruder-2") { relay, port in
                try await site.withClient("intruder-2", port: port) { client in
                    try await site.expectFailures("authentication", atLeast: 1)
                    try await eventually("the client to say why") { client.log.contains("authentication") ? true : nil }
                    let names = try await site.clients()
                    #expect(names == [TunnelPair.clientName])
                }
                #expect(relay.content.connections > 0)
                #expect(relay.content.fromClient.count > 0)
                #expect(!relay.content.contains(String(site.intruder.reveal().suffix(64))))
            }
        }
    }

    /// Who has the server's key reads along and still never sees the token; what he has recorded lets nobody in.
    @Test("a recorded handshake holds no token and cannot be played again", .timeLimit(.minutes(2)))
    func replayedProof() async throws {
        try await HostileSite.attack { site in
            let certificate = try ServerCertificate.loadOrCreate(
                directory: site.pair.folder["ss"], name: TunnelPair.serverName, at: Date())
            try await TappingRelay.with(certificate: certificate, serverPort: site.port, client: "intruder-2") { relay, port in
                try await site.withClient("intruder-2", port: port) { _ in
                    try await eventually("the client to be in", isTrue: { try await site.clients().contains("intruder-2") })
                }
                let recorded = relay.content
                let secret = site.intruder.reveal()
                #expect(!recorded.contains(secret) && !recorded.contains(String(secret.suffix(64))))
                #expect(recorded.contains(site.intruder.id), "the tap works: it sees the token's id")

                let before = try await site.failures("authentication")
                let greeting = HandmadeLink.Greeting(hostName: Placement.hostName(client: "intruder-2"))
                let link = try await HandmadeLink.dial(port: site.port, greeting: greeting)
                try await link.waitForTLS()
                try await link.send(ByteBuffer(bytes: Self.handshakeFrames(recorded.fromClient)))
                #expect(try await link.waitForClose()?.code == .authenticationFailed)
                #expect(try await site.failures("authentication") == before + 1)
            }
        }
    }

    /// The first two frames: HELLO and PROOF.
    private static func handshakeFrames(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        var end = 0
        for _ in 0..<2 where bytes.count >= end + Limits.frameHeader {
            let header = bytes[end..<(end + Limits.frameHeader)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            end += Limits.frameHeader + FrameHeader(packed: header).length
        }
        return bytes[..<min(end, bytes.count)]
    }
}

extension HostileSite {
    /// Runs a real client that dials `port` with the intruder's token.
    func withClient(_ name: String, port: Int, _ body: (RunningProgram) async throws -> Void) async throws {
        try await TemporaryFolder.with { folder in
            let config = try folder.write(
                "client.yaml",
                """
                client:
                  name: \(name)
                  token_file: "\(self.keys["intruder"])"
                  server_addrs: ["127.0.0.1:\(port)"]
                  state_dir: "\(folder["state"])"
                  admin: {socket: "\(folder["c.sock"])"}
                """)
            try await RunningProgram.with(try Programs.client, ["--config", config], name: "client", in: folder) {
                try await body($0)
            }
        }
    }
}
