import Daemon
import Foundation
import Identity
import Settings
import TunnelTransport

/// The secrets and certificates of a server, read from where the configuration says.
struct ServerCredentials {
    let links: LinkCredentials
    let certificate: ServerCertificate
    let ring: TokenRing
    /// What this server shows its peers; nil without a cluster.
    let peer: DialerCredential?
    /// For dialling peers.
    let peerTLS: TLSContext

    /// - Parameters:
    ///   - surroundings: the process's environment and files.
    ///   - now: the date for a certificate that has to be made.
    static func load(_ settings: ServerSettings, _ surroundings: Surroundings, now: Date) throws -> ServerCredentials {
        let certificate = try Self.certificate(settings, surroundings, now: now)
        let trust = try settings.tls?.clientCA.map { path in
            guard let file = try StateFile.read(path, as: .open) else {
                throw StartupError(
                    "server.tls.client_ca: \(path) does not exist; make one with gotunnelctl pki init", .configuration)
            }
            return try CertificateTrust(pem: file.text, place: path)
        }
        var rng = SystemRandomNumberGenerator()
        let tokens = try settings.tokens.map { token in
            try StartupError.naming("server.\(token.id.map { "tokens (id \($0))" } ?? token.source.key)") {
                try Token(try token.source.read(in: surroundings).reveal(), allowWeak: settings.allowWeakToken)
            }
        }
        let entries = try zip(settings.tokens, tokens).map { settings, token in
            TokenRing.Entry(
                token,
                clients: settings.clients.isEmpty ? nil : try settings.clients.map { try Identity.NamePattern($0.description) },
                label: settings.id)
        }
        let others =
            try settings.cluster?.secrets.map { source in
                try StartupError.naming("server.cluster.secret") { try Token(try source.read(in: surroundings).reveal()) }
            } ?? []
        let ring = try TokenRing(entries, for: .clientToken, distinctFrom: others, using: &rng)
        // Peers show certificates of the same authority, if there is one and no secret.
        let usesCertificates = settings.cluster != nil && others.isEmpty && trust != nil
        let peers = try settings.cluster.map { _ in
            try PeerCredentials(
                secrets: others, distinctFrom: tokens, acceptsCertificates: usesCertificates, using: &rng)
        }
        let tls = try TLSContext.acceptor(certificate, trust: trust, acceptsPeers: usesCertificates)
        let links = LinkCredentials(
            tls: tls, certificate: certificate.fingerprint, authenticator: Authenticator(tokens: ring, peers: peers))
        return ServerCredentials(
            links: links, certificate: certificate, ring: ring,
            peer: settings.cluster == nil ? nil : others.first.map { .clusterSecret($0) } ?? .certificate,
            peerTLS: try TLSContext.dialer(
                certificate: usesCertificates ? certificate : nil, trust: usesCertificates ? trust : nil))
    }

    private static func certificate(
        _ settings: ServerSettings, _ surroundings: Surroundings, now: Date
    ) throws -> ServerCertificate {
        guard let path = settings.tls?.certificate, let key = settings.tls?.key else {
            return try ServerCertificate.loadOrCreate(directory: settings.stateDirectory, name: settings.name, at: now)
        }
        return try ServerCertificate.load(
            certificate: path, key: key, credentials: surroundings.environment["CREDENTIALS_DIRECTORY"])
    }
}
