import Crypto
import FoundationEssentials
import SwiftASN1
import Testing
import X509

@testable import Identity

@Suite struct CertificateTrustTests {
    let authority: CertificateAuthority
    let trust: CertificateTrust

    init() throws {
        authority = try CertificateAuthority.create(cluster: "lab", at: testTime)
        trust = try CertificateTrust(pem: authority.certificatePEM, place: "ca.crt")
    }

    private func judge(
        _ chain: [[UInt8]], role: CertificateRole = .client, cluster: String? = "lab", side: HandshakeSide = .dialer,
        at now: Date = testTime
    ) async -> Result<CertificateIdentity, CertificateRefusal> {
        do {
            return .success(try await trust.verify(chain: chain, role: role, cluster: cluster, side: side, at: now))
        } catch {
            return .failure(error)
        }
    }

    private func isUntrusted(_ result: Result<CertificateIdentity, CertificateRefusal>, because words: String = "") -> Bool {
        guard case .failure(.untrusted(let reason)) = result else { return false }
        return words.isEmpty || reason.contains(words)
    }

    @Test func aClientIsBelieved() async throws {
        let issued = try authority.issue(role: .client, name: "k8s-worker-01", at: testTime)
        let expected = try CertificateIdentity(cluster: "lab", role: .client, name: "k8s-worker-01")
        #expect(await judge([issued.leafDER]) == .success(expected))
        #expect(await judge([issued.leafDER], cluster: nil) == .success(expected))
        #expect(issued.identity == expected)
        #expect(expected.description == "gotunnel://lab/client/k8s-worker-01")
    }

