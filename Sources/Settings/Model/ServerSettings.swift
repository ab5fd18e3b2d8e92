/// The `server` section of `config.yaml`, complete: what the file leaves out has its default.
package struct ServerSettings: Sendable, Equatable {
    /// Unique in the cluster; by default the host's name.
    package var name: String
    /// Where clients and peers connect. Default 0.0.0.0:17000.
    package var address = HostPort.everywhere
    /// The tokens that clients prove; empty only when `tls.clientCA` is set.
    package var tokens: [TokenSettings]
    /// Accept tokens weaker than 256 bits.
    package var allowWeakToken = false
    /// Where the certificate, the identity and other state are kept.
    package var stateDirectory: String
    /// How to log.
    package var log = LogSettings()
    /// What clients are told to dial, at most 8; empty: what they dialled.
    package var advertise: [HostPort] = []
    /// Nil: a self-signed certificate is made on first start.
    package var tls: ServerTLSSettings?
    /// What clients may do, most specific pattern first; nil: every client anything within `exposures`.
    package var clients: [ClientPolicy]?
    /// Nil: a single server.
    package var cluster: ClusterSettings?
    /// The services offered to clients, sorted by name.
    package var services: [ServiceSettings] = []
    /// Where mapped ports listen, and which there may be.
    package var exposures = MappedPortSettings()
    /// Nil: no egress listener.
    package var egress: EgressSettings?
    /// Where the admin API listens.
    package var admin: AdminSettings
    /// How long a drain waits for streams to end. Default 30 s.
    package var drainTimeout = Duration.seconds(30)
    /// The longest a dial to a target may take. Default 3 s.
    package var dialTimeout = Duration.seconds(3)
    /// Bytes kept for one session until acknowledged. Default 16 MiB.
    package var replayBuffer = 16 << 20
    /// For sessions whose client has not announced its own window.
    package var resumeWindow = ResumeWindow()
    /// What clients can take of the server at most.
    package var limits = ServerLimits()

    /// Settings with defaults for all that a file may leave out.
    package init(name: String, tokens: [TokenSettings], stateDirectory: String, admin: AdminSettings) {
        self.name = name
        self.tokens = tokens
        self.stateDirectory = stateDirectory
        self.admin = admin
    }
}

extension HostPort {
    /// 0.0.0.0:17000, where a server listens by default.
    static let everywhere = HostPort(unchecked: .address(.any), port: 17_000)
}

/// One token that the server accepts.
package struct TokenSettings: Sendable, Equatable {
    /// The id by which it can be revoked; nil for the one of `token` or `token_file`.
    package var id: String?
    /// Where it is read from.
    package var source: SecretSource
    /// The names its holders may take; empty: any (a shared token).
    package var clients: [NamePattern]

    /// A token; without `clients`, any client may hold it.
    package init(id: String? = nil, source: SecretSource, clients: [NamePattern] = []) {
        self.id = id
        self.source = source
        self.clients = clients
    }
}

/// The server's own certificate, and whose client certificates it accepts.
package struct ServerTLSSettings: Sendable, Equatable {
    /// PEM files; both or neither.
    package var certificate: String?
    /// The private key of `certificate`.
    package var key: String?
    /// PEM file; when set, clients may authenticate by a certificate it signed instead of a token.
    package var clientCA: String?
}

/// What the clients of a name or pattern may do.
package struct ClientPolicy: Sendable, Equatable {
    /// The clients that this is about.
    package var pattern: NamePattern
    /// The services they may open; nil: any.
    package var services: [NamePattern]?
    /// The exposures they may register; nil: any.
    package var exposures: [NamePattern]?
    /// The mapped ports they may ask for; nil: what `exposures` allows.
    package var ports: [PortRange]?
    /// The ranges of addresses they may claim for egress.
    package var routes: [CIDR] = []

    /// A policy with the defaults: any service, any exposure, no routes.
    package init(pattern: NamePattern) {
        self.pattern = pattern
    }
}

/// Where mapped ports listen, and which there may be.
package struct MappedPortSettings: Sendable, Equatable {
    /// The address that mapped ports listen on. Default 127.0.0.1.
    package var bind = IPAddress.loopback
    /// As written; nil when left out.
    package var ports: [PortRange]?

    /// The defaults.
    package init() {}

    /// The ports that the leader picks from.
    package static let defaultRange = PortRange(unchecked: 20_000, 20_999)

    /// The ports that the leader picks from: those written, else `defaultRange`.
    package var leaderPorts: [PortRange] { ports ?? [Self.defaultRange] }
}

/// The listener for kube-apiserver's egress selector.
package struct EgressSettings: Sendable, Equatable {
    /// The path of a Unix socket.
    package var socket: String?
    /// A TCP address.
    package var address: HostPort?
    /// For the TCP address.
    package var tls: ServerTLSSettings?
    /// The user ids that may connect to the socket.
    package var allowUIDs: [Int] = [0]
}

/// Bounds that keep one client, or all of them, from exhausting the server.
package struct ServerLimits: Sendable, Equatable {
    /// Clients at a time.
    package var clients = 10_000
    /// Streams of one client at a time.
    package var streamsPerClient = 16_384
    /// Handshakes at a time.
    package var handshakes = 512
    /// Bytes of all sessions together.
    package var memoryBudget = 512 << 20
    /// Bytes a second, each way; 0: no bound.
    package var bandwidthPerClient = 0

    /// The defaults.
    package init() {}
}
