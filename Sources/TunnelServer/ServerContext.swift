import Admin
import ClusterCore
import Daemon
import Identity
import Logging
import NIOCore
import Settings
import Synchronization
import TunnelSession
import TunnelTransport
import TunnelWire

/// What every event loop of a server shares, all of it safe to use from any of them.
final class ServerContext: Sendable {
    let name: String
    let instance: WireID
    let logger: Logger
    let refusals: RefusalLog
    let services: ServiceBoard
    /// What is known of the other servers and their clients.
    let directory: ClusterDirectory
    /// The way to the control plane.
    let cluster = ClusterHandle()
    let budget: MemoryBudget
    let metrics: TransportMetrics
    /// What this process was given at its start.
    let inherited: Inheritance?

    private let rules: Mutex<ServerRules>
    private let announced: Mutex<Peers>
    private let homes = Mutex<[NIOLoopBound<ServerLoop>]>([])
    private let clientCount = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)

    init(
        name: String, instance: WireID, logger: Logger, services: ServiceBoard, budget: MemoryBudget, metrics: TransportMetrics,
        rules: ServerRules, servers: [PeerServer], inherited: Inheritance? = nil
    ) {
        self.inherited = inherited
        self.name = name
        self.instance = instance
        self.logger = logger
        self.refusals = RefusalLog(logger: logger)
        self.services = services
        self.directory = ClusterDirectory(name: name)
        self.budget = budget
        self.metrics = metrics
        self.rules = Mutex(rules)
        // Clients take nothing older than what they have from this instance, which may have been another process.
        let version = UInt64(clamping: BootTime.nanoseconds / 1_000_000)
        self.announced = Mutex(Peers(version: version, servers: servers))
    }

    /// What a reload can change.
    var currentRules: ServerRules { self.rules.withLock { $0 } }
    func replaceRules(_ rules: ServerRules) { self.rules.withLock { $0 = rules } }

    /// The loops of this server, in their order.
    func setLoops(_ loops: [NIOLoopBound<ServerLoop>]) { self.homes.withLock { $0 = loops } }

    var loops: [NIOLoopBound<ServerLoop>] { self.homes.withLock { $0 } }

    /// The loop that a client lives on.
    func home(of client: String) -> NIOLoopBound<ServerLoop>? {
        self.homes.withLock { homes in
            homes.isEmpty ? nil : homes[Placement.loop(key: Placement.key(client: client), count: homes.count)]
        }
    }

    /// The servers that clients are told of, this one first.
    var peers: Peers { self.announced.withLock { $0 } }

    /// Has clients told of these servers. True when they are others than before.
    func replacePeers(_ servers: [PeerServer]) -> Bool {
        self.announced.withLock { announced in
            guard announced.servers != servers else { return false }
            announced = Peers(version: announced.version + 1, servers: servers)
            return true
        }
    }

    /// No new sessions and streams.
    var isDraining: Bool { self.draining.load(ordering: .relaxed) }
    func setDraining(_ draining: Bool) { self.draining.store(draining, ordering: .relaxed) }

    /// Takes one of the places for clients; false when there is none.
    func admitClient() -> Bool {
        let limit = self.currentRules.maximumClients
        guard self.clientCount.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
            self.clientCount.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    /// How many clients have a session.
    var clients: Int { self.clientCount.load(ordering: .relaxed) }

    func clientLeft() { self.clientCount.wrappingSubtract(1, ordering: .relaxed) }
}

/// The part of the configuration that decides about clients, replaced as a whole by a reload.
struct ServerRules: Sendable {
    var policy: AccessPolicy
    var maximumClients: Int
    /// Where mapped ports listen.
    var mappedPortAddress: String
    /// The longest a dial to a target may take.
    var dialTimeout: Duration
    /// For the sessions that begin from now on.
    var session: SessionConfiguration

    init(_ settings: ServerSettings) throws {
        let entries = try settings.clients?.map { policy in
            AccessPolicy.Entry(
                clients: try Identity.NamePattern(policy.pattern.description),
                services: try policy.services?.map { try Identity.NamePattern($0.description) },
                exposures: try policy.exposures?.map { try Identity.NamePattern($0.description) },
                ports: policy.ports?.map { $0.wireRange }, routes: policy.routes.map(\.description))
        }
        self.policy = AccessPolicy(entries: entries, ports: settings.exposures.ports?.map { $0.wireRange })
        self.maximumClients = settings.limits.clients
        self.mappedPortAddress = settings.exposures.bind.description
        self.dialTimeout = settings.dialTimeout
        self.session = SessionConfiguration()
        self.session.replayBuffer = settings.replayBuffer
        self.session.streams = settings.limits.streamsPerClient
        self.session.bandwidth = settings.limits.bandwidthPerClient
        self.session.resumeWindow = settings.resumeWindow.alone
        Faults.apply(to: &self.session)
    }
}

extension PortRange {
    fileprivate var wireRange: ClosedRange<UInt16> { UInt16(clamping: self.first)...UInt16(clamping: self.last) }
}

extension ServerSettings {
    /// What clients are told of the servers there are: this one, with the addresses it advertises (none: where the client
    /// dialled); the members, the living first, with what they advertise, else where peers dial them; then configured peers of
    /// which nobody has heard yet.
    func announcedServers(_ others: [(member: MemberView, record: ServerRecord?)]) -> [PeerServer] {
        let own = PeerServer(name: self.name, addresses: self.advertise.map(\.peerAddress))
        let living = others.filter { $0.member.state != .dead } + others.filter { $0.member.state == .dead }
        let members = living.map { member, record in
            let advertised = record?.clientAddresses ?? []
            return PeerServer(name: member.name, addresses: advertised.isEmpty ? member.addresses : advertised)
        }
        let known = Set(others.flatMap(\.member.addresses)).union(self.advertise.map(\.peerAddress))
        let strangers = self.otherPeers.filter { !known.contains($0) }
        return [own] + members + strangers.map { PeerServer(name: "", addresses: [$0]) }
    }

    /// What the other servers are told of this one.
    func record(isDraining: Bool) -> ServerRecord {
        ServerRecord(
            clientAddresses: self.advertise.map(\.peerAddress), isDraining: isDraining, software: "gotunnel/\(Version.current)")
    }
}
