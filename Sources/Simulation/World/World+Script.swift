import ClusterCore
import Timing
import TunnelWire

/// What scripts do with a world in which nothing happens by itself.
extension World {
    /// Goes on until `holds`, for `limit` at most. False: it never did.
    mutating func run(upTo limit: Duration, until holds: (World) -> Bool) -> Bool {
        let end = self.now + limit.wholeNanoseconds
        while !holds(self) {
            guard self.now < end, self.violations.isEmpty else { return false }
            self.run(for: .milliseconds(1))
        }
        return true
    }

    /// The place that leads and serves, if there is exactly one.
    var leader: Int? {
        let leaders = self.places.filter { $0.node?.leadership.role == .leader && $0.node?.leadership.isServing == true }
        return leaders.count == 1 ? leaders.first?.index : nil
    }

    /// A place hears this as if a peer had sent it just now.
    mutating func inject(_ message: ClusterMessage, from peer: Int, to place: Int) {
        self.feed(.received(message, from: self.places[peer].name), to: place)
    }

    /// Cuts both ways between a place and all others. The number is for `mend`.
    mutating func isolate(_ place: Int) -> Int {
        let others = self.places.indices.filter { $0 != place }
        self.cut(others.flatMap { [($0, place), (place, $0)] }, for: nil)
        return self.faults.lastCut
    }

    /// A client's registration with one exposure that wants a port.
    mutating func register(_ client: String, _ installation: WireID, at place: Int) {
        self.clients.stamp += 1
        let record = ClientRecord(
            installation: installation, instance: installation, address: "192.0.2.1", since: self.clients.stamp,
            exposures: [ExposureRecord(name: "kubelet", port: .assigned, isHealthy: true)])
        self.set(RegistryKey(.client, client), .client(record), at: place)
    }

    func grant(of client: String, at place: Int) -> (port: UInt16, grant: PortGrant)? {
        let grants = self.places[place].node?.stored.state.grants ?? [:]
        return grants.first { $0.value.client == client }.map { ($0.key, $0.value) }
    }
}
