import Crypto
import FoundationEssentials
import SwiftASN1
import Testing
import X509

@testable import Identity

@Suite struct ServerCertificateTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func load(name: String = "controller-1", at now: Date = testTime) throws -> ServerCertificate {
        try ServerCertificate.loadOrCreate(directory: directory.path, name: name, at: now)
    }

    @Test func theFirstStartMakesWhatTheNoteSays() throws {
        let made = try load()
        let leaf = try Certificate(derEncoded: made.leafDER)
        #expect(leaf.subject.description == "CN=controller-1")
        #expect(leaf.issuer == leaf.subject)
        #expect(leaf.publicKey.isValidSignature(leaf.signature, for: leaf))
        #expect(P256.Signing.PublicKey(leaf.publicKey) != nil)
        #expect(leaf.signatureAlgorithm == .ecdsaWithSHA256)
        #expect(leaf.serialNumber.bytes.count == 16)
        #expect(leaf.notValidBefore == testTime - day)
        #expect(leaf.notValidAfter == testTime + 3653 * day)
        #expect(made.expires == leaf.notValidAfter)
        #expect(try leaf.extensions.subjectAlternativeNames.map(Array.init) == [.dnsName("controller-1")])
        #expect(try leaf.extensions.extendedKeyUsage.map(Array.init) == [.serverAuth])
        #expect(try leaf.extensions.keyUsage == KeyUsage(digitalSignature: true))
        #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
        #expect(made.fingerprint.bytes == Array(SHA256.hash(data: made.leafDER)))
        #expect(made.fingerprint.description.utf8.count == 64)
    }

    @Test func theFilesHoldThePairAndOnlyTheOwnerReadsTheKey() throws {
        let made = try load()
        #expect(try directory.names() == ["server.crt", "server.key"])
        #expect(directory.mode("server.crt") == 0o644)
        #expect(directory.mode("server.key") == 0o600)
        #expect(try directory.text("server.crt") == made.certificatePEM)
        #expect(try directory.text("server.key") == made.keyPEM)
        #expect(made.keyPEM.hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        #expect(made.certificatePEM.hasPrefix("-----BEGIN CERTIFICATE-----\n"))
        let key = try P256.Signing.PrivateKey(pemRepresentation: made.keyPEM)
        #expect(Certificate.PublicKey(key.publicKey) == (try Certificate(derEncoded: made.leafDER)).publicKey)
    }

    @Test func laterStartsKeepThePair() throws {
        let first = try load()
        let second = try load(name: "renamed", at: testTime + 5000 * day)
        #expect(second.leafDER == first.leafDER)
        #expect(second.certificatePEM == first.certificatePEM)
        #expect(second.keyPEM == first.keyPEM)
        #expect(second.fingerprint == first.fingerprint)
        #expect(second.expires == first.expires)
    }

    @Test func aStartInterruptedAfterTheKeyIsCompleted() throws {
        let first = try load()
        try FileManager.default.removeItem(atPath: directory.file("server.crt"))
        let healed = try load()
        #expect(healed.keyPEM == first.keyPEM)
        #expect(try Certificate(derEncoded: healed.leafDER).publicKey == Certificate(derEncoded: first.leafDER).publicKey)
        #expect(try load().fingerprint == healed.fingerprint)
    }

    @Test func theDirectoryIsMadeForTheOwnerAlone() throws {
        _ = try ServerCertificate.loadOrCreate(directory: directory.file("deep/state"), name: "a", at: testTime)
        #expect(directory.mode("deep/state") == 0o700)
    }

    /// Each damage, and what is said of it. Nothing may be overwritten.
    @Test(arguments: [
        ("server.crt", "", IdentityProblem.Kind.damaged), ("server.crt", "no certificate", .damaged),
        ("server.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", .damaged), ("server.key", "", .damaged),
        ("server.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", .damaged),
        ("server.key", P256.Signing.PrivateKey().pemRepresentation, .mismatch),
    ])
    func damagedPairsAreRefused(name: String, contents: String, kind: IdentityProblem.Kind) throws {
        _ = try load()
        try directory.put(contents, at: name)
        let before = try [directory.text("server.crt"), directory.text("server.key")]
        let refusal = problem { _ = try load() }
        #expect(refusal?.kind == kind)
        #expect(refusal?.place == directory.file(name))
        #expect(try [directory.text("server.crt"), directory.text("server.key")] == before)
    }

    @Test func aTruncatedKeyAloneIsNotReplaced() throws {
        try directory.put("-----BEGIN PRIVATE", at: "server.key")
        #expect(problem { _ = try load() }?.kind == .damaged)
        #expect(try directory.names() == ["server.key"])
    }

    @Test func aCertificateWithoutItsKeyIsNotReplaced() throws {
        _ = try load()
        try FileManager.default.removeItem(atPath: directory.file("server.key"))
        #expect(problem { _ = try load() }?.kind == .missing)
        #expect(try directory.names() == ["server.crt"])
    }

    @Test func aKeyThatOthersMayReadIsRefused() throws {
        let made = try load()
        try directory.put(made.keyPEM, at: "server.key", mode: 0o640)
        #expect(problem { _ = try load() }?.kind == .tooOpen)
    }

    @Test(arguments: ["", "UPPER", "under_score", "a b", "-a"])
    func badNamesAreRefused(name: String) {
        #expect(problem { _ = try load(name: name) }?.kind == .badName)
    }

    @Test func aLongNameIsCutOnlyWhereX509AllowsNoMore() throws {
        let name = String(repeating: "a", count: 60) + "." + String(repeating: "b", count: 60)
        let leaf = try Certificate(derEncoded: load(name: name).leafDER)
        #expect(leaf.subject.description == "CN=" + name.prefix(64))
        #expect(try leaf.extensions.subjectAlternativeNames.map(Array.init) == [.dnsName(name)])
    }

    @Test func aConfiguredPairIsLoaded() throws {
        let pki = PKIDirectory(directory.path)
        let authority = try pki.initialise(cluster: "lab", at: testTime)
        let paths = try pki.issue(role: .server, name: "controller-1", hostNames: ["tunnel.example.org"], at: testTime)
        let loaded = try ServerCertificate.load(certificate: paths.certificate, key: paths.key)
        #expect(try CertificateIdentity(leafDER: loaded.leafDER).description == "gotunnel://lab/server/controller-1")
        // A chain: the fingerprint is the leaf's, and the PEM text stays whole.
        try directory.put(loaded.certificatePEM + authority.certificatePEM, at: "chain.crt")
        let chain = try ServerCertificate.load(certificate: directory.file("chain.crt"), key: paths.key)
        #expect(chain.fingerprint == loaded.fingerprint)
        #expect(chain.certificatePEM == loaded.certificatePEM + authority.certificatePEM)
    }

    @Test func aConfiguredPairIsCheckedLikeOurOwn() throws {
        let made = try load()
        let certificate = directory.file("server.crt")
        let none = directory.file("none")
        #expect(
            problem { _ = try ServerCertificate.load(certificate: none, key: directory.file("server.key")) }?.kind == .missing)
        #expect(problem { _ = try ServerCertificate.load(certificate: certificate, key: none) }?.kind == .missing)
        try directory.put(made.keyPEM, at: "open.key", mode: 0o444)
        let open = directory.file("open.key")
        #expect(problem { _ = try ServerCertificate.load(certificate: certificate, key: open) }?.kind == .tooOpen)
        let exempt = try ServerCertificate.load(certificate: certificate, key: open, credentials: directory.path)
        #expect(exempt.fingerprint == made.fingerprint)
    }

    /// A pair as `openssl ecparam -genkey` and `openssl x509 -text` write it: with text, parameters and CRLF around.
    @Test func openSSLsWayOfWritingIsUnderstood() throws {
        let made = try load()
        let key = try P256.Signing.PrivateKey(pemRepresentation: made.keyPEM)
        let sec1 = try Certificate.PrivateKey(key).serializeAsPEM().pemString
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        try directory.put(parameters + sec1 + "\n", at: "ec.key")
        let text = "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + made.certificatePEM
        try directory.put(text.replacing("\n", with: "\r\n"), at: "text.crt")
        let loaded = try ServerCertificate.load(certificate: directory.file("text.crt"), key: directory.file("ec.key"))
        #expect(loaded.leafDER == made.leafDER)
    }

    @Test func nothingPrintsTheKey() throws {
        let made = try load()
        var dumped = ""
        dump(made, to: &dumped)
        let printed = "\(made) \(String(reflecting: made)) \([made]) \(dumped)"
        #expect(!printed.contains("PRIVATE"))
        #expect(printed.contains(made.fingerprint.description))
    }
}

