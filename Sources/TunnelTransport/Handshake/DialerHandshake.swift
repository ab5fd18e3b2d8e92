import Identity
import NIOCore
import TunnelWire

/// The dialer's half of a handshake, sans-IO: HELLO, PROOF, then the acceptor's PROOF and WELCOME.
struct DialerHandshake {
    /// What the acceptor is and which session the link now carries.
    struct Result {
        var peer: Hello
        var welcome: Welcome
    }

    enum Step {
        case wait
        /// The other end has said who it is. Call `prove` to go on.
        case meet(Hello)
        case done(Result)
    }

    /// ```
    /// awaitingHello → met → awaitingProof → awaitingWelcome → finished
    /// ```
    private enum State {
        /// Can transition to: met.
        case awaitingHello
        /// Can transition to: awaitingProof.
        case met(peer: Hello, HandshakeTranscript)
        /// Can transition to: awaitingWelcome.
        case awaitingProof(peer: Hello, HandshakeTranscript)
        /// Can transition to: finished.
        case awaitingWelcome(peer: Hello)
        case finished
    }

    private var state = State.awaitingHello
    private let credential: DialerCredential
    private let ticket: ResumeTicket?
    private let isControlLink: Bool
    private let certificate: CertificateFingerprint
    private let serverCertificate: CertificateIdentity?
    private let hello: Hello

    /// - Parameters:
    ///   - certificate: of the leaf that this connection showed.
    ///   - serverCertificate: what that leaf names, where an authority vouches for it.
    ///   - received: bytes of sequenced frames received in the session that `ticket` is for.
    ///   - isControlLink: a server asks another for a control link, which carries no session.
    init(
        party: LocalParty, credential: DialerCredential, certificate: CertificateFingerprint,
        serverCertificate: CertificateIdentity? = nil, ticket: ResumeTicket?, received: UInt64, nonce: [UInt8],
        isControlLink: Bool = false
    ) {
        self.credential = credential
        self.ticket = ticket
        self.isControlLink = isControlLink
        self.certificate = certificate
        self.serverCertificate = serverCertificate
        let resume = ticket.map { ResumeRequest(server: $0.server, session: $0.session, received: received) }
        self.hello = party.hello(
            method: credential.method, tokenID: credential.tokenID, nonce: nonce, resume: resume,
            capabilities: isControlLink ? HelloCapability.controlLink : 0)
    }

    /// The first frame.
    func start() -> ByteBuffer { self.hello.frame() }

    mutating func receive(_ frame: DecodedFrame) throws(HandshakeError) -> Step {
        switch self.state {
        case .awaitingHello:
            let (peer, bytes) = try frame.handshake(Hello.self)
            return try self.answer(peer, bytes)
        case .awaitingProof(let peer, let transcript):
            let (proof, _) = try frame.handshake(Proof.self)
            try self.verify(proof, transcript)
            self.state = .awaitingWelcome(peer: peer)
            return .wait
        case .awaitingWelcome(let peer):
            let (welcome, _) = try frame.handshake(Welcome.self)
            guard self.isAnswer(welcome) else {
                throw .malformed(WireError(.malformed, "a WELCOME that does not answer the HELLO"))
            }
            self.state = .finished
            return .done(Result(peer: peer, welcome: welcome))
        case .met:
            throw .malformed(WireError(.unexpected, "a frame before this end has proved itself"))
        case .finished:
            throw .malformed(WireError(.unexpected, "a frame behind the handshake"))
        }
    }

    /// A resumed session has its secret already, a control link has no session; every other WELCOME brings one.
    private func isAnswer(_ welcome: Welcome) -> Bool {
        guard welcome.resumed == (self.ticket != nil) else { return false }
        return welcome.secret.count == (welcome.resumed || self.isControlLink ? 0 : SessionSecret.length)
    }

    private mutating func answer(_ peer: Hello, _ bytes: [UInt8]) throws(HandshakeError) -> Step {
        guard peer.role == .server else { throw .forbidden("the other end is not a server") }
        guard self.hello.commonVersion(with: peer) != nil else { throw .version(peer) }
        if let named = self.serverCertificate?.name, named != peer.name {
            throw .forbidden("the server calls itself \(peer.name), but its certificate is for \(named)")
        }
        if let ticket = self.ticket, ticket.server != peer.instance {
            let reason = "another server instance answers at this address"
            throw HandshakeError(.resume, reason, farewell: Close(.notMe, reason), heard: Close(.notMe, reason))
        }
        let transcript = HandshakeTranscript(
            tokenID: self.hello.tokenID, dialerHello: self.hello.payload().readableBytesView, acceptorHello: bytes,
            certificate: self.certificate)
        self.state = .met(peer: peer, transcript)
        return .meet(peer)
    }

    /// This end's PROOF, once it has been decided that the other end is wanted.
    mutating func prove() throws(HandshakeError) -> ByteBuffer {
        guard case .met(let peer, let transcript) = self.state else {
            throw .malformed(WireError(.unexpected, "a proof out of turn"))
        }
        self.state = .awaitingProof(peer: peer, transcript)
        let link: [UInt8] =
            switch self.credential {
            case .token(let key): transcript.proof(for: .dialer, key: key).bytes
            case .certificate: []
            }
        let session = self.ticket.map { transcript.resumeProof(for: .dialer, secret: $0.secret).bytes }
        return Proof(link: link, session: session ?? []).frame()
    }

    private func verify(_ proof: Proof, _ transcript: HandshakeTranscript) throws(HandshakeError) {
        if case .token(let key) = self.credential {
            guard let link = HandshakeProof(proof.link), transcript.verify(link, for: .acceptor, key: key) else {
                throw .authentication("the server does not know the token: it may not be the one you mean")
            }
        }
        if let ticket = self.ticket {
            guard let session = HandshakeProof(proof.session),
                transcript.verifyResume(session, for: .acceptor, secret: ticket.secret)
            else { throw .authentication("the server does not know the secret of the session") }
        }
    }
}
