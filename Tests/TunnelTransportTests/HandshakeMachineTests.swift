import Identity
import NIOCore
import Testing
import TunnelWire

@testable import TunnelTransport

/// Both halves of the handshake against each other, without sockets.
@Suite struct HandshakeMachineTests {
    private let token: Token
    private let certificate = CertificateFingerprint(ofDER: [1, 2, 3])
    private var rng = SeededGenerator(seed: 7)

    init() throws { self.token = try Token("gt1_0badcafe_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f") }

    private func party(_ role: WireRole) -> LocalParty {
        var rng = SeededGenerator(seed: role == .client ? 1 : 2)
        return LocalParty(
            role: role, name: role == .client ? "worker-1" : "server-1", installation: .random(using: &rng),
            instance: .random(using: &rng), software: "tests")
    }

    private func dialer(
        ticket: ResumeTicket? = nil, certificate: CertificateFingerprint? = nil, token: Token? = nil
    ) -> DialerHandshake {
        DialerHandshake(
            party: self.party(.client), credential: .token(AuthenticationKey(token ?? self.token, for: .clientToken)),
            certificate: certificate ?? self.certificate, ticket: ticket, received: 12, nonce: [UInt8](repeating: 1, count: 32))
    }

    private func acceptor(nonce: UInt8 = 2) throws -> AcceptorHandshake {
        var rng = SeededGenerator(seed: 3)
        let ring = try TokenRing([TokenRing.Entry(self.token)], for: .clientToken, using: &rng)
        return AcceptorHandshake(
            party: self.party(.server), authenticator: Authenticator(tokens: ring), certificate: self.certificate,
            dialerCertificate: nil, address: "192.0.2.1:5", nonce: [UInt8](repeating: nonce, count: 32))
    }

    private func frames(_ bytes: ByteBuffer) throws -> [DecodedFrame] {
        var decoder = FrameDecoder()
        decoder.feed(bytes)
        var frames: [DecodedFrame] = []
        while let frame = try decoder.next() { frames.append(frame) }
        return frames
    }

    private func proof(_ dialer: inout DialerHandshake, _ acceptor: inout AcceptorHandshake) throws -> ByteBuffer {
        guard case .wait = try acceptor.receive(try self.frames(dialer.start())[0]) else { throw Overdue(description: "no wait") }
        guard case .meet = try dialer.receive(try self.frames(acceptor.start())[0]) else {
            throw Overdue(description: "nobody met")
        }
        return try dialer.prove()
    }

    private func failure(_ body: () throws -> Void) -> HandshakeError? {
        do {
            try body()
            return nil
        } catch {
            return error as? HandshakeError
        }
    }

