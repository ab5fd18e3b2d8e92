import Crypto
import Testing

@testable import Identity

@Suite struct TokenRingTests {
    let first: Token
    let second: Token

    init() throws {
        first = try Token("gt1_00000001_" + plainHex)
        second = try Token("gt1_00000002_" + otherHex)
    }

    private func ring(_ entries: [TokenRing.Entry], distinctFrom others: [Token] = [], seed: UInt64 = 1) throws -> TokenRing {
        var generator = SeededGenerator(seed: seed)
        return try TokenRing(entries, for: .clientToken, distinctFrom: others, using: &generator)
    }

    private func transcript(_ id: String) -> HandshakeTranscript {
        HandshakeTranscript(
            tokenID: id, dialerHello: [1], acceptorHello: [2], certificate: CertificateFingerprint(ofDER: [3]))
    }

    private func verify(_ token: Token, claiming id: String, in ring: TokenRing) -> VerifiedToken? {
        let proof = transcript(id).proof(for: .dialer, key: AuthenticationKey(token, for: .clientToken))
        return ring.lookup(id).verify(proof, over: transcript(id))
    }

    @Test func aHeldTokenIsVerifiedAndNamed() throws {
        let ring = try ring([.init(first, label: "racks"), .init(second, clients: [try NamePattern("k8s-*")])])
        let verified = try #require(verify(first, claiming: first.id, in: ring))
        #expect(verified.id == first.id)
        #expect(verified.label == "racks")
        // The acceptor answers with a proof that the dialer, who has only the token, can verify.
        let answer = transcript(first.id).proof(for: .acceptor, key: verified.key)
        let dialersKey = AuthenticationKey(first, for: .clientToken)
        #expect(transcript(first.id).verify(answer, for: .acceptor, key: dialersKey))
        #expect(ring.ids == [first.id, second.id])
    }

    @Test func wrongTokenAndUnknownIDAreTheSameNothing() throws {
        let ring = try ring([.init(first)])
        #expect(verify(second, claiming: first.id, in: ring) == nil)
        #expect(verify(second, claiming: second.id, in: ring) == nil)
        #expect(verify(first, claiming: "", in: ring) == nil)
        #expect(verify(first, claiming: second.id, in: ring) == nil, "the right secret under a wrong id")
    }

    /// The decoy's own key is the hardest case: the proof itself is right, and still nobody is accepted.
    @Test func anUnknownIDIsVerifiedAgainstARandomKeyAndNeverAccepted() throws {
        let unknown = transcript("ffffffff")
        for seed in [UInt64(1), 2] {
            let candidate = try ring([.init(first)], seed: seed).lookup("ffffffff")
            var generator = SeededGenerator(seed: seed)
            let decoy = AuthenticationKey(
                tokenID: "", material: SymmetricKey(data: generator.bytes(32)), purpose: .clientToken)
            #expect(candidate.key.proofKey == decoy.proofKey)
            #expect(candidate.verify(unknown.proof(for: .dialer, key: decoy), over: unknown) == nil)
        }
    }

    @Test func anEmptyRingAcceptsNobody() throws {
        #expect(verify(first, claiming: first.id, in: try ring([])) == nil)
    }

    @Test func bindingDecidesTheNames() throws {
        let bound = TokenRing.Entry(second, clients: [try NamePattern("k8s-*"), try NamePattern("db")])
        let ring = try ring([.init(first), bound])
        let shared = try #require(verify(first, claiming: first.id, in: ring))
        #expect(shared.isShared)
        #expect(shared.permits(client: "anything"))
        let restricted = try #require(verify(second, claiming: second.id, in: ring))
        #expect(!restricted.isShared)
        for (name, expected) in [("k8s-1", true), ("db", true), ("db2", false), ("xk8s-1", false), ("", false)] {
            #expect(restricted.permits(client: name) == expected, "\(name)")
            #expect(ring.stillPermits(tokenID: second.id, client: name) == expected, "\(name)")
        }
        #expect(ring.sharedIDs == [first.id])
    }

    @Test func anEmptyBindingPermitsNobody() throws {
        let ring = try ring([.init(first, clients: [])])
        let verified = try #require(verify(first, claiming: first.id, in: ring))
        #expect(!verified.isShared)
        #expect(!verified.permits(client: "anything"))
    }

    @Test func aReloadSaysWhoseSessionsEnd() throws {
        let renewed = try Token("gt1_00000001_" + otherHex.replacing("ff", with: "ee"))
        let both = try ring([.init(first), .init(second)])
        #expect(both.removedIDs(by: try ring([.init(second), .init(first)], seed: 9)) == [])
        #expect(both.removedIDs(by: try ring([.init(second)])) == [first.id])
        #expect(both.removedIDs(by: try ring([])) == [first.id, second.id])
        #expect(both.removedIDs(by: try ring([.init(renewed), .init(second)])) == [first.id], "the id stays, its secret changed")
        #expect(try ring([]).removedIDs(by: both) == [])
        #expect(try !ring([.init(second)]).stillPermits(tokenID: first.id, client: "a"))
    }

    @Test func doubtfulSetsAreRefused() throws {
        let sameID = try Token("gt1_00000001_" + otherHex)
        #expect(throws: TokenRingError.duplicateID(first.id)) { try ring([.init(first), .init(sameID)]) }
        let sameSecret = try Token("gt1_00000002_" + plainHex)
        #expect(throws: TokenRingError.sameSecret(id: first.id, otherID: second.id)) {
            try ring([.init(first), .init(sameSecret)])
        }
        #expect(throws: TokenRingError.sameSecret(id: first.id, otherID: first.id)) { try ring([.init(first), .init(first)]) }
        // A cluster secret equal to a token, in whichever form each is written.
        for secret in [first.reveal(), plainHex, plainHex.uppercased()] {
            #expect(throws: TokenRingError.servesTwoPurposes(id: first.id)) {
                try ring([.init(second), .init(first)], distinctFrom: [try Token(secret)])
            }
        }
        #expect(throws: Never.self) { try ring([.init(first)], distinctFrom: [second]) }
    }

    @Test func aClientTokenIsOfNoUseAmongPeers() throws {
        var generator = SeededGenerator(seed: 1)
        let peers = try TokenRing([.init(first)], for: .clusterSecret, using: &generator)
        #expect(verify(first, claiming: first.id, in: peers) == nil)
        let proof = transcript(first.id).proof(for: .dialer, key: AuthenticationKey(first, for: .clusterSecret))
        #expect(peers.lookup(first.id).verify(proof, over: transcript(first.id)) != nil)
    }
}
