import ChaosCore

/// What happens between hosts.
extension StageFaults {
    func beginLinkFault(_ action: FaultAction, _ victims: [String], others: [String]) async throws -> Undo {
        if case .reset = action {
            for victim in victims { try self.reset(victim, others) }
            return {}
        }
        guard let lab = self.stage.lab else { throw StageError("links can be cut between network namespaces only") }
        let faults = try self.linkFaults(action, victims, others: others)
        if case .flap(let half) = action { return try self.flap(lab, faults, half) }
        let ids = try faults.map { try lab.begin($0) }
        return { for id in ids { try lab.end(id) } }
    }

    private func linkFaults(_ action: FaultAction, _ victims: [String], others: [String]) throws -> [LinkFault] {
        let hosts = try victims.map { try self.host($0) }
        let far = try others.map { try self.host($0) }
        switch action {
        case .cut, .flap: return Self.pairs(hosts, far).map { .cut($0.0, $0.1) }
        case .cutOneWay: return Self.pairs(hosts, far).map { .cutOneWay($0.0, $0.1) }
        case .ring: return Self.ring(self.places.servers.filter { !$0.isSpare }.map(\.index)).map { .cut($0.0, $0.1) }
        case .loss(let share): return hosts.map { .loss($0, share) }
        case .rate(let bytes): return hosts.map { .rate($0, bytes) }
        case .delay(let time): return hosts.map { .delay($0, time) }
        default: return []
        }
    }

    private func host(_ name: String) throws -> Int {
        guard let index = self.places.hostIndex(name) else { throw StageError("\(name) has no host") }
        return index
    }

    /// Everyone of one side with everyone else of the other.
    static func pairs(_ some: [Int], _ others: [Int]) -> [(Int, Int)] {
        some.flatMap { one in others.filter { $0 != one }.map { (one, $0) } }
    }

    /// Those to cut so that each of `hosts`, in a ring, reaches only its two neighbours.
    static func ring(_ hosts: [Int]) -> [(Int, Int)] {
        var cuts: [(Int, Int)] = []
        for (i, one) in hosts.enumerated() {
            for (j, other) in hosts.enumerated() where i < j {
                let distance = min(j - i, hosts.count - (j - i))
                if distance > 1 { cuts.append((one, other)) }
            }
        }
        return cuts
    }

    /// Cut, healed, cut again, until it is undone.
    private func flap(_ lab: NamespaceLab, _ faults: [LinkFault], _ half: Duration) throws -> Undo {
        let work = Task {
            while !Task.isCancelled {
                let ids = try faults.map { try lab.begin($0) }
                try? await Task.sleep(for: half)
                for id in ids { try lab.end(id) }
                try? await Task.sleep(for: half)
            }
        }
        return {
            work.cancel()
            try await work.value
        }
    }

    /// Resets the TCP connections that a host has with the link ports of others, or that others have with its own.
    private func reset(_ victim: String, _ others: [String]) throws {
        guard let host = self.places.host(victim) else { throw StageError("\(victim) has no host") }
        let far = others.compactMap { self.places.host($0)?.address }
        let from = ["src", host.address]
        for address in far.isEmpty ? [nil] : far.map(Optional.some) {
            let to = address.map { ["dst", $0] } ?? []
            // Both ends: the connection is known by one port at the server's, by the other at the client's.
            for port in ["sport", "dport"] {
                try Shell.run(host.command(["ss", "-K", "-tnH", "state", "established"] + from + to + [port, "=", ":17000"]))
            }
        }
    }
}