@Suite struct CertificatePinTests {
    let fingerprint = CertificateFingerprint(ofDER: [1, 2, 3])

    @Test func allSpellingsOfAPinAreOne() throws {
        let text = fingerprint.description
        let colons = stride(from: 0, to: 64, by: 2)
            .map { String(text.dropFirst($0).prefix(2)) }.joined(separator: ":")
        for spelling in [
            text, text.uppercased(), "sha256:\(text)", "SHA256:\(text)", colons, colons.uppercased(), "sha256:\(colons)",
        ] {
            #expect(try CertificateFingerprint(spelling) == fingerprint, "\(spelling)")
        }
    }

    @Test func othersAreRefused() {
        let text = fingerprint.description
        for wrong in [
            "", "sha256:", String(text.dropLast()), text + "0", text + "00", "sha1:\(text)", " \(text)", text.dropLast() + "g",
            ":\(text)", "\(text):", "\(text.prefix(1)):\(text.dropFirst())", "sha256:sha256:\(text)", "\u{1B}[2J",
        ] {
            let error = #expect(throws: CertificateFingerprint.PinError.self) { try CertificateFingerprint(wrong) }
            #expect(error?.description.utf8.allSatisfy { (0x20...0x7E).contains($0) } == true)
        }
    }

    @Test func pinsAcceptOnlyThemselvesAndNoneAcceptsAll() {
        let other = CertificateFingerprint(ofDER: [1, 2, 4])
        #expect(CertificatePins([]).accept(other))
        #expect(CertificatePins([fingerprint]).accept(fingerprint))
        #expect(!CertificatePins([fingerprint]).accept(other))
        #expect(CertificatePins([fingerprint, other]).accept(other))
    }
}
