import Identity
import NIOCore
import Testing
import TunnelTransport
import TunnelWire

extension Integration.Cluster {
    /// Who must not become a peer. The fourth server is none of the founders; each time it dials another one of them, because
    /// of failures of one kind from one address one line a minute is written.
    @Suite struct StrangerPeerTests {
        @Test func nobodyJoinsWhoDoesNotBelong() async throws {
            try await ServerGroup.with(GroupSetup(servers: 4, isCluster: true, founders: 3), waits: false) { group in
                let founders = Array(group.servers.prefix(3))
                try await group.start(founders)
                let accord = try await group.accord(of: founders, voters: founders)
                let stranger = Stranger(server: group.servers[3], group: group)

                let worker = group.folder.read("token")
                try await stranger.comes(to: founders[0], secret: otherToken)
                try await stranger.expectRefusal(
                    "authentication", founders[0], "wrong or unknown token from server-4 from 127.0.0.1:")
                try await stranger.comes(to: founders[1], secret: worker, token: otherToken)
                try await stranger.expectRefusal(
                    "authentication", founders[1], "wrong or unknown token from server-4 from 127.0.0.1:")
                try await stranger.comes(to: founders[2], name: "server-3")
                try await stranger.expectRefusal(
                    "forbidden", founders[2], "two servers are called server-3: give each a name of its own")
                // A cluster of its own, which it founded alone.
                try await stranger.foundsItsOwn()
                let own = try await stranger.server.admin.status()["cluster"].text ?? ""
                #expect(own.utf8.count == 32 && own != accord.id)
                try await stranger.comes(to: founders[0], emptiesState: false)
                try await stranger.expectRefusal(
                    "forbidden", founders[0], "server-1 belongs to cluster \(accord.id), server-4 to \(own): correct peers")

                for server in founders {
                    let peers = try await server.admin.status()["peers"].items
                    #expect(peers.count == 2 && peers.allSatisfy { $0["state"].text == "alive" }, "\(peers)")
                }
                #expect(try await group.accord(of: founders) == accord, "expected nothing to have changed")
            }
        }

        /// The name of another server than the one that is dialled: the cluster stays as it is.
        @Test func nobodyTakesTheNameOfALivingServer() async throws {
            try await ServerGroup.with(GroupSetup(servers: 4, isCluster: true, founders: 3), waits: false) { group in
                let founders = Array(group.servers.prefix(3))
                try await group.start(founders)
                let accord = try await group.accord(of: founders, voters: founders)
                let stranger = Stranger(server: group.servers[3], group: group)
                try await stranger.comes(to: founders[2], name: "server-1")
                try await stranger.expectRefusal(
                    "forbidden", founders[2], "two servers are called server-1: give each a name of its own", isKnown: true)
                // Dialled again and again, it changes nothing.
                try await Task.sleep(for: .seconds(2))
                for server in founders {
                    let changes = try server.program.logLines.count { $0.contains("peer changed") || $0.contains("peer is dead") }
                    #expect(changes <= 4, "expected \(server.name) to have seen its two peers come and nothing else")
                    let peers = try await server.admin.status()["peers"].items
                    #expect(peers.count == 2 && peers.allSatisfy { $0["state"].text == "alive" }, "\(peers)")
                }
                #expect(try await group.accord(of: founders) == accord, "expected nothing to have changed")
            }
        }

        /// A worker that knows the protocol and claims to be a server.
        @Test(arguments: [KeyPurpose.clientToken, .clusterSecret])
        func aWorkersTokenIsNoProofOfAPeer(purpose: KeyPurpose) async throws {
            try await ServerGroup.with(GroupSetup(servers: 1, isCluster: true, links: 1)) { group in
                let server = group.servers[0]
                let token = try Token(group.folder.read("token").trimmingSuffix())
                for hostName in [Placement.controlHostName, Placement.hostName(loop: 0)] {
                    let before = try await server.admin.metric(Self.failures) ?? 0
                    let greeting = HandmadeLink.Greeting(hostName: hostName)
                    let link = try await HandmadeLink.dial(port: server.linkPort, greeting: greeting)
                    try await link.waitForTLS()
                    var client = HandmadeClient(name: ServerGroup.clientName, token: token)
                    client.software = "worker"
                    var hello = client.hello
                    hello.role = .server
                    try await link.send(hello)
                    let (_, transcript) = try await client.transcript(link, hello)
                    let key = AuthenticationKey(token, for: purpose)
                    try? await link.send(Proof(link: transcript.proof(for: .dialer, key: key).bytes, session: []))
                    let close = try await link.waitForClose()
                    #expect(close?.code == .authenticationFailed, "\(String(describing: close))")
                    try await link.waitForEnd()
                    #expect(try await server.admin.metric(Self.failures) == before + 1)
                }
                #expect(try await server.admin.status()["peers"].items.isEmpty)
                #expect(try await group.whoAnswers() === server)
            }
        }

        private static let failures = "gotunnel_handshake_failures_total{reason=\"authentication\"}"

        /// The secret of the cluster must be nobody's token; the start says so.
        @Test func aTokenAsSecretIsRefusedAtStart() async throws {
            try await ServerGroup.with(GroupSetup(servers: 1, isCluster: true), waits: false) { group in
                let server = group.servers[0]
                try group.folder.write(server.secretFile, group.folder.read("token"))
                let path = group.folder["server-1.yaml"]
                let result = try await run(try Programs.server, ["--config", path])
                #expect(result.end == .exit(78))
                #expect(result.errorLines.count == 1 && result.errorLines[0].hasPrefix("\(path):"), "\(result)")
                #expect(result.errors.contains("server.cluster: a cluster secret is the same as a token"), "\(result)")
                #expect(!group.folder.has(server.state), "expected nothing to have been made")
            }
        }
    }
}

extension String {
    /// Without the line feed at its end.
    func trimmingSuffix() -> String { self.hasSuffix("\n") ? String(self.dropLast()) : self }
}
