import Daemon
import NIOCore
import TunnelTransport
import TunnelWire

extension ServerLoop {
    /// What the other end of each link is told.
    private static let farewell = Close(.restarting, "another process of this server takes over")

    /// Stops listening on mapped ports. What is accepted already is dealt with; what comes now waits in the kernel.
    func freezePorts() -> [HandoffListener] { self.ports.freeze() }

    /// Stops everything and hands it over.
    func freeze() -> FrozenLoop {
        var frozen = FrozenLoop()
        // Connections that are no streams yet take back what was asked for in their name.
        for client in self.routes.keys.sorted() { frozen.openings += self.routes[client]?.freeze() ?? [] }
        for session in self.sessions {
            guard let driver = session.driver.freeze(farewell: Self.farewell) else { continue }
            frozen.clients.append((session.frozen, driver))
        }
        for id in self.inbound.keys.sorted(by: { $0.description < $1.description }) {
            guard let session = self.inbound[id], let driver = session.driver.freeze(farewell: Self.farewell) else { continue }
            frozen.inbound.append((session.frozen(loop: self.index), driver, session.frozenLane))
        }
        for (name, session) in self.lanes.freeze(farewell: Self.farewell) {
            let about = FrozenPeer(
                server: name, instance: session.ticket.server, session: session.ticket.session,
                secret: session.ticket.secret.reveal(), loop: self.index)
            frozen.lanes.append((about, session.driver, session.lane))
        }
        return frozen
    }
}
