/// The `client` section of `config.yaml`, complete: what the file leaves out has its default.
package struct ClientSettings: Sendable, Equatable {
    /// By default the host's name.
    package var name: String
    /// Nil when `tls` authenticates.
    package var token: SecretSource?
    /// Use a token weaker than 256 bits.
    package var allowWeakToken = false
    /// 1 to 64, in the file's order.
    package var servers: [HostPort]
    /// How many servers to hold a session with, 1 to 8. Default 2.
    package var links = 2
    /// Listeners here that open streams to services.
    package var forwards: [ForwardSettings] = []
    /// What servers may reach here; those of `local_ports` first.
    package var exposures: [ExposureSettings] = []
    /// What egress may call this node.
    package var addresses: [Host] = []
    /// What lies behind this node.
    package var routes: [CIDR] = []
    /// Put the addresses that services announce on an interface of this node.
    package var mirrorAddresses = false
    /// The only ranges that `mirrorAddresses` may take addresses from.
    package var mirrorAllow: [CIDR] = []
    /// How often an idle link is probed. Default 1 s.
    package var heartbeatInterval = Duration.seconds(1)
    /// The silence after which a link is closed. Default 4 s.
    package var heartbeatTimeout = Duration.seconds(4)
    /// How often the targets of exposures are tried. Default 10 s.
    package var healthCheckInterval = Duration.seconds(10)
    /// When not empty, only servers with one of these certificates are trusted.
    package var serverPins: [CertificatePin] = []
    /// A certificate instead of a token.
    package var tls: ClientTLSSettings?
    /// Where the installation's id and other state are kept.
    package var stateDirectory: String
    /// How to log.
    package var log = LogSettings()
    /// Where the admin API listens.
    package var admin: AdminSettings
    /// The longest a dial to a server or a target may take. Default 3 s.
    package var dialTimeout = Duration.seconds(3)
    /// Bytes kept for one session until acknowledged. Default 16 MiB.
    package var replayBuffer = 16 << 20
    /// How long a session waits for a new link.
    package var resumeWindow = ResumeWindow()
    /// Bytes of all sessions together. Default 512 MiB.
    package var memoryBudget = 512 << 20

    /// Settings with defaults for all that a file may leave out.
    package init(name: String, token: SecretSource?, servers: [HostPort], stateDirectory: String, admin: AdminSettings) {
        self.name = name
        self.token = token
        self.servers = servers
        self.stateDirectory = stateDirectory
        self.admin = admin
    }
}

/// A certificate by which the client authenticates, and the authority that signed the servers'. PEM files, all three.
package struct ClientTLSSettings: Sendable, Equatable {
    /// The client's certificate.
    package var certificate: String
    /// Its private key.
    package var key: String
    /// The authority whose servers are trusted.
    package var ca: String
}

/// A listener on the client that opens streams to a service.
package struct ForwardSettings: Sendable, Equatable {
    /// At least one.
    package var listen: [HostPort]
    /// The name of the service, lower-cased.
    package var service: String

    /// A forward from these addresses to a service.
    package init(listen: [HostPort], service: String) {
        self.listen = listen
        self.service = service
    }
}

/// Something of the client's network that servers may reach.
package struct ExposureSettings: Sendable, Equatable {
    /// Unique among the client's exposures, lower-cased.
    package var name: String
    /// What is dialled on the client's side.
    package var target: HostPort
    /// The mapped port; nil: reached by name only.
    package var remotePort: Int?

    /// An exposure of a target.
    package init(name: String, target: HostPort, remotePort: Int? = nil) {
        self.name = name
        self.target = target
        self.remotePort = remotePort
    }
}
