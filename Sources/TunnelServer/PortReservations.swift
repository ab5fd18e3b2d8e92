import Synchronization
import TunnelWire

/// Which client holds which mapped port, over all event loops: a port never has two owners.
final class PortReservations: Sendable {
    private let owners = Mutex<[UInt16: Owner]>([:])

    /// Who holds a port: a client's installation, so that its next instance takes it over.
    struct Owner: Equatable, Sendable {
        var client: String
        var installation: WireID
        var exposure: String
    }

    /// Nil when `owner` holds the port from now on, otherwise who does.
    func reserve(_ port: UInt16, for owner: Owner) -> Owner? {
        self.owners.withLock { owners in
            if let holder = owners[port], holder != owner { return holder }
            owners[port] = owner
            return nil
        }
    }

    func release(_ port: UInt16, by owner: Owner) {
        self.owners.withLock { owners in
            if owners[port] == owner { owners[port] = nil }
        }
    }
}
