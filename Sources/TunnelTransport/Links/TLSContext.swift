import Foundation
import Identity
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL

/// TLS for links: version 1.3 only, ALPN `gotunnel/1`, no early data. A dialer never resumes a TLS session: the acceptor's
/// certificate, which the proofs are bound to, is shown in full handshakes only.
///
/// The one seam to the TLS library: who wants another provider changes this file and the handlers that it makes.
package struct TLSContext: Sendable {
    package static let applicationProtocol = "gotunnel/1"

    private let context: NIOSSLContext
    private let trust: CertificateTrust?
    /// Whether a dialer's certificate may be a server's too.
    private let acceptsPeers: Bool

    /// For an acceptor. With `trust`, a dialer that shows a certificate is judged by it; one that shows none may still
    /// prove itself with a token.
    /// - Parameter acceptsPeers: the certificate may be a peer's, a server's; the handshake sees that it is not used for
    ///   another role.
    package static func acceptor(
        _ certificate: ServerCertificate, trust: CertificateTrust?, acceptsPeers: Bool = false
    ) throws -> TLSContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try chain(certificate.certificatePEM), privateKey: try key(certificate.keyPEM))
        configuration.certificateVerification = trust == nil ? .none : .optionalVerification
        return try TLSContext(configuration, trust: trust, acceptsPeers: acceptsPeers)
    }

    /// For a dialer. The server's certificate needs no authority: the proofs are bound to it. With `trust` it must be
    /// a server's by those authorities as well; `certificate` is what this end shows, if anything.
    package static func dialer(certificate: ServerCertificate? = nil, trust: CertificateTrust? = nil) throws -> TLSContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        // A full check would ask for names and authorities of the Web; ours replaces it, see `dialerHandler`.
        configuration.certificateVerification = .noHostnameVerification
        if let certificate {
            configuration.certificateChain = try Self.chain(certificate.certificatePEM)
            configuration.privateKey = try Self.key(certificate.keyPEM)
        }
        return try TLSContext(configuration, trust: trust)
    }

    private init(_ configuration: TLSConfiguration, trust: CertificateTrust?, acceptsPeers: Bool = false) throws {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv13
        // Chains are judged by our own callback; the system's authorities would only be read and kept for nothing.
        configuration.trustRoots = .certificates([])
        configuration.applicationProtocols = [Self.applicationProtocol]
        self.context = try NIOSSLContext(configuration: configuration)
        self.trust = trust
        self.acceptsPeers = acceptsPeers
    }

    private static func chain(_ pem: String) throws -> [NIOSSLCertificateSource] {
        try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)).map { .certificate($0) }
    }

    private static func key(_ pem: String) throws -> NIOSSLPrivateKeySource {
        .privateKey(try NIOSSLPrivateKey(bytes: Array(pem.utf8), format: .pem))
    }

    func acceptorHandler(seen: SeenCertificate) -> NIOSSLServerHandler {
        guard let trust = self.trust else { return NIOSSLServerHandler(context: self.context) }
        let roles: [CertificateRole] = self.acceptsPeers ? [.client, .server] : [.client]
        return NIOSSLServerHandler(
            context: self.context,
            customVerificationCallback: { chain, promise in
                Self.judge(chain, trust, roles: roles, side: .dialer, seen: seen, promise)
            })
    }

    func dialerHandler(hostName: String, seen: SeenCertificate) throws -> NIOSSLClientHandler {
        let trust = self.trust
        return try NIOSSLClientHandler(
            context: self.context, serverHostname: hostName,
            customVerificationCallback: { chain, promise in
                guard let leaf = chain.first, let der = try? leaf.toDERBytes() else { return promise.succeed(.failed) }
                seen.set(fingerprint: CertificateFingerprint(ofDER: der))
                guard let trust else { return promise.succeed(.certificateVerified) }
                Self.judge(chain, trust, roles: [.server], side: .acceptor, seen: seen, promise)
            })
    }

    private static func judge(
        _ chain: [NIOSSLCertificate], _ trust: CertificateTrust, roles: [CertificateRole], side: HandshakeSide,
        seen: SeenCertificate, _ promise: EventLoopPromise<NIOSSLVerificationResult>
    ) {
        let encodings = chain.prefix(CertificateTrust.maximumChainLength + 1).compactMap { try? $0.toDERBytes() }
        Task {
            do throws(CertificateRefusal) {
                let identity = try await trust.verify(chain: encodings, roles: roles, cluster: nil, side: side, at: Date())
                seen.set(identity: identity)
                promise.succeed(.certificateVerified)
            } catch {
                seen.set(refusal: error)
                promise.succeed(.failed)
            }
        }
    }
}

/// What the other end showed in the TLS handshake of one connection.
final class SeenCertificate: Sendable {
    struct Content: Sendable {
        var fingerprint: CertificateFingerprint?
        var identity: CertificateIdentity?
        var refusal: CertificateRefusal?
    }

    private let content = NIOLockedValueBox(Content())

    var value: Content { self.content.withLockedValue { $0 } }

    func set(fingerprint: CertificateFingerprint) { self.content.withLockedValue { $0.fingerprint = fingerprint } }
    func set(identity: CertificateIdentity) { self.content.withLockedValue { $0.identity = identity } }
    func set(refusal: CertificateRefusal) { self.content.withLockedValue { $0.refusal = refusal } }
}
