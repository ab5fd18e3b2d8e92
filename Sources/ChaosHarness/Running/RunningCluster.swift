import Settings

/// A cluster in use, as a file names it: its servers and clients, how each is reached, and what is asked meanwhile.
package struct RunningCluster: Sendable, Equatable {
    /// What an operator has to type before anything is done to it.
    package var name: String
    package var servers: [RunningMember]
    package var clients: [RunningMember]
    package var probe: ProbePlan?
    /// The program `gotunnelctl` on every host: a name on the search path, or a path.
    package var control: String

    package init(
        name: String, servers: [RunningMember], clients: [RunningMember] = [], probe: ProbePlan? = nil,
        control: String = "gotunnelctl"
    ) {
        self.name = name
        self.servers = servers
        self.clients = clients
        self.probe = probe
        self.control = control
    }

    package var members: [RunningMember] { self.servers + self.clients }

    package func member(_ name: String) -> RunningMember? { self.members.first { $0.name == name } }
}

/// A server or client of a running cluster.
package struct RunningMember: Sendable, Equatable {
    package enum Role: String, Sendable {
        case server, client
    }

    package var role: Role
    package var name: String
    /// `user@host`, as `ssh` takes it; nil: this machine.
    package var ssh: String?
    /// Whether commands there need `sudo`, which must ask for no password.
    package var needsSudo: Bool
    /// The service of systemd.
    package var unit: String
    /// The admin socket.
    package var socket: String
    /// Where the others dial it; nil: unknown, then it cannot be cut off.
    package var address: IPAddress?
    /// The port of its links.
    package var port: Int

    package init(
        _ role: Role, _ name: String, ssh: String? = nil, needsSudo: Bool = false, unit: String? = nil, socket: String? = nil,
        address: IPAddress? = nil, port: Int = 17_000
    ) {
        self.role = role
        self.name = name
        self.ssh = ssh
        self.needsSudo = needsSudo
        self.unit = unit ?? "gotunnel-\(role.rawValue).service"
        self.socket = socket ?? "/run/gotunnel/\(role.rawValue).sock"
        self.address = address
        self.port = port
    }

    /// Where it is, for people.
    package var place: String { self.ssh ?? "this machine" }
}

/// A short request that is made again and again while faults come and go, each time on a connection of its own.
package struct ProbePlan: Sendable, Equatable {
    package var url: ProbeAddress
    /// The same past the tunnel, for comparison; nil: none.
    package var direct: ProbeAddress?
    package var every: Duration
    /// After this a request has failed.
    package var patience: Duration

    package init(
        url: ProbeAddress, direct: ProbeAddress? = nil, every: Duration = .milliseconds(100), patience: Duration = .seconds(10)
    ) {
        self.url = url
        self.direct = direct
        self.every = every
        self.patience = patience
    }
}

/// `https://HOST:PORT/PATH`, or `http`.
package struct ProbeAddress: Sendable, Equatable, CustomStringConvertible {
    package var isEncrypted: Bool
    package var host: HostPort
    package var path: String

    /// Nil when the text is none.
    package init?(_ text: String) {
        guard let colon = text.range(of: "://"), ["http", "https"].contains(text[..<colon.lowerBound]),
            text.utf8.count <= 1_024, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { return nil }
        self.isEncrypted = text.hasPrefix("https")
        let rest = text[colon.upperBound...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let place = String(rest[..<slash])
        guard let host = HostPort(place) ?? HostPort("\(place):\(self.isEncrypted ? 443 : 80)") else { return nil }
        self.host = host
        self.path = slash == rest.endIndex ? "/" : String(rest[slash...])
    }

    package var description: String { "\(self.isEncrypted ? "https" : "http")://\(self.host)\(self.path)" }
}
