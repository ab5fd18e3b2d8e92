import Timing
import TunnelWire

/// Whose turn it is to drain, as the leader sees it. Nothing depends on it for safety: after a change of leaders two servers
/// may drain at once for a moment.
struct DrainTurn: Sendable {
    private(set) var holder: (name: ServerName, until: Moment)?

    /// How long a turn is kept for a server that does not say that it drains.
    private static let patience = Duration.seconds(5)

    /// - Parameter draining: those of the living servers that say that they drain.
    mutating func take(_ name: ServerName, draining: [ServerName], now: Moment) -> Bool {
        guard draining.allSatisfy({ $0 == name }) else { return false }
        if let holder = self.holder, holder.name != name, holder.until > now { return false }
        self.holder = (name, now + Self.patience)
        return true
    }
}

/// What the leader does beside the assignments.
extension ClusterNode {
    static let spreadInterval = Duration.seconds(30)
    /// A server is relieved when it has half again its share and as many clients more.
    static let spreadSlack = 10

    mutating func grantDrain(
        _ id: UInt64, to name: ServerName, _ now: Moment, _ rng: inout some RandomNumberGenerator
    ) {
        guard self.assignments.isServing, self.drains.take(name, draining: self.draining, now: now) else { return }
        let answer = AssignmentsMessage.answer(id: id, .done)
        if name == self.configuration.name {
            self.receive(answer, from: name, now, &rng)
        } else if self.isReachable(name) {
            self.actions.append(.send(.assignments(answer), to: name))
        }
    }

    /// The living servers that say that they drain.
    private var draining: [ServerName] {
        self.members.filter { $0.state != .dead && $0.state != .left }.map(\.name).filter { name in
            guard case .server(let record) = self.registry.record(name, RegistryKey(.server, name)) else { return false }
            return record.isDraining
        }
    }

    /// Has a server with far more than its share of the clients send some to the one with the fewest. A hint: they go at leisure.
    mutating func spread(_ now: Moment) {
        guard self.election.isLeading, now >= self.spreadAt else { return }
        self.spreadAt = now + Self.spreadInterval
        let draining = self.draining
        let servers = self.members.filter { $0.state == .alive && !draining.contains($0.name) }.map(\.name)
        guard servers.count > 1 else { return }
        var clients: [ServerName: Int] = [:]
        self.registry.forEachVisible { owner, key, _ in if key.kind == .client { clients[owner, default: 0] += 1 } }
        let counts = servers.map { (name: $0, count: clients[$0] ?? 0) }
        let share = counts.reduce(0) { $0 + $1.count } / servers.count
        guard let most = counts.max(by: { ($0.count, $0.name) < ($1.count, $1.name) }),
            let least = counts.min(by: { ($0.count, $0.name) < ($1.count, $1.name) }),
            most.count > share + share / 2 + Self.spreadSlack
        else { return }
        // Half of what is too much: the next look sees what came of it.
        let surplus = max(1, (most.count - share) / 2)
        if most.name == self.configuration.name {
            self.actions.append(.spread(surplus, to: least.name))
        } else if self.isReachable(most.name) {
            self.actions.append(.send(.duty(.spread(count: UInt32(clamping: surplus), to: least.name)), to: most.name))
        }
    }
}
