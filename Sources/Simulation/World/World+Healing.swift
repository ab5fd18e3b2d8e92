import ClusterCore
import Timing
import TunnelWire

/// The second phase: no faults any more, and everybody has to agree.
extension World {
    /// Links are made again, silent ones given up first, a leader is elected: then three rounds of the registry.
    static let patience: Int64 = 15_000_000_000
    /// How long a server may take to start that was told to stop just before.
    static let startPatience: Int64 = 30_000_000_000
    /// So long nobody may be declared dead then, and the leader stays.
    static let quiet: Int64 = 30_000_000_000

    /// How long it took until all agreed, in nanoseconds; nil: they did not.
    mutating func converge() -> Int64? {
        let healed = self.now
        var start = healed
        self.heal()
        self.clients.isOver = true
        self.operators.isOver = true
        var reason: String? = "nothing was looked at"
        repeat {
            self.run(until: self.now + 250_000_000)
            guard self.violations.isEmpty else { return nil }
            // Nobody agrees with a server that is not there.
            if self.now - healed < Self.startPatience, self.places.contains(where: { !$0.isRunning }) { start = self.now }
            reason = self.disagreement()
        } while reason != nil && self.now - start < Self.patience
        let took = self.now - healed
        self.violate(.convergence, reason.map { "\(Self.patience / 1_000_000_000) s after healing, \($0)" })
        guard reason == nil else { return nil }
        self.run(until: start + Self.patience)
        let term = self.places.first { $0.isRunning }?.node?.leadership.term
        self.checks.convergence.quietSince = self.now
        self.run(until: self.now + Self.quiet)
        guard self.violations.isEmpty else { return nil }
        self.violate(.convergence, self.disagreement().map { "after \(Self.quiet / 1_000_000_000) quiet seconds, \($0)" })
        if let now = self.places.first(where: { $0.isRunning })?.node?.leadership.term, now != term {
            self.violate(.convergence, "a leader was elected without need: term \(term ?? 0) became term \(now)")
        }
        return took
    }

    /// What is not as it has to be; nil: all agree.
    private func disagreement() -> String? { self.leaderless() ?? self.differences() ?? self.unanswered() }

    private func leaderless() -> String? {
        var leaders: [ServerName] = []
        for place in self.places where place.node?.leadership.role == .leader { leaders.append(place.name) }
        guard let leader = leaders.first, leaders.count == 1 else { return "\(leaders.count) servers lead: \(leaders)" }
        let lead = self.places.first { $0.name == leader }?.node?.leadership
        guard lead?.isServing == true else { return "\(leader) leads but does not serve" }
        for place in self.places {
            guard let view = place.node?.leadership else { return "\(place.name) does not run" }
            guard view.leader == leader, view.term == lead?.term else {
                return
                    "\(place.name) takes \(view.leader ?? "nobody") for the leader of term \(view.term), not \(leader) of \(lead?.term ?? 0)"
            }
            guard view.voters == lead?.voters, view.cluster == lead?.cluster else {
                return "\(place.name) has other voters than \(leader)"
            }
        }
        return nil
    }

    private func differences() -> String? {
        guard let ports = self.places.first?.node?.mappedPorts else { return nil }
        let fingerprint = self.places.first?.node?.registry.fingerprint
        for place in self.places {
            if place.node?.mappedPorts != ports { return "\(place.name) has another map of ports than s0" }
            for other in self.places where other.index != place.index {
                if let text = self.checks.registry.difference(other.index, seenBy: place.index) { return text }
                if place.node?.members.first(where: { $0.name == other.name })?.state != .alive {
                    return "\(place.name) does not take \(other.name) for alive"
                }
            }
            if place.node?.registry.fingerprint != fingerprint { return "\(place.name) has another registry than s0" }
        }
        return nil
    }

    private func unanswered() -> String? {
        guard let (id, question) = self.checks.answers.open.min(by: { $0.key < $1.key }) else { return nil }
        return "s\(question.place) has no answer to its request \(id): \(question.request.text)"
    }
}
