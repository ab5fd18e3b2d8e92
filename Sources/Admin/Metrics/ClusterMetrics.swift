/// The metrics of a server's part in its cluster.
package struct ClusterMetrics: Sendable {
    /// What they are set to at each scrape.
    package struct Values: Sendable {
        /// Servers by state, this one included.
        package var members: [PeerStatus.State: Int] = [:]
        package var term: UInt64 = 0
        package var isLeader = false
        /// Entries of the registry that are visible, those of this server included.
        package var registryEntries = 0
        /// Mapped ports that were given out.
        package var assignments = 0

        package init() {}
    }

    private let members: [PeerStatus.State: MetricsRegistry.Gauge]
    private let term: MetricsRegistry.Gauge
    private let isLeader: MetricsRegistry.Gauge
    private let registryEntries: MetricsRegistry.Gauge
    private let assignments: MetricsRegistry.Gauge
    /// `gotunnel_leader_changes_total`: how often this server heard of another leader, or of none.
    package let leaderChanges: MetricsRegistry.Counter

    package init(registry: MetricsRegistry) {
        var members: [PeerStatus.State: MetricsRegistry.Gauge] = [:]
        for state in PeerStatus.State.allCases {
            members[state] = registry.gauge(
                "gotunnel_cluster_members", help: "Servers of the cluster by state.", labels: [("state", state.rawValue)])
        }
        self.members = members
        self.term = registry.gauge("gotunnel_cluster_term", help: "The term of the cluster's election.")
        self.isLeader = registry.gauge("gotunnel_cluster_is_leader", help: "1 while this server leads.")
        self.registryEntries = registry.gauge(
            "gotunnel_registry_entries", help: "Clients, services and servers known in the cluster.")
        self.assignments = registry.gauge("gotunnel_assignments", help: "Mapped ports that the leader has given out.")
        self.leaderChanges = registry.counter(
            "gotunnel_leader_changes_total", help: "How often this server heard of another leader, or of none.")
    }

    package func set(_ values: Values) {
        for (state, gauge) in self.members { gauge.set(values.members[state] ?? 0) }
        self.term.set(Int(clamping: values.term))
        self.isLeader.set(values.isLeader ? 1 : 0)
        self.registryEntries.set(values.registryEntries)
        self.assignments.set(values.assignments)
    }
}
