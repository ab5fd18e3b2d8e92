import Identity
import TunnelWire

/// How an acceptor knows its peers, the other servers of its cluster.
package struct PeerCredentials: Sendable {
    /// The cluster's secrets, a new one beside the old while they are being exchanged; all for ``KeyPurpose/clusterSecret``.
    package var secrets: TokenRing
    /// Whether a certificate for `gotunnel://CLUSTER/server/NAME` is a proof too.
    package var acceptsCertificates: Bool

    package init(secrets: TokenRing, acceptsCertificates: Bool = false) {
        assert(secrets.purpose == .clusterSecret, "a client token would open the cluster")
        self.secrets = secrets
        self.acceptsCertificates = acceptsCertificates
    }

    /// - Parameters:
    ///   - secrets: the cluster's, the one that this server shows first.
    ///   - clientTokens: none of which may be among them.
    ///   - generator: a cryptographic one outside tests.
    package init(
        secrets: [Token], distinctFrom clientTokens: [Token], acceptsCertificates: Bool = false,
        using generator: inout some RandomNumberGenerator
    ) throws(TokenRingError) {
        let ring = try TokenRing(
            secrets.map { TokenRing.Entry($0) }, for: .clusterSecret, distinctFrom: clientTokens, using: &generator)
        self.init(secrets: ring, acceptsCertificates: acceptsCertificates)
    }
}

extension DialerCredential {
    /// What a server proves itself with to its peers.
    package static func clusterSecret(_ secret: Token) -> DialerCredential {
        .token(AuthenticationKey(secret, for: .clusterSecret))
    }
}

/// Whether two servers belong together. Both ends of a link ask: the dialer before it proves anything, the acceptor after
/// the dialer did.
package enum PeerCheck {
    /// Why `peer` is no peer of this server; nil if it is one.
    package static func objection(to peer: Hello, of own: LocalParty) -> Close? {
        if peer.installation == own.installation {
            return Close(.superseded, "this server dialled itself: take its own address out of its peers")
        }
        if !own.cluster.isEmpty, !peer.cluster.isEmpty, own.cluster != peer.cluster {
            return Close(
                .forbidden,
                "\(short(peer.name)) belongs to cluster \(id(peer.cluster)), \(short(own.name)) to \(id(own.cluster)): "
                    + "correct peers, or join with an empty state_dir")
        }
        if peer.name == own.name {
            return Close(.forbidden, "two servers are called \(short(own.name)): give each a name of its own")
        }
        return nil
    }

    /// So that what matters still fits into a reason.
    private static func short(_ name: String) -> String { PrintableText.clean(name, limit: 28) }
    private static func id(_ cluster: String) -> String { PrintableText.clean(cluster, limit: 32) }
}
