import Crypto
import Testing

@testable import Identity

/// The known answers were computed with Python's `hmac` and `hashlib`, apart from this code:
///
///     def hkdf(ikm, info, salt=b""):
///         prk = hmac.new(salt or bytes(32), ikm, "sha256").digest()
///         return hmac.new(prk, info + b"\x01", "sha256").digest()
///     def transcript(label):
///         fields = label, b"0a1b2c3d", b"dialer hello", b"acceptor hello", sha256(b"certificate").digest()
///         return b"".join(struct.pack(">I", len(f)) + f for f in fields)
///     key = hkdf(b"000102…1f", b"gotunnel/1 client token")
///     proof = hmac.new(key, transcript(b"gotunnel/1 dialer"), "sha256").hexdigest()
///     session = hkdf(b"000102…1f", b"gotunnel/1 session", salt=sha256(transcript(b"gotunnel/1 session")).digest())
@Suite struct HandshakeTests {
    let token: Token
    let transcript: HandshakeTranscript

    init() throws {
        token = try Token("gt1_0a1b2c3d_" + plainHex)
        transcript = HandshakeTranscript(
            tokenID: token.id, dialerHello: "dialer hello".utf8, acceptorHello: "acceptor hello".utf8,
            certificate: CertificateFingerprint(ofDER: "certificate".utf8))
    }

    @Test func fingerprintIsSHA256() {
        #expect(transcript.certificate.description == "03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72")
    }

    @Test(arguments: [
        (KeyPurpose.clientToken, "8040af923134b8201d27fb9e64f2653af67b9e6ba7f8479488a706e420333174"),
        (.clusterSecret, "9e22c06406b3f3909ccee923a67c21b23c61aa143eff33e785bd2bbd8f562edd"),
    ])
    func keysAreTheKnownOnes(purpose: KeyPurpose, expected: String) {
        let key = AuthenticationKey(token, for: purpose).proofKey
        #expect(key.withUnsafeBytes { Hex.text($0) } == expected)
    }

    @Test(arguments: [
        (KeyPurpose.clientToken, HandshakeSide.dialer, "4a4dd308e4ad90226e4696ea1ad7da8f4c0ebff7aae00c691c8395bdcd13b1ef"),
        (.clientToken, .acceptor, "b11fe03dfeca69f138106d1b35595894434799368cd2d07710d2018efeb10e04"),
        (.clusterSecret, .dialer, "8c8d2e9fe134991de6abe3f61128f32667dd613fa0bb10bba6c7daaa50d57fa9"),
        (.clusterSecret, .acceptor, "22e214dda7d0d37c54b92a6fc8768999835111b61ebbba68d3ed83fc638113a7"),
    ])
    func proofsAreTheKnownOnes(purpose: KeyPurpose, side: HandshakeSide, expected: String) throws {
        let key = AuthenticationKey(token, for: purpose)
        #expect(Hex.text(transcript.proof(for: side, key: key).bytes) == expected)
        let received = try #require(Hex.bytes(expected).flatMap { HandshakeProof($0) })
        #expect(transcript.verify(received, for: side, key: key))
    }

    @Test(arguments: [
        (HandshakeSide.dialer, "9a7efc2ddb1eb4dbc370f5d60d4a69517f2424ec2b8a26a0560881c5a77df0aa"),
        (.acceptor, "774655c3a3d046422f21fc132b1c88e0113a339426e19d55844341e2787a909f"),
    ])
    func resumeProofsAreTheKnownOnes(side: HandshakeSide, expected: String) throws {
        let secret = try Self.sessionSecret()
        let proof = transcript.resumeProof(for: side, secret: secret)
        #expect(Hex.text(proof.bytes) == expected)
        #expect(transcript.verifyResume(proof, for: side, secret: secret))
    }

    private static func sessionSecret() throws -> SessionSecret {
        let bytes = try #require(Hex.bytes("fa4d7def73cd34c5b1eea9181d259b5250a1fc319d8cc0e5839e549133f26dd8"))
        return try #require(SessionSecret(bytes))
    }

