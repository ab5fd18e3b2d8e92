import Settings

/// One place to dial: a configured or learned address, and for a DNS name one of the addresses it leads to.
struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// As configured or learned.
    let entry: HostPort
    /// Where a name was found to lead; nil for an IP address and for a name that has not been resolved yet.
    let address: HostPort?

    /// The endpoint of an IP address, or of a name that is not resolved yet.
    init(entry: HostPort) {
        self.entry = entry
        self.address = nil
    }

    /// One of the addresses that a name leads to.
    init(entry: HostPort, address: HostPort) {
        self.entry = entry
        self.address = address
    }

    /// What is dialled: two endpoints with the same target are the same place.
    var target: HostPort { self.address ?? self.entry }

    /// The IP address and port to dial; of a name that is not resolved yet, the name.
    var dialAddress: (host: String, port: Int) { (self.target.host.description, self.target.port) }

    /// `10.0.0.11:17000`, or `k8s.example.org:17000 (10.0.0.11:17000)`.
    var description: String {
        guard let address = self.address else { return "\(self.entry)" }
        return "\(self.entry) (\(address))"
    }

    /// Whether it stands for a name that has to be resolved before anything can be dialled.
    var isUnresolved: Bool { self.entry.isName && self.address == nil }
}

extension HostPort {
    /// Whether the host is a name, to be resolved before each attempt.
    var isName: Bool { if case .name = self.host { true } else { false } }
}
