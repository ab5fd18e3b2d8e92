/// Yes, or no with the reason.
package enum AccessDecision: Sendable, Equatable {
    case allowed
    /// Printable ASCII, at most 200 bytes; names the configuration key that would allow it.
    case refused(String)

    package var isAllowed: Bool { self == .allowed }

    static func refuse(_ reason: String) -> AccessDecision { .refused(PrintableText.sanitize(reason)) }
}

/// The mapped port that an exposure asks for.
package enum RequestedPort: Sendable, Equatable {
    /// None: the exposure is reached by name.
    case none
    /// Any port, picked by the servers (`remote_port: 0`).
    case picked
    /// This one (1 to 65535).
    case fixed(UInt16)
}

/// Who may do what: the section `server.clients`.
///
/// The first entry in the order of the file whose pattern matches the client's name decides alone. Without the section every
/// client may use any service and offer exposures within the servers' own port rules, and no routes; with it, a client that no
/// pattern matches may do nothing. A key left out of an entry has that same default; an empty list allows nothing.
package struct AccessPolicy: Sendable, Equatable {
    /// One entry of `server.clients`.
    package struct Entry: Sendable, Equatable {
        /// Which clients it is about.
        package let clients: NamePattern
        /// The services they may open; `nil`: any.
        package let services: [NamePattern]?
        /// The exposures they may offer; `nil`: any.
        package let exposures: [NamePattern]?
        /// The mapped ports they may ask for, in place of the server's own; `nil`: the server's own.
        package let ports: [ClosedRange<UInt16>]?
        /// What they may route to, as the configuration spells it.
        package let routes: [String]

        package init(
            clients: NamePattern, services: [NamePattern]? = nil, exposures: [NamePattern]? = nil,
            ports: [ClosedRange<UInt16>]? = nil, routes: [String] = []
        ) {
            self.clients = clients
            self.services = services
            self.exposures = exposures
            self.ports = ports
            self.routes = routes
        }
    }

    /// Where ports are picked if the configuration names no range.
    package static let defaultPickedPorts: [ClosedRange<UInt16>] = [20_000...20_999]
    /// The lowest fixed port that passes while the configuration names no range.
    package static let lowestUnprivilegedPort: UInt16 = 1024

    /// The section `server.clients`; `nil` if there is none.
    package let entries: [Entry]?
    /// `server.exposures.ports`; `nil` if not set, so that any fixed port from 1024 on passes.
    package let ports: [ClosedRange<UInt16>]?

    package init(entries: [Entry]? = nil, ports: [ClosedRange<UInt16>]? = nil) {
        self.entries = entries
        self.ports = ports
    }

    /// Whether `client` may open streams to `service`.
    package func mayUse(service: String, client: String) -> AccessDecision {
        decide(for: client) { entry in
            guard let allowed = entry.services, !allowed.contains(where: { $0.matches(service) }) else { return .allowed }
            return .refuse(
                "service \(PrintableText.quoted(service)) is not allowed to client \(PrintableText.quoted(client)): "
                    + "add it to \(Self.key(entry)).services")
        }
    }

    /// Whether `client` may offer the exposure `name` with this mapped port.
    package func mayExpose(name: String, port: RequestedPort, client: String) -> AccessDecision {
        decide(for: client) { entry in
            if let allowed = entry.exposures, !allowed.contains(where: { $0.matches(name) }) {
                return .refuse(
                    "exposure \(PrintableText.quoted(name)) is not allowed to client \(PrintableText.quoted(client)): "
                        + "add it to \(Self.key(entry)).exposures")
            }
            return mayMap(port, entry: entry)
        }
    }

    /// Whether `client` may claim `route`. Routes are compared as text.
    package func mayRoute(_ route: String, client: String) -> AccessDecision {
        decide(for: client) { entry in
            if entry.routes.contains(route) { return .allowed }
            return .refuse(
                "route \(PrintableText.quoted(route)) is not allowed to client \(PrintableText.quoted(client)): "
                    + "add it to \(Self.key(entry)).routes")
        }
    }

    /// The ranges that a picked port for `client` comes from, in the order of the file; empty if the client may have none.
    package func pickedPorts(client: String) -> [ClosedRange<UInt16>] {
        guard let entry = entry(for: client) else { return [] }
        return entry.ports ?? ports ?? Self.defaultPickedPorts
    }

    /// The entry that stands for a missing section.
    private static let unrestricted = Entry(clients: .any)

    private func entry(for client: String) -> Entry? {
        guard let entries else { return Self.unrestricted }
        return entries.first { $0.clients.matches(client) }
    }

    private func decide(for client: String, _ judge: (Entry) -> AccessDecision) -> AccessDecision {
        guard let entry = entry(for: client) else {
            return .refuse("no pattern under server.clients matches client \(PrintableText.quoted(client)): add one for it")
        }
        return judge(entry)
    }

    private func mayMap(_ port: RequestedPort, entry: Entry) -> AccessDecision {
        let ranges = entry.ports ?? ports
        let key = entry.ports == nil ? "server.exposures.ports" : "\(Self.key(entry)).ports"
        switch port {
        case .none:
            return .allowed
        case .picked:
            return ranges?.isEmpty == true
                ? .refuse("no mapped port may be picked for this client: add a range to \(key)") : .allowed
        case .fixed(let number):
            if let ranges {
                let isInside = ranges.contains { $0.contains(number) }
                return isInside ? .allowed : .refuse("mapped port \(number) is not in an allowed range: add it to \(key)")
            }
            if number >= Self.lowestUnprivilegedPort { return .allowed }
            return .refuse("mapped port \(number) is below \(Self.lowestUnprivilegedPort): to allow it, add it to \(key)")
        }
    }

    /// The configuration key of an entry, as an operator finds it in the file.
    private static func key(_ entry: Entry) -> String {
        "server.clients.\(PrintableText.quoted(entry.clients.description))"
    }
}
