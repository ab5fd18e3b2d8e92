import Daemon
import Identity
import Logging
import NIOCore
import NIOPosix
import Settings
import TunnelSession
import TunnelTransport
import TunnelWire

/// Many clients in one process, each with a name, an installation and an address of its own, that hold links as real ones
/// do and carry nothing: a load for servers.
package final class LightClients: Sendable {
    /// How the links of all clients stand.
    package struct Snapshot: Sendable, Equatable {
        /// How many clients have so many links up; the index is the number of links.
        package var byLinks: [Int] = []
        /// How many links each server holds.
        package var byServer: [String: Int] = [:]

        /// Clients with at least this many links.
        package func clients(withAtLeast links: Int) -> Int { self.byLinks.dropFirst(links).reduce(0, +) }
    }

    private let group: MultiThreadedEventLoopGroup
    private let loops: [NIOLoopBound<LoopShare>]

    /// The clients of one event loop.
    private final class LoopShare {
        var clients: [ClientWorker] = []
    }

    private init(group: MultiThreadedEventLoopGroup, loops: [NIOLoopBound<LoopShare>]) {
        self.group = group
        self.loops = loops
    }

    /// Makes the clients and lets them dial.
    /// - Parameters:
    ///   - settings: for each; the name is a prefix for `-1`, `-2` ….
    ///   - source: where the connections of the client with this number, from 1 on, come from; nil: the kernel chooses.
    package static func start(
        _ count: Int, settings: ClientSettings, surroundings: Surroundings, logger: Logger, threads: Int = 1,
        source: @escaping @Sendable (Int) -> SocketAddress?
    ) async throws -> LightClients {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        let budget = MemoryBudget(limit: settings.memoryBudget)
        let metrics = TransportMetrics()
        var loops: [NIOLoopBound<LoopShare>] = []
        for (index, loop) in group.makeIterator().enumerated() {
            let mine = stride(from: index + 1, through: count, by: threads).map { $0 }
            let share = try await loop.submit {
                let environment = TransportEnvironment(eventLoop: loop, budget: budget, metrics: metrics)
                let share = LoopShare()
                share.clients = try Self.make(mine, settings, surroundings, environment, logger, source)
                for client in share.clients { client.links.start(learned: []) }
                return NIOLoopBound(share, eventLoop: loop)
            }.get()
            loops.append(share)
        }
        return LightClients(group: group, loops: loops)
    }

    private static func make(
        _ numbers: [Int], _ settings: ClientSettings, _ surroundings: Surroundings, _ environment: TransportEnvironment,
        _ logger: Logger, _ source: (Int) -> SocketAddress?
    ) throws -> [ClientWorker] {
        // Keys and certificates are the same for all: one TLS context serves them.
        let proof = try ClientCredentials.Proof(settings, surroundings)
        var rng = SystemRandomNumberGenerator()
        return numbers.map { number in
            var own = settings
            own.name = "\(settings.name)-\(number)"
            let party = LocalParty(
                role: .client, name: own.name, installation: .random(using: &rng), instance: .random(using: &rng),
                software: "gotunnel light client")
            let dialer = proof.dialer(own, party: party, eventLoop: environment.eventLoop, localAddress: source(number))
            return ClientWorker(
                settings: own, dialer: dialer, servers: nil, exposures: ExposureBoard(logger: logger), environment: environment,
                counts: LinkCounts(), inherited: nil, logger: logger)
        }
    }

    /// How the links stand now.
    package func snapshot() async throws -> Snapshot {
        var whole = Snapshot()
        for loop in self.loops {
            let part = try await loop.eventLoop.submit { Self.snapshot(of: loop.value.clients) }.get()
            while whole.byLinks.count < part.byLinks.count { whole.byLinks.append(0) }
            for (links, clients) in part.byLinks.enumerated() { whole.byLinks[links] += clients }
            whole.byServer.merge(part.byServer, uniquingKeysWith: +)
        }
        return whole
    }

    private static func snapshot(of clients: [ClientWorker]) -> Snapshot {
        var snapshot = Snapshot()
        for client in clients {
            let servers = client.links.connections.filter(\.isUp).compactMap(\.peer?.name)
            while snapshot.byLinks.count <= servers.count { snapshot.byLinks.append(0) }
            snapshot.byLinks[servers.count] += 1
            for server in servers { snapshot.byServer[server, default: 0] += 1 }
        }
        return snapshot
    }

    /// Says good-bye everywhere.
    package func stop() async throws {
        for loop in self.loops {
            try await loop.eventLoop.submit { for client in loop.value.clients { client.stop() } }.get()
        }
        try await Task.sleep(for: .milliseconds(100))
        try await self.group.shutdownGracefully()
    }
}
