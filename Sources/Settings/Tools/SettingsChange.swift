/// What a reload would change: the key paths that can be applied while running, and those that need a restart.
///
/// A secret or certificate file whose contents changed while its path did not is not seen here: a reload reads them again
/// in any case.
package struct SettingsChange: Sendable, Equatable {
    /// Key paths to apply now, in the order of the documentation.
    package private(set) var live: [String] = []
    /// Key paths that keep their old value until a restart.
    package private(set) var needsRestart: [String] = []

    /// Whether nothing changed.
    package var isEmpty: Bool { live.isEmpty && needsRestart.isEmpty }

    private enum When { case live, restart }

    private mutating func add<Value: Equatable>(_ old: Value, _ new: Value, _ key: String, _ when: When) {
        guard old != new else { return }
        switch when {
        case .live: live.append(key)
        case .restart: needsRestart.append(key)
        }
    }

    /// The peers and secrets of a cluster count from the next link on; whether there is one, and the rest of it, is for a restart.
    private mutating func addCluster(_ old: ClusterSettings?, _ new: ClusterSettings?) {
        var old = old
        if let before = old?.peers, let after = new?.peers {
            add(before, after, "server.cluster.peers", .live)
            old?.peers = after
        }
        if let before = old?.secrets, let after = new?.secrets {
            add(before, after, "server.cluster.secrets", .live)
            old?.secrets = after
        }
        add(old, new, "server.cluster", .restart)
    }

    /// Between two servers' settings.
    package static func between(_ old: ServerSettings, _ new: ServerSettings) -> SettingsChange {
        var change = SettingsChange()
        change.add(old.name, new.name, "server.name", .restart)
        change.add(old.address, new.address, "server.addr", .restart)
        change.add(old.tokens, new.tokens, "server.tokens", .live)
        change.add(old.allowWeakToken, new.allowWeakToken, "server.allow_weak_token", .live)
        change.add(old.stateDirectory, new.stateDirectory, "server.state_dir", .restart)
        change.add(old.log.level, new.log.level, "server.log_level", .live)
        change.add(old.log.format, new.log.format, "server.log_format", .restart)
        change.add(old.advertise, new.advertise, "server.advertise", .live)
        change.add(old.tls, new.tls, "server.tls", .restart)
        change.add(old.clients, new.clients, "server.clients", .live)
        change.addCluster(old.cluster, new.cluster)
        change.add(old.services, new.services, "server.services", .live)
        change.add(old.exposures.bind, new.exposures.bind, "server.exposures.bind", .restart)
        change.add(old.exposures.ports, new.exposures.ports, "server.exposures.ports", .live)
        change.add(old.egress, new.egress, "server.egress", .restart)
        change.add(old.admin, new.admin, "server.admin", .restart)
        change.add(old.drainTimeout, new.drainTimeout, "server.drain_timeout", .live)
        change.add(old.dialTimeout, new.dialTimeout, "server.dial_timeout", .live)
        change.add(old.replayBuffer, new.replayBuffer, "server.replay_buffer", .restart)
        change.add(old.resumeWindow, new.resumeWindow, "server.resume_window", .restart)
        change.add(old.limits.clients, new.limits.clients, "server.limits.clients", .live)
        change.add(old.limits.streamsPerClient, new.limits.streamsPerClient, "server.limits.streams_per_client", .live)
        change.add(old.limits.handshakes, new.limits.handshakes, "server.limits.handshakes", .live)
        change.add(old.limits.memoryBudget, new.limits.memoryBudget, "server.limits.memory_budget", .live)
        change.add(old.limits.bandwidthPerClient, new.limits.bandwidthPerClient, "server.limits.bandwidth_per_client", .live)
        return change
    }

    /// Between two clients' settings.
    package static func between(_ old: ClientSettings, _ new: ClientSettings) -> SettingsChange {
        var change = SettingsChange()
        change.add(old.name, new.name, "client.name", .restart)
        change.add(old.token, new.token, "client.token", .live)
        change.add(old.allowWeakToken, new.allowWeakToken, "client.allow_weak_token", .live)
        change.add(old.servers, new.servers, "client.server_addrs", .live)
        change.add(old.links, new.links, "client.links", .live)
        change.add(old.forwards, new.forwards, "client.forwards", .live)
        change.add(old.exposures, new.exposures, "client.exposures", .live)
        change.add(old.addresses, new.addresses, "client.addresses", .restart)
        change.add(old.routes, new.routes, "client.routes", .restart)
        change.add(old.mirrorAddresses, new.mirrorAddresses, "client.mirror_addresses", .restart)
        change.add(old.mirrorAllow, new.mirrorAllow, "client.mirror_allow", .restart)
        change.add(old.heartbeatInterval, new.heartbeatInterval, "client.heartbeat_interval", .restart)
        change.add(old.heartbeatTimeout, new.heartbeatTimeout, "client.heartbeat_timeout", .restart)
        change.add(old.healthCheckInterval, new.healthCheckInterval, "client.health_check_interval", .live)
        change.add(old.serverPins, new.serverPins, "client.server_pins", .restart)
        change.add(old.tls, new.tls, "client.tls", .restart)
        change.add(old.stateDirectory, new.stateDirectory, "client.state_dir", .restart)
        change.add(old.log.level, new.log.level, "client.log_level", .live)
        change.add(old.log.format, new.log.format, "client.log_format", .restart)
        change.add(old.admin, new.admin, "client.admin", .restart)
        change.add(old.dialTimeout, new.dialTimeout, "client.dial_timeout", .live)
        change.add(old.replayBuffer, new.replayBuffer, "client.replay_buffer", .restart)
        change.add(old.resumeWindow, new.resumeWindow, "client.resume_window", .restart)
        change.add(old.memoryBudget, new.memoryBudget, "client.limits.memory_budget", .live)
        return change
    }
}
