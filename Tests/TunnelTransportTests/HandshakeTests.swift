import Foundation
import Identity
import NIOCore
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Tokens, pins and names, over real TLS.
    @Suite struct HandshakeTests {
        static let otherToken = "gt1_0badcafe_ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        static let unknownToken = "gt1_deadbeef_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

        @Test func theRightTokenOpensASession() async throws {
            try await TunnelBed.with { bed in
                let answer = try await bed.dial(try bed.dialer()).get()
                #expect(answer.peer.role == .server && answer.peer.name == "server-1")
                #expect(answer.peer.instance == bed.instance)
                #expect(!answer.welcome.resumed && answer.welcome.secret.count == SessionSecret.length)
                #expect(bed.observer.kinds.isEmpty)
                #expect(bed.hostEvents.entries == [.began(name: "worker-1")])
            }
        }

        /// A wrong secret and an unknown id look the same from outside.
        @Test(arguments: [otherToken, unknownToken]) func anotherTokenDoesNot(text: String) async throws {
            try await TunnelBed.with { bed in
                let error = try await bed.refusal(try bed.dialer(credential: bed.credential(text)))
                #expect(error.failure == .authentication && error.isRefusal)
                #expect(error.heard == Close(.authenticationFailed, "authentication failed"))
                #expect(bed.observer.kinds == [.authentication])
                #expect(bed.observer.failures.entries[0].detail.hasPrefix("wrong or unknown token from worker-1 from 127.0.0.1:"))
                #expect(bed.hostEvents.entries.isEmpty)
            }
        }

        @Test func aBoundTokenIsForItsNamesAlone() async throws {
            var options = TunnelBed.Options()
            options.tokenNames = ["worker-*"]
            try await TunnelBed.with(options) { bed in
                _ = try await bed.dial(try bed.dialer(name: "worker-7")).get()
                let error = try await bed.refusal(try bed.dialer(name: "intruder"))
                #expect(error.failure == .forbidden && error.isRefusal)
                #expect(error.heard == Close(.forbidden, "the token 0badcafe is not for the client name intruder"))
                #expect(bed.observer.kinds == [.forbidden])
            }
        }

        /// Weak tokens are refused where they are read, unless allowed there: the handshake takes what it is given.
        @Test func anAllowedWeakTokenWorksLikeAnyOther() async throws {
            var options = TunnelBed.Options()
            options.tokenText = "hunter2"
            try await TunnelBed.with(options) { bed in
                _ = try await bed.dial(try bed.dialer(credential: bed.credential("hunter2"))).get()
                let error = try await bed.refusal(try bed.dialer(credential: bed.credential("hunter3")))
                #expect(error.failure == .authentication)
            }
        }

        @Test func aPinnedCertificateIsTaken() async throws {
            try await TunnelBed.with { bed in
                let others = [CertificateFingerprint(ofDER: [1, 2, 3]), bed.certificate.fingerprint]
                _ = try await bed.dial(try bed.dialer(pins: others)).get()
            }
        }

        @Test func aCertificateThatIsNotPinnedEndsTheHandshakeBeforeHello() async throws {
            try await TunnelBed.with { bed in
                let relay = try await bed.relay(certificate: bed.certificate)
                let pin = CertificateFingerprint(ofDER: [1, 2, 3])
                let error = try await bed.refusal(try bed.dialer(pins: [pin]), port: relay.port)
                // Whoever answers there may be an impostor that goes away: no reason to give up.
                #expect(error.failure == .authentication && !error.isRefusal)
                #expect(
                    error.detail == "the server's certificate (sha256:\(bed.certificate.fingerprint)) is not among server_pins")
                #expect(relay.up.isEmpty)
                // How far the relay's own TLS handshake had come by then is a race.
                #expect([.disconnected, .tls].contains(try await bed.soleFailure()))
            }
        }

        // MARK: In the middle

        @Test func aManInTheMiddleWithHisOwnCertificateGetsNoSession() async throws {
            try await TunnelBed.with { bed in
                let relay = try await bed.relay(certificate: bed.foreignCertificate())
                let error = try await bed.refusal(try bed.dialer(), port: relay.port)
                #expect(error.failure == .authentication)
                #expect(error.heard?.code == .authenticationFailed)
                #expect(bed.observer.kinds == [.authentication])
                #expect(bed.hostEvents.entries.isEmpty)
            }
        }

        @Test func recordedProofsAreOfNoUse() async throws {
            try await TunnelBed.with { bed in
                let relay = try await bed.relay(certificate: bed.certificate)
                _ = try await bed.dial(try bed.dialer(), port: relay.port).get()
                // HELLO and PROOF as they went over the wire, and what came behind them.
                let recorded = relay.up
                #expect(recorded.count > 150)
                let thief = try await bed.rawPeer()
                try await thief.waitSecured()
                thief.send(recorded)
                try await thief.waitClosed()
                #expect(try thief.farewell() == Close(.authenticationFailed, "authentication failed"))
                #expect(bed.observer.kinds == [.authentication])
                #expect(bed.hostEvents.entries == [.began(name: "worker-1")])
            }
        }

        /// Everything that ever crosses a link, in the clear: handshakes, a resume and data of streams.
        @Test func noByteOfTheTokenIsEverSent() async throws {
            try await TunnelBed.with { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let relay = try await bed.relay(certificate: bed.certificate)
                let client = try await bed.client(port: relay.port)
                let port = try await client.forward(to: "echo").port
                let socket = try await onThread { try RawSocket.connect(port: port) }
                for round in 0..<2 {
                    _ = try await onThread {
                        try socket.send("plain text")
                        return try socket.receive(exactly: 10)
                    }
                    if round == 0 { try await client.relink() }
                }
                let secret = String(TunnelBed.tokenText.suffix(64))
                let raw = stride(from: 0, to: 64, by: 2).compactMap { offset in
                    let start = secret.index(secret.startIndex, offsetBy: offset)
                    return UInt8(secret[start..<secret.index(start, offsetBy: 2)], radix: 16)
                }
                for said in [relay.up, relay.down] {
                    #expect(said.contains("plain text".utf8))
                    #expect(!said.contains(secret.prefix(16).utf8) && !said.contains(secret.uppercased().prefix(16).utf8))
                    #expect(!said.contains(secret.suffix(16).utf8))
                    #expect(raw.count == 32 && !said.contains(raw.prefix(8)))
                }
                #expect(relay.up.contains("0badcafe".utf8))
            }
        }

        // MARK: Versions and placement

        @Test func anotherVersionIsToldSo() async throws {
            try await TunnelBed.with { bed in
                let peer = try await bed.rawPeer()
                try await peer.waitSecured()
                var hello = bed.party().hello(
                    method: .token, tokenID: "0badcafe", nonce: [UInt8](repeating: 1, count: 32), resume: nil)
                (hello.minimumVersion, hello.maximumVersion) = (2, 3)
                peer.send(hello.frame())
                try await peer.waitClosed()
                let reason = "protocol 2...3 offered, 1 needed: use one version on both ends"
                #expect(try peer.farewell() == Close(.versionMismatch, reason))
                #expect(bed.observer.kinds == [.version])
            }
        }

        @Test func aServerMayNotDialAsAClient() async throws {
            try await TunnelBed.with { bed in
                var party = bed.party()
                party.role = .server
                let error = try await bed.refusal(try bed.dialer(party: party))
                #expect(error.failure == .forbidden)
                #expect(bed.observer.kinds == [.forbidden])
            }
        }

        /// Names that live on every loop, each several times, so that the accepting loop is now the right one and now another.
        @Test func everyClientReachesTheLoopWhereItLives() async throws {
            var options = TunnelBed.Options()
            options.loops = 3
            try await TunnelBed.with(options) { bed in
                let names = (0..<12).map { "worker-\($0)" }
                let homes = Set(names.map { Placement.loop(key: Placement.key(client: $0), count: 3) })
                #expect(homes == [0, 1, 2])
                for name in names {
                    for _ in 0..<4 { _ = try await bed.dial(try bed.dialer(name: name)).get() }
                }
                #expect(bed.hostEvents.count == names.count * 4)
                #expect(bed.observer.kinds.isEmpty)
            }
        }

        @Test func aHostNameOfAnotherClientIsMisplaced() async throws {
            try await TunnelBed.with { bed in
                let home = Placement.loop(key: Placement.key(client: "worker-1"), count: 2)
                let other = try #require(
                    (0..<20).map { "other-\($0)" }.first { Placement.loop(key: Placement.key(client: $0), count: 2) != home })
                let peer = try await bed.rawPeer(serverName: Placement.hostName(client: other))
                try await peer.waitSecured()
                var handshake = DialerHandshake(
                    party: bed.party(), credential: try bed.credential(), certificate: bed.certificate.fingerprint, ticket: nil,
                    received: 0, nonce: [UInt8](repeating: 5, count: 32))
                peer.send(handshake.start())
                guard case .meet = try handshake.receive(try await peer.frame(0)) else {
                    return #expect(Bool(false), "nobody said who answers")
                }
                peer.send(try handshake.prove())
                try await peer.waitClosed()
                #expect(try peer.farewell()?.code == .misplaced)
                #expect(bed.observer.kinds == [.malformed])
                #expect(bed.hostEvents.entries.isEmpty)
            }
        }

        // MARK: The dialer's own patience

        @Test func aServerThatSaysNothingIsGivenUp() async throws {
            var options = TunnelBed.Options()
            options.handshakeLimit = .milliseconds(200)
            try await TunnelBed.with(options) { bed in
                let silent = try Backend(keptBy: bed) { _ = $0.drain() }
                let error = try await bed.refusal(try bed.dialer(), port: silent.port)
                #expect(error.failure == .timeout && !error.isRefusal)
                #expect(error.detail == "no answer within 200 ms")
            }
        }

        @Test func aServerThatRefusesOrHangsUp() async throws {
            try await TunnelBed.with { bed in
                let listener = try RawSocket.listen()
                let port = listener.port
                listener.close()
                let refused = try await bed.refusal(try bed.dialer(), port: port)
                #expect(refused.failure == .disconnected && refused.detail == "connection refused")
                #expect(refused.isConnectionRefused)
                let hangsUp = try Backend(keptBy: bed) { _ = try $0.receive() }
                let ended = try await bed.refusal(try bed.dialer(), port: hangsUp.port)
                #expect(ended.failure == .tls || ended.failure == .disconnected)
                let http = try Backend(keptBy: bed) { socket in
                    _ = try socket.receive()
                    try socket.send("HTTP/1.1 400 Bad Request\r\n\r\n")
                }
                #expect(try await bed.refusal(try bed.dialer(), port: http.port).failure == .tls)
            }
        }

        @Test func aServerGivenByName() async throws {
            try await TunnelBed.with { bed in
                _ = try await bed.dial(try bed.dialer(), host: "localhost").get()
            }
        }
    }
}
