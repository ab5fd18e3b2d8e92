/// The servers that act as one.
package struct ClusterSettings: Sendable, Equatable {
    /// Where agreement comes from.
    package enum Engine: String, Sendable, CaseIterable {
        case embedded, etcd
    }

    /// Where peers reach this server.
    package var advertise: HostPort?
    /// The voters, the same on all servers, at most 64.
    package var peers: [HostPort]
    /// The secrets that peers prove: the first is used, the others are still accepted.
    package var secrets: [SecretSource]
    /// Embedded unless written.
    package var engine = Engine.embedded
    /// For `engine: etcd`.
    package var etcd: EtcdSettings?
    /// E of the election: default 1 s.
    package var electionTimeout = Duration.seconds(1)
    /// Commands (the program and its arguments) run on winning and losing the lead; empty: none.
    package var onLeader: [String] = []
    /// Run on losing the lead and at start.
    package var onFollower: [String] = []

    /// A cluster of the embedded engine.
    package init(advertise: HostPort?, peers: [HostPort], secrets: [SecretSource]) {
        self.advertise = advertise
        self.peers = peers
        self.secrets = secrets
    }
}

/// How to reach an etcd.
package struct EtcdSettings: Sendable, Equatable {
    /// URLs.
    package var endpoints: [String]
    /// PEM files.
    package var ca: String?
    /// The certificate to authenticate with.
    package var certificate: String?
    /// Its private key.
    package var key: String?
    /// Before every key.
    package var prefix: String
}
