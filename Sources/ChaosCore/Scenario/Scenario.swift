/// A rehearsal: who is on the stage, which faults come when, for how long, and what must hold meanwhile. Read from a file in
/// `chaos/`; see `ScenarioReader`.
package struct Scenario: Sendable, Equatable {
    /// The file's name without its ending.
    package var name: String
    /// One line.
    package var title: String
    package var stage = StageLayout()
    package var traffic = TrafficLayout()
    /// How long the faults go on; `--duration` says otherwise.
    package var duration: Duration = .seconds(60)
    /// From the complete traffic to the first fault.
    package var warmup: Duration = .seconds(3)
    /// From the end of the faults to the end of the traffic.
    package var settle: Duration = .seconds(10)
    package var faults: [FaultPlan] = []
    package var promises: [Promise] = []

    package init(name: String, title: String) {
        self.name = name
        self.title = title
    }
}

/// Who is on the stage.
package struct StageLayout: Sendable, Equatable {
    package enum Network: String, Sendable, CaseIterable {
        /// Every host has an address in 127.0.0.0/8; needs no rights.
        case loopback
        /// Every host is a network namespace of its own; needs root. Only here can links be cut, slowed, or lose packets.
        case namespaces
    }

    package var network = Network.loopback
    package var servers = 3
    /// Servers that are configured and not started, to take another's place.
    package var spares = 0
    package var clients = 2
    /// Further clients without traffic, each with links of its own, in one process.
    package var fleet = 0
    package var links = 2
    /// Whether every server and client is a service of a genuine systemd (as root, in a sandbox of its own), with its watchdog.
    package var isSupervised = false
    /// Whether the programs must be a build that can break itself.
    package var needsFaultsBuild = false
    /// Bytes of the disk that every server has for its state; nil: that of the machine.
    package var disk: Int?
    /// Round trip between any two hosts; with namespaces only.
    package var roundTrip: Duration = .zero
    /// Further lines of the `server` sections and of the service `apiserver`, as in config.yaml.
    package var serverLines: [String] = []
    package var serviceLines: [String] = []
    /// Further lines of the `client` sections.
    package var clientLines: [String] = []

    package init() {}
}

/// What each client's applications do. Rates are per second and client.
package struct TrafficLayout: Sendable, Equatable, Codable {
    /// Short requests, each on a new connection (HTTP/1.1).
    package var new: Double = 20
    /// Short requests on kept connections: one of HTTP/2 for all of them, as client-go has it, and one of HTTP/1.1.
    package var get: Double = 20
    /// Long watches, half of them on one HTTP/2 connection, half on HTTP/1.1 connections of their own.
    package var watches = 10
    /// Milliseconds between two events of a watch.
    package var eventInterval = 200
    /// Streams both ways, over HTTP/1.1 with an upgrade.
    package var execs = 4
    /// Large lists per second, and the bytes of one.
    package var lists: Double = 0.5
    package var listBytes = 2 << 20
    /// Uploads per second, and the bytes of one.
    package var uploads: Double = 0.5
    package var uploadBytes = 1 << 20
    /// Seconds after which a request has failed.
    package var patience: Double = 10
    /// Streams through the exposure's mapped port on each server, both ways, as controllers reach kubelets.
    package var mapped = 2

    package init() {}
}
