import FoundationEssentials
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

/// The certificate authorities that a process believes, and the judgement of a chain that the other end of a link showed.
package struct CertificateTrust: Sendable {
    /// More certificates than this in a chain are refused before any is read.
    package static let maximumChainLength = 8
    /// A certificate longer than this is refused unread, in bytes of DER.
    package static let maximumCertificateLength = 16 * 1024

    private let roots: CertificateStore

    /// - Parameters:
    ///   - pem: one or more certificates of authorities (`tls.client_ca`).
    ///   - place: where they came from, for messages.
    package init(pem: String, place: String) throws(IdentityProblem) {
        let certificates = try PEMText.certificates(pem, place: place)
        for certificate in certificates {
            guard case .isCertificateAuthority = try? certificate.extensions.basicConstraints else {
                throw IdentityProblem(
                    .damaged, at: place, "contains a certificate that is not a certificate authority's",
                    mend: "use the ca.crt that `gotunnelctl pki init` made")
            }
        }
        roots = CertificateStore(certificates)
    }

    /// Judges the chain that the end at `side` showed. Suits a TLS library's own verification callback: nothing else needs to be
    /// checked there.
    ///
    /// - Parameters:
    ///   - chain: DER encodings, the leaf first.
    ///   - role: what the leaf has to say its holder is.
    ///   - cluster: the cluster it has to name; `nil`: any that these authorities certify.
    ///   - side: where the holder stands on this link: a dialer needs the extended key usage `clientAuth`, an acceptor
    ///     `serverAuth`.
    ///   - now: the time by which certificates are valid or expired.
    /// - Returns: whom the certificate names.
    package func verify(
        chain: [[UInt8]], role: CertificateRole, cluster: String?, side: HandshakeSide, at now: Date
    ) async throws(CertificateRefusal) -> CertificateIdentity {
        try await self.verify(chain: chain, roles: [role], cluster: cluster, side: side, at: now)
    }

    /// The same, where the leaf may say one of several roles: whoever asks sees to it that the holder keeps to its own.
    ///
    /// - Parameter roles: not empty; the first is the one that a refusal asks for.
    package func verify(
        chain: [[UInt8]], roles: [CertificateRole], cluster: String?, side: HandshakeSide, at now: Date
    ) async throws(CertificateRefusal) -> CertificateIdentity {
        let certificates = try Self.parse(chain)
        guard let leaf = certificates.first else { throw .noCertificate }
        guard now <= leaf.notValidAfter else { throw .expired(leaf.notValidAfter) }
        guard now >= leaf.notValidBefore else { throw .notYetValid(leaf.notValidBefore) }
        var verifier = Verifier(rootCertificates: roots) {
            LinkCertificatePolicy(side: side, now: now)
            RFC5280Policy(fixedExpiryValidationTime: now)
        }
        let result = await verifier.validate(leaf: leaf, intermediates: CertificateStore(certificates.dropFirst()))
        if case .couldNotValidate(let failures) = result {
            let reason = failures.first.map { String(describing: $0.policyFailureReason) }
            throw .untrusted(PrintableText.sanitize(reason ?? "no certificate authority known here signed it", limit: 120))
        }
        let identity: CertificateIdentity
        do { identity = try CertificateIdentity(leaf) } catch { throw .identity(error) }
        guard roles.contains(identity.role) else { throw .wrongRole(identity.role, needed: roles.first ?? .client) }
        guard cluster == nil || identity.cluster == cluster else { throw .wrongCluster(identity.cluster) }
        return identity
    }

    private static func parse(_ chain: [[UInt8]]) throws(CertificateRefusal) -> [Certificate] {
        guard chain.count <= maximumChainLength else { throw .chainTooLong(chain.count) }
        var certificates: [Certificate] = []
        for (index, der) in chain.enumerated() {
            guard der.count <= maximumCertificateLength, let certificate = try? Certificate(derEncoded: der) else {
                throw .unreadable(index: index)
            }
            certificates.append(certificate)
        }
        return certificates
    }
}

/// Demands of a chain what RFC 5280 leaves to the application: a leaf that is no authority and was issued for this end of a TLS
/// link. It judges the authorities' dates too, ahead of ``RFC5280Policy``, whose messages print whole certificates.
private struct LinkCertificatePolicy: VerifierPolicy {
    let side: HandshakeSide
    let now: Date

    /// Subject alternative names are judged by ``CertificateIdentity``, after the chain.
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.extendedKeyUsage, .X509ExtensionID.subjectAlternativeName,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) async -> PolicyEvaluationResult {
        do {
            guard let objection = try objection(to: chain.leaf.extensions) ?? expiredAuthority(in: chain) else {
                return .meetsPolicy
            }
            return .failsToMeetPolicy(reason: objection)
        } catch {
            return .failsToMeetPolicy(reason: "an extension cannot be read")
        }
    }

    private func objection(to leaf: Certificate.Extensions) throws -> String? {
        if case .isCertificateAuthority = try leaf.basicConstraints { return "it is a certificate authority's own" }
        if let usage = try leaf.keyUsage, !usage.digitalSignature { return "its key usage lacks digitalSignature" }
        let needed: ExtendedKeyUsage.Usage = side == .dialer ? .clientAuth : .serverAuth
        if try leaf.extendedKeyUsage?.contains(needed) == true { return nil }
        return "its extended key usage lacks \(side == .dialer ? "clientAuth" : "serverAuth")"
    }

    private func expiredAuthority(in chain: UnverifiedCertificateChain) -> String? {
        for index in chain.startIndex..<chain.endIndex where now > chain[index].notValidAfter {
            return "its authority expired on \(chain[index].notValidAfter.formatted(.iso8601)) (\(chain[index].subject))"
        }
        return nil
    }
}

/// Why a chain is not believed. Every description is one printable line.
package enum CertificateRefusal: Error, Equatable, CustomStringConvertible {
    case noCertificate
    case chainTooLong(Int)
    /// 0 is the leaf.
    case unreadable(index: Int)
    case expired(Date)
    case notYetValid(Date)
    /// Printable.
    case untrusted(String)
    case identity(CertificateIdentityError)
    case wrongRole(CertificateRole, needed: CertificateRole)
    case wrongCluster(String)

    package var description: String {
        switch self {
        case .noCertificate: "no certificate was shown"
        case .chainTooLong(let count):
            "\(count) certificates were shown, at most \(CertificateTrust.maximumChainLength) are read"
        case .unreadable(let index): "certificate \(index) of the chain cannot be read"
        case .expired(let date):
            "the certificate expired on \(date.formatted(.iso8601)): issue another with `gotunnelctl pki issue`"
        case .notYetValid(let date): "the certificate is not valid before \(date.formatted(.iso8601)): compare the clocks"
        case .untrusted(let reason): "the certificate is not trusted: \(reason)"
        case .identity(let error): error.description
        case .wrongRole(let found, let needed): "the certificate is a \(found.rawValue)'s, a \(needed.rawValue)'s is needed"
        case .wrongCluster(let found): "the certificate is for another cluster, \(PrintableText.quoted(found))"
        }
    }
}
