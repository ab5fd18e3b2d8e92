import ClusterCore
import Timing
import TunnelWire

/// The listeners on mapped ports, as a server's driver keeps them.
extension World {
    /// Listens on every port of the map, and on no other but those that are being closed.
    mutating func bind(_ place: Int, _ ports: [MappedPort]) {
        if let untrusted = self.places[place].untrusted {
            guard let node = self.places[place].process?.node, node.stored.settled > untrusted else { return }
            self.places[place].untrusted = nil
        }
        var bound: [UInt16: MappedPort] = [:]
        for (port, token) in self.places[place].closing {
            if let listener = self.places[place].bound[port], listener.token == token { bound[port] = listener }
        }
        for mapped in ports {
            if let highest = self.places[place].highest[mapped.port], highest > mapped.token {
                if let listener = self.places[place].bound[mapped.port] { bound[mapped.port] = listener }
                continue
            }
            self.places[place].highest[mapped.port] = mapped.token
            bound[mapped.port] = mapped
        }
        self.places[place].bound = bound
        for mapped in ports where bound[mapped.port] == mapped { self.checkListeners(place, mapped) }
    }

    /// No two servers lead one port to different targets.
    private mutating func checkListeners(_ place: Int, _ mapped: MappedPort) {
        for other in self.places where other.index != place && other.isRunning {
            guard let theirs = other.bound[mapped.port] else { continue }
            let text = ListenerCheck.conflict(mapped, of: self.places[place].name, theirs, of: other.name)
            self.violate(.listeners, text)
        }
    }

    mutating func unbind(_ place: Int, _ port: UInt16, _ token: Ballot) {
        self.coverage.unbinds += 1
        self.places[place].closing[port] = token
        let after = self.networkRandom.span(.zero ... .seconds(2))
        self.plan(.closed(place: place, life: self.places[place].life, port: port, token: token), after: after)
    }

    mutating func closed(_ place: Int, _ port: UInt16, _ token: Ballot) {
        if self.places[place].closing[port] == token { self.places[place].closing[port] = nil }
        if self.places[place].bound[port]?.token == token { self.places[place].bound[port] = nil }
        self.feed(.unbound(port, token: token), to: place)
    }
}
