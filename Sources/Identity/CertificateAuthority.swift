import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// A certificate authority of one cluster's own, for links that authenticate by certificates instead of tokens.
package struct CertificateAuthority: Sendable {
    /// The authority's certificate: `tls.client_ca` of the servers.
    package let certificatePEM: String
    /// Its private key: whoever holds it can be any client and any server.
    package let keyPEM: String
    package let cluster: String

    private let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// How long an authority is valid: ten years.
    package static let validDays = 3653
    /// How long the certificates it issues are valid unless told otherwise.
    package static let issuedDays = 825

    /// A new authority.
    ///
    /// - Parameters:
    ///   - cluster: the cluster's name (RFC 1123), which every issued certificate names.
    ///   - now: valid from a day before it.
    package static func create(
        cluster: String, at now: Date, validDays: Int = CertificateAuthority.validDays
    ) throws(IdentityProblem) -> CertificateAuthority {
        try HostName.check(cluster, what: "cluster name")
        let key = P256.Signing.PrivateKey()
        // The cluster is kept in a name of the authority's own, because a common name is too short for some.
        let template = CertificateTemplate(
            commonName: "gotunnel CA \(cluster)", use: .authority,
            alternativeNames: [.uniformResourceIdentifier(authorityURI(cluster))], validDays: validDays)
        return try encoded(place: "the new authority") {
            let certificate = try template.sign(
                publicKey: key.publicKey, issuer: nil, issuerKey: Certificate.PrivateKey(key), at: now)
            return CertificateAuthority(
                certificatePEM: try PEMText.text(certificate), keyPEM: "\(key.pemRepresentation)\n", cluster: cluster,
                certificate: certificate, key: Certificate.PrivateKey(key))
        }
    }

    /// An authority that ``create(cluster:at:validDays:)`` made.
    ///
    /// - Parameter place: where both came from, for messages.
    package static func load(
        certificatePEM: String, keyPEM: String, place: String
    ) throws(IdentityProblem) -> CertificateAuthority {
        let certificate = try PEMText.certificates(certificatePEM, place: place)[0]
        let key = try PEMText.privateKey(keyPEM, place: place)
        guard certificate.publicKey == key.publicKey else {
            throw IdentityProblem(
                .mismatch, at: place, "has a key that does not belong to its certificate", mend: "restore both files")
        }
        guard let cluster = cluster(of: certificate) else {
            throw IdentityProblem(
                .damaged, at: place, "is not an authority of gotunnel's", mend: "make one with `gotunnelctl pki init`")
        }
        return CertificateAuthority(
            certificatePEM: certificatePEM, keyPEM: keyPEM, cluster: cluster, certificate: certificate, key: key)
    }

    /// A new key and a certificate for it, which names `gotunnel://CLUSTER/ROLE/NAME`.
    ///
    /// A client's is for dialling; a server's for accepting and, because servers are peers of each other, for dialling too.
    ///
    /// - Parameters:
    ///   - hostNames: DNS names and IP addresses that it shall hold for as well.
    ///   - now: valid from a day before it.
    package func issue(
        role: CertificateRole, name: String, hostNames: [String] = [], at now: Date,
        validDays: Int = CertificateAuthority.issuedDays
    ) throws(IdentityProblem) -> IssuedCertificate {
        let identity = try CertificateIdentity(cluster: cluster, role: role, name: name)
        var names: [GeneralName] = [.uniformResourceIdentifier(identity.description)]
        for hostName in hostNames { names.append(try CertificateTemplate.hostName(hostName)) }
        let template = CertificateTemplate(
            commonName: name, use: .leaf(role == .client ? [.clientAuth] : [.serverAuth, .clientAuth]),
            alternativeNames: names, validDays: validDays)
        let key = P256.Signing.PrivateKey()
        return try Self.encoded(place: identity.description) {
            let leaf = try template.sign(publicKey: key.publicKey, issuer: certificate, issuerKey: self.key, at: now)
            return IssuedCertificate(
                identity: identity, certificatePEM: try PEMText.text(leaf), keyPEM: "\(key.pemRepresentation)\n",
                leafDER: try PEMText.der(leaf))
        }
    }

    private static func authorityURI(_ cluster: String) -> String { "gotunnel-ca://\(cluster)" }

    private static func cluster(of certificate: Certificate) -> String? {
        guard case .isCertificateAuthority = try? certificate.extensions.basicConstraints else { return nil }
        guard let names = try? certificate.extensions.subjectAlternativeNames else { return nil }
        for case .uniformResourceIdentifier(let uri) in names {
            let cluster = String(uri.dropFirst(authorityURI("").count))
            if uri == authorityURI(cluster), HostName.isValid(cluster) { return cluster }
        }
        return nil
    }

    private static func encoded<Value>(place: String, _ make: () throws -> Value) throws(IdentityProblem) -> Value {
        do {
            return try make()
        } catch {
            throw IdentityProblem(.damaged, at: place, "cannot be signed (\(error))", mend: "check the authority's files")
        }
    }
}

/// A certificate with its new key.
package struct IssuedCertificate: Sendable {
    package let identity: CertificateIdentity
    package let certificatePEM: String
    /// A secret.
    package let keyPEM: String
    package let leafDER: [UInt8]
}

extension CertificateAuthority: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<certificate authority of \(cluster)>" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["cluster": cluster]) }
}

extension IssuedCertificate: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<certificate of \(identity)>" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["identity": identity]) }
}