    /// Every transcript that differs from the true one in one place: what an attacker would have to pass off.
    private var mutants: [(what: String, transcript: HandshakeTranscript)] {
        var mutants: [(String, HandshakeTranscript)] = []
        func add(_ what: String, _ change: (inout HandshakeTranscript) -> Void) {
            var mutant = transcript
            change(&mutant)
            mutants.append((what, mutant))
        }
        add("another token id") { $0.tokenID = "0a1b2c3e" }
        add("no token id") { $0.tokenID = "" }
        for index in transcript.dialerHello.indices { add("dialer HELLO, byte \(index)") { $0.dialerHello[index] ^= 1 } }
        for index in transcript.acceptorHello.indices { add("acceptor HELLO, byte \(index)") { $0.acceptorHello[index] ^= 0x80 } }
        add("a longer dialer HELLO") { $0.dialerHello.append(0) }
        add("a shorter acceptor HELLO") { $0.acceptorHello.removeLast() }
        add("the HELLOs exchanged") { swap(&$0.dialerHello, &$0.acceptorHello) }
        add("a byte moved from one field to the next") { $0.acceptorHello.insert($0.dialerHello.removeLast(), at: 0) }
        add("a byte moved from the token id to the HELLO") {
            $0.dialerHello = Array($0.tokenID.removeLast().utf8) + $0.dialerHello
        }
        add("a man in the middle's certificate") { $0.certificate = CertificateFingerprint(ofDER: "certificatf".utf8) }
        return mutants
    }

    @Test(arguments: HandshakeSide.allCases)
    func noOtherTranscriptFitsTheProof(side: HandshakeSide) throws {
        let key = AuthenticationKey(token, for: .clientToken)
        let secret = try Self.sessionSecret()
        let proof = transcript.proof(for: side, key: key)
        let resume = transcript.resumeProof(for: side, secret: secret)
        for (what, mutant) in mutants {
            #expect(!mutant.verify(proof, for: side, key: key), "\(what)")
            #expect(!mutant.verifyResume(resume, for: side, secret: secret), "\(what)")
        }
    }

    @Test func noOtherLabelFitsTheProof() throws {
        let key = AuthenticationKey(token, for: .clientToken)
        let dialers = transcript.proof(for: .dialer, key: key)
        #expect(transcript.verify(dialers, for: .dialer, key: key))
        #expect(!transcript.verify(dialers, for: .acceptor, key: key), "a reflected proof")
        // The same key under all labels, so that only the label can tell them apart.
        let secret = try #require(SessionSecret(key.proofKey.withUnsafeBytes { Array($0) }))
        #expect(!transcript.verifyResume(dialers, for: .dialer, secret: secret))
        #expect(!transcript.verify(transcript.resumeProof(for: .dialer, secret: secret), for: .dialer, key: key))
        #expect(!transcript.verifyResume(transcript.resumeProof(for: .dialer, secret: secret), for: .acceptor, secret: secret))
    }

    @Test func noOtherKeyFitsTheProof() throws {
        let key = AuthenticationKey(token, for: .clientToken)
        let proof = transcript.proof(for: .dialer, key: key)
        #expect(!transcript.verify(proof, for: .dialer, key: AuthenticationKey(token, for: .clusterSecret)))
        let other = try Token("gt1_0a1b2c3d_" + otherHex)
        #expect(!transcript.verify(proof, for: .dialer, key: AuthenticationKey(other, for: .clientToken)))
    }

    @Test func everyBitOfAProofCounts() throws {
        let key = AuthenticationKey(token, for: .clientToken)
        let proof = transcript.proof(for: .dialer, key: key)
        for bit in 0..<256 {
            var bytes = proof.bytes
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(!transcript.verify(try #require(HandshakeProof(bytes)), for: .dialer, key: key))
        }
    }

    @Test func proofsAndSecretsHaveOneLength() {
        for length in [0, 31, 33, 1000] {
            #expect(HandshakeProof([UInt8](repeating: 1, count: length)) == nil)
            #expect(SessionSecret([UInt8](repeating: 1, count: length)) == nil)
        }
        var generator = SeededGenerator(seed: 3)
        let secret = SessionSecret.generate(using: &generator)
        #expect(SessionSecret(secret.reveal())?.reveal() == secret.reveal())
    }
}
