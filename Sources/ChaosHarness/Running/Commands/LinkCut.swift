import Settings

/// Which packets one host drops so that links of the tunnel fall silent, and those alone: the links' ports to and from the
/// others' addresses. The host's own traffic of other kinds goes on. Pure.
struct LinkCut: Sendable, Equatable {
    /// Whose filter drops them.
    var host: RunningMember
    /// What goes from `host` to these.
    var outgoing: [RunningMember] = []
    /// What comes from these to `host`.
    var incoming: [RunningMember] = []

    /// - Parameter isOneWay: only what `victim` sends is dropped.
    /// - Throws: `StageError` where there is nothing to cut or no address to cut it by.
    static func cuts(of victim: RunningMember, from others: [RunningMember], isOneWay: Bool) throws -> [LinkCut] {
        var cuts: [LinkCut] = [LinkCut(host: victim)]
        for other in others {
            if victim.role == .client, other.role == .client {
                throw StageError("there is no link between \(victim.name) and \(other.name)")
            }
            if victim.role == .server, other.role == .client {
                // A server sees a worker by the address of its router; the worker's own filter knows the server's.
                _ = try self.address(of: victim)
                cuts.append(LinkCut(host: other, outgoing: isOneWay ? [] : [victim], incoming: [victim]))
            } else {
                _ = try self.address(of: other)
                cuts[0].outgoing.append(other)
                if !isOneWay { cuts[0].incoming.append(other) }
            }
        }
        return cuts.filter { !$0.outgoing.isEmpty || !$0.incoming.isEmpty }
    }

    private static func address(of member: RunningMember) throws -> IPAddress {
        if let address = member.address { return address }
        throw StageError("\(member.name) cannot be cut off: its address is not known; write address: in the cluster's file")
    }

    /// A table of its own, which can be deleted as a whole.
    func rules(table: String) -> String {
        let out = self.outgoing.flatMap { self.matches($0, isOutgoing: true) }
        let into = self.incoming.flatMap { self.matches($0, isOutgoing: false) }
        let chains = [Self.chain("output", out), Self.chain("input", into)].compactMap { $0 }
        return "table inet \(table) { \(chains.map { "\($0); " }.joined())}"
    }

    private static func chain(_ hook: String, _ matches: [String]) -> String? {
        if matches.isEmpty { return nil }
        let drops = matches.map { "\($0) drop" }.joined(separator: "; ")
        // Before connection tracking and the host's own filter, both of which might already have decided.
        return "chain \(hook) { type filter hook \(hook) priority -350; policy accept; \(drops); }"
    }

    /// What belongs to links with `far`: those that it accepted, and those that `host` did.
    private func matches(_ far: RunningMember, isOutgoing: Bool) -> [String] {
        guard let address = far.address else { return [] }
        let place = "\(address.isIPv6 ? "ip6" : "ip") \(isOutgoing ? "daddr" : "saddr") \(address)"
        var matches: [String] = []
        if far.role == .server { matches.append("\(place) tcp \(isOutgoing ? "dport" : "sport") \(far.port)") }
        if self.host.role == .server { matches.append("\(place) tcp \(isOutgoing ? "sport" : "dport") \(self.host.port)") }
        return matches
    }
}
