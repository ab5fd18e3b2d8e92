import Daemon
import NIOCore
import Settings
import TunnelTransport
import TunnelWire

extension HandoffKind {
    /// A session with a server: a ``FrozenLink``, then its driver.
    static let link = HandoffKind(rawValue: 0x0402)
    /// Connections to forwards that are no streams yet, behind a ``FrozenBoard``.
    static let board = HandoffKind(rawValue: 0x0403)
}

/// What a client's event loop leaves to the next process. Holds descriptors and buffers of this one.
struct FrozenWorker: Sendable {
    var links: [(about: FrozenLink, driver: FrozenDriver)]
    var openings: [FrozenConnection]
    /// The version of the registration that was sent last.
    var registration: UInt64
}

/// A session with a server besides its streams.
struct FrozenLink: Codable, Sendable {
    struct Service: Codable, Sendable {
        var name: String
        var isHealthy: Bool
        var mayHedgeDial: Bool
    }

    /// Where the server was dialled: as configured or learned, and where a name was found to lead.
    var entry: String
    var address: String?
    var peer: ServerIdentity
    var session: WireID
    /// 32 bytes.
    var secret: [UInt8]
    var announced: [Service]

    init(_ connection: ServerConnection, _ peer: ServerIdentity, _ ticket: ResumeTicket) {
        self.entry = connection.endpoint.entry.description
        self.address = connection.endpoint.address?.description
        self.peer = peer
        self.session = ticket.session
        self.secret = ticket.secret.reveal()
        self.announced = (connection.announced?.services ?? []).map {
            Service(name: $0.name, isHealthy: $0.isHealthy, mayHedgeDial: $0.mayHedgeDial)
        }
    }

    /// Nil: it is none.
    var endpoint: Endpoint? {
        guard let entry = HostPort(self.entry) else { return nil }
        guard let address else { return Endpoint(entry: entry) }
        return HostPort(address).map { Endpoint(entry: entry, address: $0) }
    }

    var services: Services {
        Services(
            self.announced.map {
                ServiceAnnouncement(name: $0.name, isHealthy: $0.isHealthy, mayHedgeDial: $0.mayHedgeDial)
            })
    }
}

/// What the client itself has to remember.
struct FrozenBoard: Codable, Sendable {
    /// The version of the registration that was sent last.
    var registration: UInt64
}
