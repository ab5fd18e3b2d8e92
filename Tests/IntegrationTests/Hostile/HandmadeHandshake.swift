import Identity
import NIOCore
import TunnelTransport
import TunnelWire

/// What a client made by hand claims to be.
struct HandmadeClient: Sendable {
    var name: String
    var token: Token
    var installation = WireID.fresh()
    var instance = WireID.fresh()
    /// As the HELLO names it; by default the token's own id.
    var tokenID: String?
    var software = "handmade"
    var resume: ResumeRequest?
    /// What a resume is proved with.
    var secret: SessionSecret?

    init(name: String, token: Token) {
        self.name = name
        self.token = token
    }

    var hello: Hello {
        var rng = SystemRandomNumberGenerator()
        return Hello(
            role: .client, method: .token, name: self.name, installation: self.installation, instance: self.instance,
            cluster: "", nonce: (0..<32).map { _ in UInt8.random(in: 0...255, using: &rng) },
            tokenID: self.tokenID ?? self.token.id, software: self.software, resume: self.resume)
    }

    /// A link with a session on it, or the CLOSE as an error.
    func connect(port: Int, source: String? = nil) async throws -> HandmadeSession {
        let greeting = HandmadeLink.Greeting(hostName: Placement.hostName(client: self.name), source: source)
        let link = try await HandmadeLink.dial(port: port, greeting: greeting)
        return try await self.join(link)
    }

    /// The dialer's half of the handshake on a link that stands.
    func join(_ link: HandmadeLink) async throws -> HandmadeSession {
        try await link.waitForTLS()
        let mine = self.hello
        try await link.send(mine)
        let (server, transcript) = try await self.transcript(link, mine)
        let key = AuthenticationKey(self.token, for: .clientToken)
        let resumeProof = self.secret.map { transcript.resumeProof(for: .dialer, secret: $0).bytes }
        // A server that refuses the HELLO may be gone already; its CLOSE is read below.
        try? await link.send(Proof(link: transcript.proof(for: .dialer, key: key).bytes, session: resumeProof ?? []))
        var proofPayload = try await link.next(.proof)
        let proof = try Proof(reading: &proofPayload)
        guard let answer = HandshakeProof(proof.link), transcript.verify(answer, for: .acceptor, key: key) else {
            throw Unmet("a valid proof from the server")
        }
        var payload = try await link.next(.welcome)
        return HandmadeSession(link: link, server: server, welcome: try Welcome(reading: &payload))
    }

    /// Reads the server's HELLO and makes of both what the proofs are about.
    func transcript(_ link: HandmadeLink, _ mine: Hello) async throws -> (server: Hello, HandshakeTranscript) {
        var payload = try await link.next(.hello)
        let bytes = Array(payload.readableBytesView)
        let server = try Hello(reading: &payload)
        guard let certificate = link.certificate else { throw Unmet("a certificate") }
        let transcript = HandshakeTranscript(
            tokenID: mine.tokenID, dialerHello: mine.payload().readableBytesView, acceptorHello: bytes, certificate: certificate)
        return (server, transcript)
    }
}

/// A session that a server believes to have with an honest client.
struct HandmadeSession: Sendable {
    let link: HandmadeLink
    let server: Hello
    let welcome: Welcome
}

extension WireID {
    static func fresh() -> WireID {
        var rng = SystemRandomNumberGenerator()
        return WireID.random(using: &rng)
    }
}
