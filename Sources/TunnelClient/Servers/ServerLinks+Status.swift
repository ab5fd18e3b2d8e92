import Admin
import TunnelSession
import TunnelTransport

/// What status shows.
extension ServerLinks {
    /// Every link that stands or was tried, those that stand first.
    var states: [LinkState] {
        let linked = self.connections.map { self.state(of: $0) }
        let failed = self.failures.keys.filter { self.table[$0] == nil }.sorted { $0.description < $1.description }
            .compactMap { endpoint in
                self.failures[endpoint].map {
                    LinkState(address: endpoint.description, state: .down, since: $0.since, reason: $0.reason)
                }
            }
        let all = linked + failed
        return all.filter { $0.state != .down } + all.filter { $0.state == .down }
    }

    var sessions: [SessionSnapshot] { self.connections.compactMap { $0.session?.snapshot() } }

    /// The names of the servers that there is a link with.
    var linkedServers: [String] { self.connections.filter(\.isUp).compactMap(\.peer?.name).sorted() }

    /// Why no link is up; nil when one is.
    var problem: String? {
        guard !self.connections.contains(where: \.isUp) else { return nil }
        return self.states.compactMap(\.reason).first ?? "not connected yet"
    }

    /// Notes in which state every link is, for metrics and for the time since when it is so.
    func noteStates() {
        var counts: [LinkStatus.State: Int] = [:]
        for connection in self.connections { counts[self.state(of: connection).state, default: 0] += 1 }
        self.counts.set(counts)
    }

    private func state(of connection: ServerConnection) -> LinkState {
        var state = self.presentState(of: connection)
        state.since = connection.entered(state.state)
        return state
    }

    private func presentState(of connection: ServerConnection) -> LinkState {
        var state = LinkState(
            server: connection.peer?.name, address: connection.endpoint.description, state: .down, since: .now(),
            reason: connection.downReason ?? self.failures[connection.endpoint]?.reason)
        guard connection.isUp, let path = connection.path, let session = connection.session?.snapshot() else { return state }
        state.roundTrip = session.roundTrip
        state.reason = session.isPeerDraining ? "the server drains" : nil
        if session.isSuspect || self.opener.isSuspect(path) {
            state.state = .suspect
            state.reason = session.isSuspect ? "two heartbeats went unanswered" : "requests for streams went unanswered"
        } else {
            state.state = self.opener.isActive(path) && !session.isPeerDraining ? .active : .standby
        }
        return state
    }

    /// Why connections to a service would not be served; nil when they would be.
    func problem(with service: String) -> String? {
        let up = self.connections.filter(\.isUp)
        guard !up.isEmpty else { return "no link to a server" }
        let open = up.filter { $0.session?.snapshot().isPeerDraining == false }
        guard !open.isEmpty else { return up.count == 1 ? "the server drains" : "the servers drain" }
        let said = open.compactMap { $0.services?[service] }
        if said.contains(true) { return nil }
        if said.isEmpty { return "the server does not offer this service to this client" }
        return "the server says that the service is down"
    }
}
