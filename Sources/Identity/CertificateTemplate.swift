import Crypto
import FoundationEssentials
import Glibc
import SwiftASN1
import X509

/// What a new certificate shall say. All keys are ECDSA P-256, all signatures with SHA-256.
struct CertificateTemplate {
    /// What the holder of the key may do with it.
    enum Use {
        /// Sign other certificates.
        case authority
        /// Authenticate an end of a TLS link.
        case leaf([ExtendedKeyUsage.Usage])
    }

    /// RFC 5280, upper bound of a common name.
    private static let commonNameLimit = 64
    /// Certificates begin a day back, because clocks of machines that have just started are often late.
    private static let backdating = 86_400.0

    let commonName: String
    let use: Use
    let alternativeNames: [GeneralName]
    let validDays: Int

    /// Signs a certificate for `publicKey`.
    ///
    /// - Parameter issuer: the authority's certificate; `nil`: self-signed.
    func sign(
        publicKey: P256.Signing.PublicKey, issuer: Certificate?, issuerKey: Certificate.PrivateKey, at now: Date
    ) throws -> Certificate {
        let subject = try DistinguishedName { CommonName(String(commonName.prefix(Self.commonNameLimit))) }
        let subjectKey = Certificate.PublicKey(publicKey)
        return try Certificate(
            version: .v3,
            serialNumber: Self.serialNumber(),
            publicKey: subjectKey,
            notValidBefore: now.addingTimeInterval(-Self.backdating),
            notValidAfter: now.addingTimeInterval(Double(validDays) * 86_400),
            issuer: issuer?.subject ?? subject,
            subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try extensions(subjectKey: subjectKey, issuerKey: issuerKey.publicKey, isSelfSigned: issuer == nil),
            issuerPrivateKey: issuerKey)
    }

    /// 16 random bytes, positive and never shortened: RFC 5280 allows at most 20 bytes with the sign.
    private static func serialNumber() -> Certificate.SerialNumber {
        var generator = SystemRandomNumberGenerator()
        var bytes = generator.bytes(16)
        bytes[0] = bytes[0] & 0x7F | 0x40
        return Certificate.SerialNumber(bytes: bytes)
    }

    private func extensions(
        subjectKey: Certificate.PublicKey, issuerKey: Certificate.PublicKey, isSelfSigned: Bool
    ) throws -> Certificate.Extensions {
        var extensions = Certificate.Extensions()
        switch use {
        case .authority:
            try extensions.append(
                Certificate.Extension(BasicConstraints.isCertificateAuthority(maxPathLength: 0), critical: true))
            try extensions.append(Certificate.Extension(KeyUsage(keyCertSign: true, cRLSign: true), critical: true))
        case .leaf(let usages):
            try extensions.append(Certificate.Extension(BasicConstraints.notCertificateAuthority, critical: true))
            try extensions.append(Certificate.Extension(KeyUsage(digitalSignature: true), critical: true))
            try extensions.append(Certificate.Extension(ExtendedKeyUsage(usages), critical: false))
        }
        if !alternativeNames.isEmpty {
            try extensions.append(Certificate.Extension(SubjectAlternativeNames(alternativeNames), critical: false))
        }
        try extensions.append(Certificate.Extension(SubjectKeyIdentifier(hash: subjectKey), critical: false))
        if !isSelfSigned {
            let identifier = SubjectKeyIdentifier(hash: issuerKey).keyIdentifier
            try extensions.append(Certificate.Extension(AuthorityKeyIdentifier(keyIdentifier: identifier), critical: false))
        }
        return extensions
    }

    /// A DNS name or an IP address, whichever `text` is.
    static func hostName(_ text: String) throws(IdentityProblem) -> GeneralName {
        for (family, length) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: length)
            if inet_pton(family, text, &bytes) == 1 { return .ipAddress(ASN1OctetString(contentBytes: bytes[...])) }
        }
        // A wildcard is a DNS name in a certificate, though not the name of a host.
        try HostName.check(text.hasPrefix("*.") ? String(text.dropFirst(2)) : text, what: "DNS name or IP address")
        return .dnsName(text)
    }
}
