/// A host of the stage: this machine's loopback, or a network namespace.
package struct StageHost: Sendable, Equatable {
    package let address: String
    /// Nil: this machine itself.
    package let namespace: String?

    package static let loopback = StageHost(address: "127.0.0.1", namespace: nil)

    /// The command that runs `command` on this host.
    func command(_ command: [String]) -> [String] {
        self.namespace.map { ["ip", "netns", "exec", $0] + command } ?? command
    }
}

/// Where the programs of a stage live.
package enum StageNetwork: String, Sendable {
    /// All on 127.0.0.1; needs no rights.
    case loopback
    /// Each on a host of its own in network namespaces, joined by a bridge; needs root.
    case namespaces
}
