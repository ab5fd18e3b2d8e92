/// A named target that a server offers to clients.
package struct ServiceSettings: Sendable, Equatable {
    /// By which clients open it, lower-cased.
    package var name: String
    /// At least one; a healthy one is dialled.
    package var targets: [HostPort]
    /// How its targets' health is found out.
    package var health = HealthSettings()
    /// Whether a dial that is slow, though accepted, may be repeated elsewhere.
    package var hedgeDial = false

    /// A service whose targets are tried by TCP.
    package init(name: String, targets: [HostPort]) {
        self.name = name
        self.targets = targets
    }
}

/// How a target's health is found out.
package struct HealthSettings: Sendable, Equatable {
    /// What is tried: a connection, or a request over HTTP or HTTPS.
    package enum Kind: String, Sendable, CaseIterable {
        case tcp, http, https
    }

    /// Default tcp.
    package var kind = Kind.tcp
    /// The path of the request; of no meaning for TCP.
    package var path = "/"
    /// From one try to the next. Default 2 s.
    package var interval = Duration.seconds(2)
    /// For one try. Default 1 s.
    package var timeout = Duration.seconds(1)
    /// Failures in a row after which the target counts as down.
    package var unhealthyAfter = 2
    /// For https: take any certificate. It is only the health that is asked, nothing is sent.
    package var insecure = false

    /// The defaults.
    package init() {}
}
