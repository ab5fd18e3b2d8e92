import Timing
import TunnelWire

/// A client of the simulated cluster.
struct SimulatedClient: Sendable {
    let name: String
    var installation: WireID
    let exposures: [String]
    /// The servers that hold a session of it.
    var servers: Set<Int> = []
}

/// The clients of a run and how lively they are.
struct ClientPlan: Sendable {
    var clients: [SimulatedClient] = []
    /// What the leader gives out: few enough that ports are used again.
    let ports: ClosedRange<UInt16>
    let retention: Duration
    /// Between two deeds.
    let spacing: ClosedRange<Duration>
    /// Makes every record different from all before.
    var stamp: UInt64 = 0
    /// Who came back with another installation while a leader was cut off, and the one before.
    var rushed: [(client: String, installation: WireID)] = []
    var isOver = false

    init(servers: Int, random: inout SimulationRandom) {
        let count = 4 + random.below(servers * 3)
        for index in 0..<count {
            let exposures = random.chance(0.3) ? ["kubelet", "ssh"] : ["kubelet"]
            self.clients.append(
                SimulatedClient(name: "c\(index)", installation: .random(using: &random), exposures: exposures))
        }
        let wanted = self.clients.reduce(0) { $0 + $1.exposures.count }
        // Sometimes there are fewer ports than exposures.
        self.ports = 20_000...UInt16(20_000 + max(2, wanted * (60 + random.below(60)) / 100))
        self.retention = .seconds([2, 10, 30, 120, 3_600][random.below(5)])
        self.spacing = random.chance(0.5) ? .milliseconds(20) ... .milliseconds(500) : .milliseconds(200) ... .seconds(3)
    }

    /// A server is gone, and with it its sessions.
    mutating func lost(_ server: Int) {
        for index in self.clients.indices { self.clients[index].servers.remove(server) }
    }
}
