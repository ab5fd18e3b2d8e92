/// Who can be met at the moment.
package struct TargetCast: Sendable, Equatable {
    package var servers: [String]
    package var clients: [String]
    package var apiservers: [String]

    package init(servers: [String], clients: [String], apiservers: [String]) {
        self.servers = servers
        self.clients = clients
        self.apiservers = apiservers
    }

    /// The server beside which an apiserver runs, and the other way round: they have the same number.
    func partner(of name: String) -> String? {
        let others = self.servers.contains(name) ? self.apiservers : self.apiservers.contains(name) ? self.servers : []
        return others.first { Self.number($0) == Self.number(name) }
    }

    private static func number(_ name: String) -> Substring? { name.split(separator: "-").last }
}

/// Whose turn it is with `each …`, by plan.
package struct TargetTurns: Sendable {
    private var turns: [Int: Int] = [:]

    package init() {}

    mutating func next(_ plan: Int, of count: Int) -> Int {
        let turn = self.turns[plan, default: 0]
        self.turns[plan] = turn + 1
        return count > 0 ? turn % count : 0
    }
}

/// Finds out whom a fault meets. Pure.
package enum TargetResolver {
    package struct Met: Sendable, Equatable {
        package var victims: [String]
        /// The other side, of what happens between two.
        package var others: [String]
        /// Why nobody is met.
        package var reason: String?

        package init(victims: [String], others: [String] = [], reason: String? = nil) {
            self.victims = victims
            self.others = others
            self.reason = reason
        }
    }

    /// - Parameter struck: who suffers something already. Nobody is struck twice at a time, except by what happens to links; and
    ///   a fault that takes a server or its apiserver away is left out while it would leave no majority of servers untouched,
    ///   the apiservers beside them included, unless it names all of them itself: a rehearsal of single failures should not
    ///   become one of the loss of a quorum by chance. A ring needs every server untouched: it spares none a link to lose.
    package static func resolve(
        _ fault: ScheduledFault, cast: TargetCast, view: ClusterView?, struck: [String], turns: inout TargetTurns
    ) -> Met {
        let victims = self.names(fault.plan.who, fault, cast, view, struck, &turns)
        guard !victims.isEmpty else { return Met(victims: [], reason: "there is no \(fault.plan.who.name) now") }
        let others = fault.plan.other.map { other in
            var none = TargetTurns()
            return self.names(other, fault, cast, view, [], &none).filter { !victims.contains($0) }
        }
        if fault.plan.other != nil, others?.isEmpty ?? true {
            return Met(victims: [], reason: "there is nobody on the other side")
        }
        if fault.plan.action.takesAway {
            if let one = victims.first(where: { struck.contains($0) }) {
                return Met(victims: [], reason: "\(one) suffers something already")
            }
            if self.leavesNoMajority(victims, fault.plan.who, cast, struck) {
                return Met(victims: [], reason: "it would leave no majority of servers")
            }
        } else if case .ring = fault.plan.action, let one = cast.servers.first(where: { struck.contains($0) }) {
            return Met(victims: [], reason: "\(one) suffers something already")
        }
        return Met(victims: victims, others: others ?? [])
    }

    private static func leavesNoMajority(_ victims: [String], _ who: Target, _ cast: TargetCast, _ struck: [String]) -> Bool {
        func touched(_ names: [String]) -> Set<String> {
            Set(names.compactMap { cast.servers.contains($0) ? $0 : cast.partner(of: $0) })
        }
        let more = touched(victims)
        guard !more.isEmpty, cast.servers.count > 2, who != .allServers, who != .allApiservers else { return false }
        let left = cast.servers.count - touched(struck).union(more).count
        return left * 2 <= cast.servers.count
    }

    private static func names(
        _ target: Target, _ fault: ScheduledFault, _ cast: TargetCast, _ view: ClusterView?, _ struck: [String],
        _ turns: inout TargetTurns
    ) -> [String] {
        func one(_ names: [String]) -> [String] {
            // Of those that suffer nothing, if there are any.
            let free = names.filter { !struck.contains($0) }
            let choice = free.isEmpty ? names : free
            return choice.isEmpty ? [] : [choice[Int(fault.draw % UInt64(choice.count))]]
        }
        func inTurn(_ names: [String], _ turns: inout TargetTurns) -> [String] {
            names.isEmpty ? [] : [names[turns.next(fault.planIndex, of: names.count)]]
        }
        let active = view?.clients.first?.active.flatMap { cast.servers.contains($0) ? $0 : nil }
        switch target {
        case .named(let name): return [name]
        case .anyServer: return one(cast.servers)
        case .anyClient: return one(cast.clients)
        case .anyApiserver: return one(cast.apiservers)
        case .eachServer: return inTurn(cast.servers, &turns)
        case .eachClient: return inTurn(cast.clients, &turns)
        case .eachApiserver: return inTurn(cast.apiservers, &turns)
        case .eachPeer: return inTurn(cast.servers + cast.clients, &turns)
        case .allServers: return cast.servers
        case .allClients: return cast.clients
        case .allApiservers: return cast.apiservers
        case .leader: return view?.leader.map { [$0] } ?? []
        case .follower: return one(cast.servers.filter { $0 != view?.leader })
        case .active: return active.map { [$0] } ?? []
        case .activeApiserver: return active.flatMap { cast.partner(of: $0) }.map { [$0] } ?? []
        case .everyone: return cast.servers + cast.clients
        }
    }
}
