import Testing

@testable import Identity

/// Client tokens and cluster secrets never stand for each other.
@Suite struct PurposeTests {
    private static let text = "gt1_0a1b2c3d_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

    private func transcript(dialer: [UInt8]) -> HandshakeTranscript {
        HandshakeTranscript(
            tokenID: "0a1b2c3d", dialerHello: dialer, acceptorHello: [2], certificate: CertificateFingerprint(ofDER: [3]))
    }

    @Test func oneSecretHasAKeyForEachPurpose() throws {
        let token = try Token(Self.text)
        let transcript = self.transcript(dialer: [1])
        let (client, peer) = (AuthenticationKey(token, for: .clientToken), AuthenticationKey(token, for: .clusterSecret))
        for side in HandshakeSide.allCases {
            let proof = transcript.proof(for: side, key: peer)
            #expect(transcript.verify(proof, for: side, key: peer))
            #expect(!transcript.verify(proof, for: side, key: client))
            #expect(!transcript.verify(transcript.proof(for: side, key: client), for: side, key: peer))
        }
    }

    /// The role is a byte of the HELLO, and the HELLO is in the proof.
    @Test func aProofIsForOneHello() throws {
        let key = AuthenticationKey(try Token(Self.text), for: .clusterSecret)
        let proof = self.transcript(dialer: [0, 1, 0, 1, 1]).proof(for: .dialer, key: key)
        #expect(!self.transcript(dialer: [0, 1, 0, 1, 2]).verify(proof, for: .dialer, key: key))
    }

    @Test func aRingOfOnePurposeDoesNotKnowTheOther() throws {
        var rng = SystemRandomNumberGenerator()
        let token = try Token(Self.text)
        let ring = try TokenRing([TokenRing.Entry(token)], for: .clusterSecret, using: &rng)
        let transcript = self.transcript(dialer: [1])
        let right = transcript.proof(for: .dialer, key: AuthenticationKey(token, for: .clusterSecret))
        let wrong = transcript.proof(for: .dialer, key: AuthenticationKey(token, for: .clientToken))
        #expect(ring.lookup("0a1b2c3d").verify(right, over: transcript)?.id == "0a1b2c3d")
        #expect(ring.lookup("0a1b2c3d").verify(wrong, over: transcript) == nil)
        #expect(ring.lookup("ffffffff").verify(right, over: transcript) == nil)
    }
}
