import Crypto
import FoundationEssentials
import Testing

@testable import Identity

/// The test vector of `docs/protocol.md`, section 5.4: complete HELLO encodings, for a new session and for a resume.
///
/// The expected values were computed with Python's `hmac` and `hashlib` from the document's text alone:
///
///     def field(bytes): return struct.pack(">I", len(bytes)) + bytes
///     transcript = b"".join(map(field, [label, b"0a1b2c3d", dialer_hello, acceptor_hello, sha256(b"certificate").digest()]))
///     proof = hmac.new(key, transcript, "sha256").hexdigest()
@Suite struct ProtocolDocumentVectorTests {
    private static let helloStart = """
        0001000102 0108776f726b65722d31 101112131415161718191a1b1c1d1e1f 202122232425262728292a2b2c2d2e2f
        00 0000000000000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf
        08 3061316232633364 15 676f74756e6e656c2d636c69656e7420312e302e30
        """
    private static let newSession = "00"
    private static let resume = """
        01 404142434445464748494a4b4c4d4e4f 505152535455565758595a5b5c5d5e5f 0000000000011170
        """
    private static let acceptorHello = """
        0001000101 01087365727665722d61 303132333435363738393a3b3c3d3e3f 404142434445464748494a4b4c4d4e4f
        04 70726f64 0000000000000000 c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf
        00 15 676f74756e6e656c2d73657276657220312e302e30 00
        """

    private let key: AuthenticationKey
    private let begin: HandshakeTranscript
    private let resuming: HandshakeTranscript

    init() throws {
        let token = try Token("gt1_0a1b2c3d_" + plainHex)
        let acceptor = try Self.bytes(Self.acceptorHello)
        let certificate = CertificateFingerprint(ofDER: "certificate".utf8)
        self.key = AuthenticationKey(token, for: .clientToken)
        self.begin = HandshakeTranscript(
            tokenID: token.id, dialerHello: try Self.bytes(Self.helloStart + Self.newSession), acceptorHello: acceptor,
            certificate: certificate)
        self.resuming = HandshakeTranscript(
            tokenID: token.id, dialerHello: try Self.bytes(Self.helloStart + Self.resume), acceptorHello: acceptor,
            certificate: certificate)
    }

    private static func bytes(_ spacedHex: String) throws -> [UInt8] {
        try #require(Hex.bytes(spacedHex.filter { !$0.isWhitespace }))
    }

    @Test func transcriptIsTheDocumentedOne() throws {
        let encoded = self.begin.encoded(label: "gotunnel/1 dialer")
        #expect(encoded.count == 313)
        #expect(
            Hex.text(SHA256.hash(data: encoded)) == "78b4a031213a35f7afe356d9a79c3d1c92aa183a6ed2385f7b1a5fcb6621d525")
        let start = try Self.bytes("00000011 676f74756e6e656c2f31206469616c6572 00000008 3061316232633364 00000078 0001")
        #expect(Array(encoded.prefix(start.count)) == start)
    }

    @Test func linkProofsAreTheDocumentedOnes() {
        let key = self.key.proofKey.withUnsafeBytes { Hex.text($0) }
        #expect(key == "8040af923134b8201d27fb9e64f2653af67b9e6ba7f8479488a706e420333174")
        let expected: [(HandshakeTranscript, HandshakeSide, String)] = [
            (self.begin, .dialer, "a835189e6a25b6febeb09d569fecf65fbb484bd23b1d76d3ca828f9c6d67aee5"),
            (self.begin, .acceptor, "5c17e9207a185fd05de1d4d800c2f0d0e9c3a5f48362e3d1503325a17fbedb82"),
            (self.resuming, .dialer, "68337437d1b212b20ff50e247446fc513070724ea501f567801b6659f5e9e05e"),
            (self.resuming, .acceptor, "1907391e010b5561382e5ebc7bfada754fa01187648b8ca8a0ddaa29dd52ecf4"),
        ]
        for (transcript, side, proof) in expected {
            #expect(Hex.text(transcript.proof(for: side, key: self.key).bytes) == proof)
        }
    }

    @Test(arguments: [
        (HandshakeSide.dialer, "df7a09aeb2b130d647e125ca2a157ba033a2d3004da2ad4971eeebe2edc979a3"),
        (.acceptor, "7874f9a558f539f17fbe24f8ac28b9f561a52469f895760d4034a1bebe13c7a4"),
    ])
    func sessionProofsAreTheDocumentedOnes(side: HandshakeSide, expected: String) throws {
        let secret = try #require(SessionSecret((0..<32).map { 0xE0 + UInt8($0) }))
        #expect(Hex.text(self.resuming.resumeProof(for: side, secret: secret).bytes) == expected)
    }

    @Test func idOfABareTokenIsTheDocumentedOne() throws {
        #expect(try Token(plainHex).id == "de0c0165")
    }

    /// What is computed here is what the document prints.
    @Test func documentShowsTheseValues() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let document = String(decoding: try Data(contentsOf: root.appending(path: "docs/protocol.md")), as: UTF8.self)
            .filter { !$0.isWhitespace }
        let secret = try #require(SessionSecret((0..<32).map { 0xE0 + UInt8($0) }))
        var values = [Hex.text(self.begin.dialerHello), Hex.text(self.begin.acceptorHello)]
        values.append(Self.resume.filter { !$0.isWhitespace })
        values.append(self.begin.certificate.description)
        for side in HandshakeSide.allCases {
            values.append(Hex.text(self.begin.proof(for: side, key: self.key).bytes))
            values.append(Hex.text(self.resuming.proof(for: side, key: self.key).bytes))
            values.append(Hex.text(self.resuming.resumeProof(for: side, secret: secret).bytes))
        }
        for value in values { #expect(document.contains(value), "docs/protocol.md lacks \(value)") }
    }
}