    @Test func aServerIsBelievedOnBothEnds() async throws {
        let issued = try authority.issue(
            role: .server, name: "c1", hostNames: ["c1.example.org", "10.0.0.11", "::1", "*.example.org"], at: testTime)
        for side in HandshakeSide.allCases {
            #expect(await judge([issued.leafDER], role: .server, side: side) == .success(issued.identity))
        }
        let names = try Certificate(derEncoded: issued.leafDER).extensions.subjectAlternativeNames.map(Array.init)
        let loopback = ASN1OctetString(contentBytes: ([UInt8](repeating: 0, count: 15) + [1])[...])
        #expect(
            names == [
                .uniformResourceIdentifier("gotunnel://lab/server/c1"), .dnsName("c1.example.org"),
                .ipAddress(ASN1OctetString(contentBytes: [10, 0, 0, 11])), .ipAddress(loopback), .dnsName("*.example.org"),
            ])
    }

    @Test func theAuthoritysOwnCertificateInTheChainDoesNoHarm() async throws {
        let issued = try authority.issue(role: .client, name: "a", at: testTime)
        let root = try PEMText.der(try #require(PEMText.certificates(authority.certificatePEM, place: "").first))
        #expect(await judge([issued.leafDER, root]) == .success(issued.identity))
    }

    @Test func anotherRoleOrClusterIsRefused() async throws {
        let client = try authority.issue(role: .client, name: "a", at: testTime).leafDER
        let server = try authority.issue(role: .server, name: "a", at: testTime).leafDER
        #expect(await judge([server]) == .failure(.wrongRole(.server, needed: .client)))
        #expect(await judge([client], role: .server) == .failure(.wrongRole(.client, needed: .server)))
        #expect(await judge([client], cluster: "prod") == .failure(.wrongCluster("lab")))
        #expect(isUntrusted(await judge([client], role: .server, side: .acceptor), because: "serverAuth"))
    }

    @Test func anotherAuthorityIsRefusedEvenWithTheSameName() async throws {
        let other = try CertificateAuthority.create(cluster: "lab", at: testTime)
        let leaf = try other.issue(role: .client, name: "a", at: testTime).leafDER
        #expect(isUntrusted(await judge([leaf])))
        let root = try PEMText.der(try #require(PEMText.certificates(other.certificatePEM, place: "").first))
        #expect(isUntrusted(await judge([leaf, root])))
        let both = try CertificateTrust(pem: authority.certificatePEM + other.certificatePEM, place: "ca.crt")
        let identity = try await both.verify(chain: [leaf], role: .client, cluster: "lab", side: .dialer, at: testTime)
        #expect(identity.name == "a")
    }

    @Test func timeDecides() async throws {
        let issued = try authority.issue(role: .client, name: "a", at: testTime, validDays: 30)
        let chain = [issued.leafDER]
        #expect(await judge(chain, at: testTime - day) == .success(issued.identity))
        #expect(await judge(chain, at: testTime + 30 * day) == .success(issued.identity))
        #expect(await judge(chain, at: testTime - day - 1) == .failure(.notYetValid(testTime - day)))
        #expect(await judge(chain, at: testTime + 30 * day + 1) == .failure(.expired(testTime + 30 * day)))
        let expired = CertificateRefusal.expired(testTime + 30 * day).description
        #expect(expired.contains("2026-03-31T12:00:00Z"))
    }

    @Test func anExpiredAuthorityIsRefused() async throws {
        let old = try CertificateAuthority.create(cluster: "lab", at: testTime, validDays: 10)
        let leaf = try old.issue(role: .client, name: "a", at: testTime, validDays: 100).leafDER
        let oldTrust = try CertificateTrust(pem: old.certificatePEM, place: "ca.crt")
        let inTime = try await oldTrust.verify(chain: [leaf], role: .client, cluster: "lab", side: .dialer, at: testTime)
        #expect(inTime.name == "a")
        let error = await #expect(throws: CertificateRefusal.self) {
            try await oldTrust.verify(chain: [leaf], role: .client, cluster: "lab", side: .dialer, at: testTime + 11 * day)
        }
        #expect(error?.description.contains("its authority expired on 2026-03-11T12:00:00Z (CN=gotunnel CA lab)") == true)
    }

    @Test func whatIsNoChainIsRefused() async throws {
        let leaf = try authority.issue(role: .client, name: "a", at: testTime).leafDER
        #expect(await judge([]) == .failure(.noCertificate))
        #expect(await judge([[]]) == .failure(.unreadable(index: 0)))
        #expect(await judge([leaf, [1, 2, 3]]) == .failure(.unreadable(index: 1)))
        #expect(await judge([leaf + [0]]) == .failure(.unreadable(index: 0)))
        #expect(await judge(Array(repeating: leaf, count: 9)) == .failure(.chainTooLong(9)))
        let huge = [UInt8](repeating: 0x30, count: CertificateTrust.maximumCertificateLength + 1)
        #expect(await judge([huge]) == .failure(.unreadable(index: 0)))
    }

    /// One changed bit anywhere in the certificate makes it unreadable, untrusted or somebody else's, never the same person.
    @Test func aChangedCertificateIsNeverBelieved() async throws {
        let leaf = try authority.issue(role: .client, name: "a", at: testTime).leafDER
        for index in stride(from: 0, to: leaf.count, by: 3) {
            var changed = leaf
            changed[index] ^= 0x04
            let result = await judge([changed])
            guard case .failure = result else {
                Issue.record("byte \(index) may be changed: \(result)")
                continue
            }
        }
    }

    @Test func anAuthorityIsNoClient() async throws {
        let root = try PEMText.der(try #require(PEMText.certificates(authority.certificatePEM, place: "").first))
        #expect(isUntrusted(await judge([root])))
    }

    @Test func aLeafIssuesNothing() async throws {
        let server = try authority.issue(role: .server, name: "evil", at: testTime)
        let key = P256.Signing.PrivateKey()
        let template = CertificateTemplate(
            commonName: "a", use: .leaf([.clientAuth]), alternativeNames: [.uniformResourceIdentifier("gotunnel://lab/client/a")],
            validDays: 10)
        let forged = try template.sign(
            publicKey: key.publicKey, issuer: try Certificate(derEncoded: server.leafDER),
            issuerKey: try Certificate.PrivateKey(pemEncoded: server.keyPEM), at: testTime)
        #expect(isUntrusted(await judge([try PEMText.der(forged), server.leafDER])))
    }

    @Test func onlyAuthoritiesAreTrustRoots() throws {
        let leaf = try authority.issue(role: .client, name: "a", at: testTime)
        for pem in ["", "nothing", leaf.certificatePEM, authority.certificatePEM + leaf.certificatePEM, authority.keyPEM] {
            #expect(problem { _ = try CertificateTrust(pem: pem, place: "ca.crt") }?.kind == .damaged)
        }
    }
}

@Suite struct CertificateIdentityTests {
    /// A self-signed certificate with these names.
    private func certificate(_ names: [GeneralName]) throws -> [UInt8] {
        let key = P256.Signing.PrivateKey()
        let template = CertificateTemplate(commonName: "a", use: .leaf([.clientAuth]), alternativeNames: names, validDays: 1)
        return try PEMText.der(
            template.sign(publicKey: key.publicKey, issuer: nil, issuerKey: Certificate.PrivateKey(key), at: testTime))
    }

    @Test func otherNamesDoNotMatter() throws {
        let der = try certificate([
            .dnsName("elsewhere"), .uniformResourceIdentifier("spiffe://lab/x"),
            .uniformResourceIdentifier("gotunnel://lab/client/w1"),
        ])
        #expect(try CertificateIdentity(leafDER: der) == CertificateIdentity(cluster: "lab", role: .client, name: "w1"))
    }

    @Test func noneAndSeveralAreRefused() throws {
        #expect(throws: CertificateIdentityError.none) { try CertificateIdentity(leafDER: try certificate([])) }
        #expect(throws: CertificateIdentityError.none) { try CertificateIdentity(leafDER: try certificate([.dnsName("client")])) }
        let two: [GeneralName] = ["gotunnel://lab/client/w1", "gotunnel://lab/server/w1"].map { .uniformResourceIdentifier($0) }
        #expect(throws: CertificateIdentityError.several(2)) { try CertificateIdentity(leafDER: try certificate(two)) }
        #expect(throws: CertificateIdentityError.notACertificate) { try CertificateIdentity(leafDER: [0x30, 0x00]) }
    }

    @Test(arguments: [
        "gotunnel://", "gotunnel://lab", "gotunnel://lab/client", "gotunnel://lab/client/", "gotunnel:///client/a",
        "gotunnel://lab//a",
        "gotunnel://lab/client/a/", "gotunnel://lab/client/a/b", "gotunnel://lab/Client/a", "gotunnel://lab/peer/a",
        "gotunnel://LAB/client/a", "gotunnel://lab/client/A", "gotunnel://lab/client/a?x", "gotunnel://lab/client/%61",
        "gotunnel://lab/client/a\n", "gotunnel://lab:1/client/a", "gotunnel://u@lab/client/a",
    ])
    func malformedNamesAreRefused(uri: String) throws {
        let expected = CertificateIdentityError.malformed(PrintableText.sanitize(uri))
        #expect(throws: expected) { try CertificateIdentity(uri: uri) }
        #expect(throws: expected) { try CertificateIdentity(leafDER: try certificate([.uniformResourceIdentifier(uri)])) }
    }
}

@Suite struct PKIDirectoryTests {
    let directory: TemporaryDirectory
    let pki: PKIDirectory

    init() throws {
        directory = try TemporaryDirectory()
        pki = PKIDirectory(directory.file("pki"))
    }

    @Test func whatIsWrittenWorksAfterwards() async throws {
        let authority = try pki.initialise(cluster: "lab", at: testTime)
        let paths = try pki.issue(role: .client, name: "w1", at: testTime)
        #expect(paths.certificate.hasSuffix("/pki/client-w1.crt"))
        for name in ["ca.crt", "ca.key", "client-w1.crt", "client-w1.key"] { #expect(directory.mode("pki/\(name)") == 0o600) }
        #expect(directory.mode("pki") == 0o700)
        let trust = try CertificateTrust(pem: try directory.text("pki/ca.crt"), place: "ca.crt")
        let leaf = try Certificate(pemEncoded: try directory.text("pki/client-w1.crt"))
        let key = try P256.Signing.PrivateKey(pemRepresentation: try directory.text("pki/client-w1.key"))
        #expect(leaf.publicKey == Certificate.PublicKey(key.publicKey))
        let chain = [try PEMText.der(leaf)]
        let identity = try await trust.verify(chain: chain, role: .client, cluster: "lab", side: .dialer, at: testTime)
        #expect(identity.name == "w1")
        #expect(try pki.authority().certificatePEM == authority.certificatePEM)
        #expect(try pki.authority().cluster == "lab")
    }

    @Test func nothingIsOverwritten() throws {
        try pki.initialise(cluster: "lab", at: testTime)
        _ = try pki.issue(role: .client, name: "w1", at: testTime)
        let before = try ["ca.crt", "ca.key", "client-w1.crt", "client-w1.key"].map { try directory.text("pki/\($0)") }
        #expect(problem { try pki.initialise(cluster: "lab", at: testTime) }?.kind == .exists)
        #expect(problem { _ = try pki.issue(role: .client, name: "w1", at: testTime) }?.kind == .exists)
        #expect(try ["ca.crt", "ca.key", "client-w1.crt", "client-w1.key"].map { try directory.text("pki/\($0)") } == before)
        #expect(throws: Never.self) { try pki.issue(role: .server, name: "w1", at: testTime) }
    }

    @Test func mistakesAreNamed() throws {
        #expect(problem { _ = try pki.issue(role: .client, name: "w1", at: testTime) }?.kind == .missing)
        #expect(problem { try pki.initialise(cluster: "Not A Name", at: testTime) }?.kind == .badName)
        try pki.initialise(cluster: "lab", at: testTime)
        #expect(problem { _ = try pki.issue(role: .client, name: "w_1", at: testTime) }?.kind == .badName)
        #expect(problem { _ = try pki.issue(role: .client, name: "../w1", at: testTime) }?.kind == .badName)
        let badHost = problem { _ = try pki.issue(role: .server, name: "w1", hostNames: ["no good"], at: testTime) }
        #expect(badHost?.kind == .badName)
        #expect(try FileManager.default.contentsOfDirectory(atPath: pki.path).sorted() == ["ca.crt", "ca.key"])
    }

    @Test func aDamagedAuthorityIsRefused() throws {
        try pki.initialise(cluster: "lab", at: testTime)
        let key = try directory.text("pki/ca.key")
        try directory.put(P256.Signing.PrivateKey().pemRepresentation, at: "pki/ca.key")
        #expect(problem { _ = try pki.authority() }?.kind == .mismatch)
        try directory.put(key, at: "pki/ca.key", mode: 0o644)
        #expect(problem { _ = try pki.authority() }?.kind == .tooOpen)
        try directory.put(key, at: "pki/ca.key")
        #expect(throws: Never.self) { try pki.authority() }
        // A leaf with its own key is no authority.
        let paths = try pki.issue(role: .client, name: "w1", at: testTime)
        let leaf = try ServerCertificate.load(certificate: paths.certificate, key: paths.key)
        #expect(
            problem {
                _ = try CertificateAuthority.load(certificatePEM: leaf.certificatePEM, keyPEM: leaf.keyPEM, place: "x")
            }?.kind == .damaged)
    }

    @Test func nothingPrintsAKey() throws {
        let authority = try pki.initialise(cluster: "lab", at: testTime)
        let issued = try authority.issue(role: .client, name: "w1", at: testTime)
        var dumped = ""
        dump((authority, issued), to: &dumped)
        #expect(!"\(authority) \(issued) \(dumped)".contains("PRIVATE"))
    }
}
