import Identity
import NIOCore
import TunnelWire

/// What the acceptor believes, replaceable by a reload.
package struct Authenticator: Sendable {
    package var tokens: TokenRing
    /// Nil: this server belongs to no cluster and takes no peers.
    package var peers: PeerCredentials?

    package init(tokens: TokenRing, peers: PeerCredentials? = nil) {
        self.tokens = tokens
        self.peers = peers
    }
}

/// A dialer that has proved who it is.
package struct AuthenticatedPeer: Sendable {
    package var hello: Hello
    /// The token it used, or the cluster secret of a server; nil with a certificate.
    package var token: VerifiedToken?
    /// Its address, for logs and status.
    package var address: String
    let transcript: HandshakeTranscript
    let resumeProof: HandshakeProof?

    /// Whether the dialer proved to hold the secret of the session it wants to continue.
    package func provesSession(_ secret: SessionSecret) -> Bool {
        self.resumeProof.map { self.transcript.verifyResume($0, for: .dialer, secret: secret) } ?? false
    }
}

/// The acceptor's half of a handshake, sans-IO: it proves itself only after the dialer did.
struct AcceptorHandshake {
    enum Step {
        case wait
        /// Find or make the session, then call `welcome`.
        case authenticated(AuthenticatedPeer)
    }

    /// ```
    /// awaitingHello → awaitingProof → authenticated
    /// ```
    private enum State {
        /// Can transition to: awaitingProof.
        case awaitingHello
        /// Can transition to: authenticated.
        case awaitingProof(Hello, HandshakeTranscript)
        /// Final.
        case authenticated(HandshakeTranscript, VerifiedToken?)
    }

    private var state = State.awaitingHello
    private let party: LocalParty
    private let authenticator: Authenticator
    private let certificate: CertificateFingerprint
    private let dialerCertificate: CertificateIdentity?
    private let address: String
    private let hello: Hello

    /// - Parameters:
    ///   - certificate: of the leaf that this process shows.
    ///   - dialerCertificate: what the dialer's verified certificate names, if it showed one.
    init(
        party: LocalParty, authenticator: Authenticator, certificate: CertificateFingerprint,
        dialerCertificate: CertificateIdentity?, address: String, nonce: [UInt8]
    ) {
        self.party = party
        self.authenticator = authenticator
        self.certificate = certificate
        self.dialerCertificate = dialerCertificate
        self.address = address
        self.hello = party.hello(method: .token, tokenID: "", nonce: nonce, resume: nil)
    }

    /// The first frame.
    func start() -> ByteBuffer { self.hello.frame() }

    mutating func receive(_ frame: DecodedFrame) throws(HandshakeError) -> Step {
        switch self.state {
        case .awaitingHello:
            let (dialer, bytes) = try frame.handshake(Hello.self)
            guard self.hello.commonVersion(with: dialer) != nil else { throw .version(dialer) }
            try self.admit(dialer)
            let transcript = HandshakeTranscript(
                tokenID: dialer.tokenID, dialerHello: bytes, acceptorHello: self.hello.payload().readableBytesView,
                certificate: self.certificate)
            self.state = .awaitingProof(dialer, transcript)
            return .wait
        case .awaitingProof(let dialer, let transcript):
            let (proof, _) = try frame.handshake(Proof.self)
            let token = try self.authenticate(dialer, proof, transcript)
            self.state = .authenticated(transcript, token)
            return .authenticated(
                AuthenticatedPeer(
                    hello: dialer, token: token, address: self.address, transcript: transcript,
                    resumeProof: HandshakeProof(proof.session)))
        case .authenticated:
            throw .malformed(WireError(.unexpected, "a frame before the WELCOME"))
        }
    }

    /// Our PROOF and the WELCOME. `secret` is the session's, to prove a resume with; a control link has none.
    func welcome(_ welcome: Welcome, secret: SessionSecret?) -> ByteBuffer? {
        guard case .authenticated(let transcript, let token) = self.state else { return nil }
        let link = token.map { transcript.proof(for: .acceptor, key: $0.key).bytes } ?? []
        let session = welcome.resumed ? secret.map { transcript.resumeProof(for: .acceptor, secret: $0).bytes } : nil
        var frames = Proof(link: link, session: session ?? []).frame()
        frames.writeImmutableBuffer(welcome.frame())
        return frames
    }

    /// Whether a dialer of this role may go on to prove itself.
    private func admit(_ dialer: Hello) throws(HandshakeError) {
        guard dialer.role == .server else { return }
        guard self.authenticator.peers != nil else {
            throw .forbidden("this server has no cluster section and takes no peers: configure a cluster secret on both")
        }
        guard !(dialer.isControlLink && dialer.resume != nil) else {
            throw .malformed(WireError(.unexpected, "a control link has no session to resume"))
        }
    }

    private func authenticate(
        _ dialer: Hello, _ proof: Proof, _ transcript: HandshakeTranscript
    ) throws(HandshakeError) -> VerifiedToken? {
        let token: VerifiedToken? =
            switch dialer.method {
            case .token: try self.verifyToken(dialer, proof, transcript)
            case .certificate: try self.verifyCertificate(dialer)
            }
        if dialer.role == .server, let objection = PeerCheck.objection(to: dialer, of: self.party) {
            throw .objection(objection)
        }
        return token
    }

    /// Client tokens and cluster secrets are looked for in rings of their own: one of the other kind is an unknown one.
    private func verifyToken(
        _ dialer: Hello, _ proof: Proof, _ transcript: HandshakeTranscript
    ) throws(HandshakeError) -> VerifiedToken? {
        let candidate: TokenCandidate? =
            switch dialer.role {
            case .client: self.authenticator.tokens.lookup(dialer.tokenID)
            case .server: self.authenticator.peers?.secrets.lookup(dialer.tokenID)
            }
        guard let link = HandshakeProof(proof.link), let token = candidate?.verify(link, over: transcript) else {
            throw .authentication("wrong or unknown token from \(self.who(dialer))")
        }
        guard token.permits(client: dialer.name) else {
            throw .forbidden("the token \(token.id) is not for the client name \(dialer.name)")
        }
        return token
    }

    /// TLS has judged the certificate; here it has to be the dialer's own.
    private func verifyCertificate(_ dialer: Hello) throws(HandshakeError) -> VerifiedToken? {
        guard let identity = self.dialerCertificate else {
            throw .authentication("no certificate from \(self.who(dialer)), although it chose that method")
        }
        let needed: CertificateRole = dialer.role == .server ? .server : .client
        guard identity.role == needed else {
            throw .forbidden("the certificate is a \(identity.role.rawValue)'s, a \(needed.rawValue)'s is needed")
        }
        guard identity.name == dialer.name else {
            throw .forbidden("the certificate is for \(identity.name), not for \(dialer.name)")
        }
        guard dialer.role == .client || self.authenticator.peers?.acceptsCertificates == true else {
            throw .forbidden("this server knows its peers by a cluster secret: use one instead of the certificate")
        }
        return nil
    }

    private func who(_ dialer: Hello) -> String { "\(dialer.name) from \(self.address)" }
}
