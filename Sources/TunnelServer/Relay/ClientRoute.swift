import NIOCore
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// The ways to one client from one event loop: its own session here, and the servers that hold it. Bound to the loop.
///
/// The session here comes first while it is well, whatever the round trips say: the others cost a server more.
final class ClientRoute {
    private let client: String
    private let opener: StreamOpener
    private let environment: TransportEnvironment
    private var local: PathID?
    private var relays: [ServerName: PathID] = [:]
    private var names: [PathID: ServerName] = [:]
    private(set) var lastUsed: Moment

    /// - Parameter onNotHere: a server did not hold the client, although the registry says so.
    init(client: String, environment: TransportEnvironment, onNotHere: @escaping (ServerName) -> Void) {
        self.client = client
        self.environment = environment
        self.opener = StreamOpener(environment: environment)
        self.lastUsed = environment.now
        self.opener.onNotHere = { [weak self] path in
            guard let name = self?.names[path] else { return }
            onNotHere(name)
        }
    }

    var isIdle: Bool { self.opener.pendingCount == 0 }

    func open(_ exposure: String, for socket: StreamSocket, source: String, onRefusal: @escaping (Refusal) -> Void) {
        self.lastUsed = self.environment.now
        let destination = Destination.exposure(client: self.client, name: exposure)
        self.opener.open(Open(destination: destination, source: source), for: socket, onRefusal: onRefusal)
    }

    func close() { self.opener.close() }

    /// The connections that are no streams yet, for the next process.
    func freeze() -> [FrozenConnection] { self.opener.freeze() }

    // MARK: The client's own session

    func localBegan(_ driver: SessionDriver) {
        self.localEnded()
        let path = self.opener.began(driver, rank: 0)
        self.local = path
    }

    func localLinked() {
        if let local = self.local { self.opener.linked(local) }
    }

    func localLost() { if let local = self.local { self.opener.lost(local) } }

    func localEnded() {
        guard let local = self.local else { return }
        self.local = nil
        self.opener.ended(local)
    }

    /// Only whether it answers counts; its round trip is no reason to go elsewhere.
    func localHeartbeat(_ report: HeartbeatReport) {
        if let local = self.local { self.note(report, of: local) }
    }

    /// There are many routes and each heartbeat goes to all of them: what changes nothing is not looked at further.
    private func note(_ report: HeartbeatReport, of path: PathID) {
        guard report.isLate || self.opener.isSuspect(path) else { return }
        self.opener.heartbeat(path, HeartbeatReport(roundTrip: nil, isLate: report.isLate, answeredPing: report.answeredPing))
    }

    // MARK: Other servers

    /// Which servers hold the client, of those that a session of this loop leads to.
    func setRelays(_ drivers: [(name: ServerName, driver: SessionDriver, isDraining: Bool)]) {
        let wanted = Set(drivers.map(\.name))
        for name in self.relays.keys.sorted() where !wanted.contains(name) { self.relayEnded(name) }
        for (name, driver, isDraining) in drivers {
            if self.relays[name] == nil {
                let path = self.opener.began(driver, rank: UInt64.random(in: 1...UInt64.max), isRelay: true)
                self.relays[name] = path
                self.names[path] = name
                if !driver.isAttached { self.opener.lost(path) }
            }
            if let path = self.relays[name] { self.opener.retires(path, isDraining) }
        }
    }

    func relayLinked(_ name: ServerName) { if let path = self.relays[name] { self.opener.linked(path) } }

    func relayLost(_ name: ServerName) { if let path = self.relays[name] { self.opener.lost(path) } }

    func relayHeartbeat(_ name: ServerName, _ report: HeartbeatReport) {
        if let path = self.relays[name] { self.note(report, of: path) }
    }

    func relayEnded(_ name: ServerName) {
        guard let path = self.relays.removeValue(forKey: name) else { return }
        self.names[path] = nil
        self.opener.ended(path)
    }
}
