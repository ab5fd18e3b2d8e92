import SwiftASN1
import X509

/// Certificates and keys as PEM text (RFC 7468).
enum PEMText {
    /// All certificates in `pem`, in its order; at least one.
    static func certificates(_ pem: String, place: String) throws(IdentityProblem) -> [Certificate] {
        let documents = (try? PEMDocument.parseMultiple(pemString: pem)) ?? []
        let certificates = documents.compactMap { try? Certificate(pemDocument: $0) }
        guard !certificates.isEmpty, certificates.count == documents.count else {
            throw IdentityProblem(
                .damaged, at: place, "does not consist of certificates in PEM form",
                mend: "restore it; it starts with -----BEGIN CERTIFICATE-----")
        }
        return certificates
    }

    static func privateKey(_ pem: String, place: String) throws(IdentityProblem) -> Certificate.PrivateKey {
        // OpenSSL writes the curve in a document of its own before an elliptic curve's key.
        let documents = (try? PEMDocument.parseMultiple(pemString: pem))?.filter { $0.discriminator != "EC PARAMETERS" }
        guard let document = documents?.first, let key = try? Certificate.PrivateKey(pemDocument: document) else {
            throw IdentityProblem(
                .damaged, at: place, "is not an unencrypted private key in PEM form",
                mend: "restore it; it starts with -----BEGIN PRIVATE KEY-----")
        }
        return key
    }

    static func text(_ certificate: Certificate) throws -> String { try certificate.serializeAsPEM().pemString + "\n" }

    /// The complete encoding; of a certificate that was parsed, the very bytes it was parsed from.
    static func der(_ certificate: Certificate) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }
}
