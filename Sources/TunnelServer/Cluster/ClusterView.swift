import ClusterCore
import Timing
import TunnelWire

/// What the admin API shows of the cluster, as it was a moment ago.
struct ClusterView: Sendable {
    var members: [MemberView] = []
    /// Smoothed, of those that are linked.
    var roundTrips: [ServerName: Duration] = [:]
    var leadership: Leadership?
    var mappedPorts: [MappedPort] = []
}