    @Test func bothProveThemselves() throws {
        var (dialer, acceptor) = (self.dialer(), try self.acceptor())
        let proof = try self.proof(&dialer, &acceptor)
        guard case .authenticated(let peer) = try acceptor.receive(try self.frames(proof)[0]) else {
            return #expect(Bool(false), "the proof was not taken")
        }
        #expect(peer.hello.name == "worker-1" && peer.token?.id == "0badcafe" && peer.address == "192.0.2.1:5")
        let secret = try #require(SessionSecret([UInt8](repeating: 9, count: 32)))
        let welcome = Welcome(session: WireID(high: 1, low: 2), secret: secret.reveal(), resumed: false, received: 0)
        let answer = try self.frames(try #require(acceptor.welcome(welcome, secret: secret)))
        guard case .wait = try dialer.receive(answer[0]), case .done(let result) = try dialer.receive(answer[1]) else {
            return #expect(Bool(false), "the welcome was not taken")
        }
        #expect(result.peer.name == "server-1" && result.welcome == welcome)
    }

    @Test func theAcceptorSaysNothingBeforeTheDialerIsProved() throws {
        let secret = try #require(SessionSecret([UInt8](repeating: 9, count: 32)))
        let welcome = Welcome(session: WireID(high: 1, low: 2), secret: secret.reveal(), resumed: false, received: 0)
        var (dialer, acceptor) = (self.dialer(), try self.acceptor())
        #expect(acceptor.welcome(welcome, secret: secret) == nil)
        _ = try self.proof(&dialer, &acceptor)
        #expect(acceptor.welcome(welcome, secret: secret) == nil)
    }

    @Test func aProofIsForOneCertificateAndOneHandshake() throws {
        let otherCertificate = CertificateFingerprint(ofDER: [4, 5, 6])
        var (deceived, acceptor) = (self.dialer(certificate: otherCertificate), try self.acceptor())
        let bound = try self.proof(&deceived, &acceptor)
        #expect(self.failure { _ = try acceptor.receive(try self.frames(bound)[0]) }?.failure == .authentication)

        var (dialer, first, second) = (self.dialer(), try self.acceptor(), try self.acceptor(nonce: 3))
        let proof = try self.proof(&dialer, &first)
        _ = try second.receive(try self.frames(dialer.start())[0])
        #expect(self.failure { _ = try second.receive(try self.frames(proof)[0]) }?.failure == .authentication)
        guard case .authenticated = try first.receive(try self.frames(proof)[0]) else {
            return #expect(Bool(false), "the proof was good")
        }
    }

    /// Who sends the dialer's own proof back, or makes one up, is not taken for a server.
    @Test func aServerHasToProveItselfToo() throws {
        var (dialer, acceptor) = (self.dialer(), try self.acceptor())
        let own = try self.proof(&dialer, &acceptor)
        var mirrored = dialer
        #expect(self.failure { _ = try mirrored.receive(try self.frames(own)[0]) }?.failure == .authentication)
        for made in [Proof(link: []), Proof(link: [UInt8](repeating: 0, count: 32))] {
            var other = dialer
            let error = self.failure { _ = try other.receive(try self.frames(made.frame())[0]) }
            #expect(error?.detail == "the server does not know the token: it may not be the one you mean")
        }
    }

    @Test func aResumeNeedsTheSecretOnBothEnds() throws {
        let (right, wrong) = (
            try #require(SessionSecret([UInt8](repeating: 9, count: 32))),
            try #require(SessionSecret([UInt8](repeating: 8, count: 32)))
        )
        var ticket = ResumeTicket(server: self.party(.server).instance, session: WireID(high: 1, low: 2), secret: right)
        var (dialer, acceptor) = (self.dialer(ticket: ticket), try self.acceptor())
        let proof = try self.proof(&dialer, &acceptor)
        guard case .authenticated(let peer) = try acceptor.receive(try self.frames(proof)[0]) else {
            return #expect(Bool(false), "the proof was not taken")
        }
        #expect(peer.hello.resume?.received == 12)
        #expect(peer.provesSession(right) && !peer.provesSession(wrong))
        // A server that has the token but not the session's secret is noticed.
        let welcome = Welcome(session: ticket.session, secret: [], resumed: true, received: 3)
        let lie = try self.frames(try #require(acceptor.welcome(welcome, secret: wrong)))
        let error = self.failure { _ = try dialer.receive(lie[0]) }
        #expect(error?.detail == "the server does not know the secret of the session")

        ticket.server = WireID(high: 0, low: 1)
        var (lost, other) = (self.dialer(ticket: ticket), try self.acceptor())
        _ = try other.receive(try self.frames(lost.start())[0])
        #expect(self.failure { _ = try lost.receive(try self.frames(other.start())[0]) }?.heard?.code == .notMe)
    }

    @Test func aWelcomeHasToAnswerTheHello() throws {
        let secret = try #require(SessionSecret([UInt8](repeating: 9, count: 32)))
        let wrong = [
            Welcome(session: WireID(high: 1, low: 2), secret: [], resumed: true, received: 0),
            Welcome(session: WireID(high: 1, low: 2), secret: [], resumed: false, received: 0),
        ]
        for welcome in wrong {
            var (dialer, acceptor) = (self.dialer(), try self.acceptor())
            let proof = try self.proof(&dialer, &acceptor)
            _ = try acceptor.receive(try self.frames(proof)[0])
            let answer = try self.frames(try #require(acceptor.welcome(welcome, secret: secret)))
            _ = try dialer.receive(answer[0])
            #expect(self.failure { _ = try dialer.receive(answer[1]) }?.failure == .malformed)
        }
    }

    @Test func aServerOfAnotherVersionOrRole() throws {
        var hello = self.party(.server).hello(method: .token, tokenID: "", nonce: [UInt8](repeating: 2, count: 32), resume: nil)
        (hello.minimumVersion, hello.maximumVersion) = (2, 2)
        var dialer = self.dialer()
        #expect(self.failure { _ = try dialer.receive(try self.frames(hello.frame())[0]) }?.failure == .version)
        let client = self.party(.client).hello(method: .token, tokenID: "", nonce: [UInt8](repeating: 2, count: 32), resume: nil)
        var other = self.dialer()
        #expect(self.failure { _ = try other.receive(try self.frames(client.frame())[0]) }?.failure == .forbidden)
    }
}
