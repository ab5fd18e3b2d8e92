import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// The certificate that a server shows and the key that belongs to it.
package struct ServerCertificate: Sendable {
    /// The chain as PEM text, the leaf first.
    package let certificatePEM: String
    /// The private key as PEM text: a secret.
    package let keyPEM: String
    /// The leaf's complete encoding.
    package let leafDER: [UInt8]
    /// What clients pin and what proofs are bound to.
    package let fingerprint: CertificateFingerprint
    /// The end of the leaf's validity.
    package let expires: Date

    package static let certificateFile = "server.crt"
    package static let keyFile = "server.key"
    /// How long a self-signed certificate is valid: ten years, because pins and proofs vouch for it, not its date.
    package static let validDays = 3653

    /// The server's own self-signed certificate, made on the first start: ECDSA P-256, for the DNS name `name`.
    ///
    /// The key is written first, so a start that was interrupted between the two files finds the key and completes the pair.
    /// Whatever else is wrong with the files is an error, and nothing is overwritten: clients may have pinned the certificate.
    ///
    /// - Parameters:
    ///   - directory: the state directory; made with mode 0700 if it does not exist.
    ///   - name: the server's name (RFC 1123).
    ///   - now: the certificate is valid from a day before it.
    package static func loadOrCreate(
        directory: String, name: String, at now: Date
    ) throws(IdentityProblem) -> ServerCertificate {
        try HostName.check(name, what: "server name")
        try StateFile.makeDirectory(directory)
        let certificatePath = "\(directory)/\(certificateFile)"
        let keyPath = "\(directory)/\(keyFile)"
        let certificate = try StateFile.read(certificatePath, as: .open)
        switch (certificate, try StateFile.read(keyPath)) {
        case (let certificate?, let key?):
            return try ServerCertificate(certificate: certificate, key: key)
        case (nil, let key?):
            return try create(certificatePath, key: try selfSigningKey(key), name: name, now: now)
        case (.some, nil):
            throw IdentityProblem(
                .missing, at: keyPath, "is missing while \(certificateFile) is there",
                mend: "restore it, or remove \(certificateFile) for a new pair (clients that pin the old one need the new pin)")
        case (nil, nil):
            let key = P256.Signing.PrivateKey()
            try StateFile.write(Array("\(key.pemRepresentation)\n".utf8), to: keyPath, mode: 0o600)
            return try create(certificatePath, key: key, name: name, now: now)
        }
    }

    /// A certificate and key that the configuration names (`tls.certificate`, `tls.key`).
    ///
    /// - Parameter credentials: `$CREDENTIALS_DIRECTORY`, inside which a key may have any mode.
    package static func load(
        certificate certificatePath: String, key keyPath: String, credentials: String? = nil
    ) throws(IdentityProblem) -> ServerCertificate {
        let mend = "correct the path in the configuration"
        guard let certificate = try StateFile.read(certificatePath, as: .open) else {
            throw IdentityProblem(.missing, at: certificatePath, "does not exist", mend: mend)
        }
        guard let key = try StateFile.read(keyPath, as: .secret(exempt: credentials)) else {
            throw IdentityProblem(.missing, at: keyPath, "does not exist", mend: mend)
        }
        return try ServerCertificate(certificate: certificate, key: key)
    }

    private init(certificate: StateFile, key: StateFile) throws(IdentityProblem) {
        let chain = try PEMText.certificates(certificate.text, place: certificate.path)
        let privateKey = try PEMText.privateKey(key.text, place: key.path)
        guard let leaf = chain.first, let der = try? PEMText.der(leaf) else {
            throw IdentityProblem(.damaged, at: certificate.path, "cannot be encoded again", mend: "restore it")
        }
        guard leaf.publicKey == privateKey.publicKey else {
            throw IdentityProblem(
                .mismatch, at: key.path, "does not belong to the certificate in \(certificate.path)",
                mend: "restore the file that was changed, or remove both for a new pair")
        }
        certificatePEM = certificate.text
        keyPEM = key.text
        leafDER = der
        fingerprint = CertificateFingerprint(ofDER: der)
        expires = leaf.notValidAfter
    }

    private static func selfSigningKey(_ file: StateFile) throws(IdentityProblem) -> P256.Signing.PrivateKey {
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: file.text) else {
            throw IdentityProblem(
                .damaged, at: file.path, "is not an ECDSA P-256 key in PEM form",
                mend: "restore it, or remove it for a new pair (clients that pin the old certificate need the new pin)")
        }
        return key
    }

    private static func create(
        _ path: String, key: P256.Signing.PrivateKey, name: String, now: Date
    ) throws(IdentityProblem) -> ServerCertificate {
        let template = CertificateTemplate(
            commonName: name, use: .leaf([.serverAuth]), alternativeNames: [.dnsName(name)], validDays: validDays)
        let pem: String
        do {
            pem = try PEMText.text(
                template.sign(publicKey: key.publicKey, issuer: nil, issuerKey: Certificate.PrivateKey(key), at: now))
        } catch {
            throw IdentityProblem(.damaged, at: path, "cannot be made (\(error))", mend: "report this")
        }
        try StateFile.write(Array(pem.utf8), to: path, mode: 0o644)
        let keyPath = path.dropLast(certificateFile.count) + keyFile
        return try ServerCertificate(
            certificate: StateFile(path: path, bytes: Array(pem.utf8)),
            key: StateFile(path: String(keyPath), bytes: Array("\(key.pemRepresentation)\n".utf8)))
    }
}

extension ServerCertificate: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<certificate sha256:\(fingerprint)>" }
    package var debugDescription: String { description }
    /// Keeps the private key out of `dump` and of test reports.
    package var customMirror: Mirror { Mirror(self, children: ["fingerprint": fingerprint]) }
}
