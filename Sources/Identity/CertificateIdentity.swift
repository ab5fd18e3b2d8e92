import X509

/// What a certificate of the cluster says its holder is.
package enum CertificateRole: String, Sendable, Equatable, CaseIterable {
    case client
    case server
}

/// Whom a certificate names, by a URI among its subject alternative names: `gotunnel://CLUSTER/client/NAME` or
/// `gotunnel://CLUSTER/server/NAME`. Other names and other URIs beside it do not matter.
package struct CertificateIdentity: Sendable, Hashable, CustomStringConvertible {
    package let cluster: String
    package let role: CertificateRole
    package let name: String

    package init(cluster: String, role: CertificateRole, name: String) throws(IdentityProblem) {
        try HostName.check(cluster, what: "cluster name")
        try HostName.check(name, what: "\(role.rawValue) name")
        self.cluster = cluster
        self.role = role
        self.name = name
    }

    /// The identity in a leaf certificate.
    ///
    /// - Parameter der: the complete DER encoding. It is only read here; ``CertificateTrust`` says whether to believe it.
    package init(leafDER der: [UInt8]) throws(CertificateIdentityError) {
        guard let certificate = try? Certificate(derEncoded: der) else { throw .notACertificate }
        try self.init(certificate)
    }

    init(_ certificate: Certificate) throws(CertificateIdentityError) {
        // `try?` would take an unreadable extension for a missing one.
        let names: SubjectAlternativeNames?
        do { names = try certificate.extensions.subjectAlternativeNames } catch { throw .notACertificate }
        let uris = (names ?? SubjectAlternativeNames()).compactMap { name -> String? in
            guard case .uniformResourceIdentifier(let uri) = name, uri.hasPrefix(Self.scheme) else { return nil }
            return uri
        }
        guard let uri = uris.first else { throw .none }
        guard uris.count == 1 else { throw .several(uris.count) }
        try self.init(uri: uri)
    }

    /// The URI itself.
    package var description: String { "\(Self.scheme)\(cluster)/\(role.rawValue)/\(name)" }

    private static let scheme = "gotunnel://"

    init(uri: String) throws(CertificateIdentityError) {
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard uri.hasPrefix(Self.scheme), parts.count == 3, let role = CertificateRole(rawValue: String(parts[1])),
            HostName.isValid(parts[0]), HostName.isValid(parts[2])
        else { throw .malformed(PrintableText.sanitize(uri, limit: 100)) }
        self.cluster = String(parts[0])
        self.role = role
        self.name = String(parts[2])
    }
}

/// Why a certificate names nobody.
package enum CertificateIdentityError: Error, Equatable, CustomStringConvertible {
    case notACertificate
    case none
    case several(Int)
    /// The URI, printable.
    case malformed(String)

    package var description: String {
        switch self {
        case .notACertificate: "the certificate cannot be read"
        case .none: "the certificate names no gotunnel://CLUSTER/client/NAME or gotunnel://CLUSTER/server/NAME"
        case .several(let count): "the certificate has \(count) gotunnel:// names, and one is needed"
        case .malformed(let uri):
            "the certificate's name \"\(uri)\" is neither gotunnel://CLUSTER/client/NAME nor gotunnel://CLUSTER/server/NAME"
        }
    }
}
