import TunnelWire

/// The ports that clients' own configurations name, anywhere in the cluster: the leader gives them to nobody else.
struct PortClaims: Sendable {
    private struct Entry: Hashable, Sendable {
        var owner: ServerName
        var client: String
    }

    /// How many registrations claim each port.
    private(set) var ports: [UInt16: Int] = [:]
    private var claims: [Entry: [UInt16]] = [:]

    mutating func set(_ owner: ServerName, _ key: RegistryKey, _ record: RegistryRecord?) {
        guard key.kind == .client else { return }
        let entry = Entry(owner: owner, client: key.name)
        var wanted: [UInt16] = []
        if case .client(let client) = record {
            for exposure in client.exposures {
                if case .fixed(let port, _) = exposure.port { wanted.append(port) }
            }
        }
        let before = self.claims[entry] ?? []
        guard wanted != before else { return }
        self.claims[entry] = wanted.isEmpty ? nil : wanted
        for port in wanted { self.ports[port, default: 0] += 1 }
        for port in before {
            let count = (self.ports[port] ?? 0) - 1
            self.ports[port] = count > 0 ? count : nil
        }
    }
}
