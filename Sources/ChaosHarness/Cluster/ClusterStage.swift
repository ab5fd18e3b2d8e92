import Admin
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Servers of one cluster and clients, started for a trial and ended with it. Every server has an address of its own, on the
/// loopback or in a network namespace, so that all listen on the same ports.
package final class ClusterStage: Sendable {
    package struct Plan: Sendable {
        package var servers = 3
        /// Hosts besides those of the servers, for clients; with network namespaces only.
        package var otherHosts = 0
        package var network = StageNetwork.loopback
        /// Where the programs are.
        package var programs: String
        /// Where configurations, states and logs go; made if need be. States and logs of earlier runs are removed.
        package var folder: String
        /// The servers (from 0) that are not started with the rest.
        package var absent: Set<Int> = []

        package init(programs: String, folder: String) {
            self.programs = programs
            self.folder = folder
        }
    }

    /// One server's place.
    package struct Server: Sendable, Equatable {
        /// From 0.
        let index: Int
        let name: String
        let host: StageHost
        /// The admin API's socket.
        let socket: String
        let log: String
        let configuration: String

        static let port = 17_000
        var address: String { "\(self.host.address):\(Self.port)" }
    }

    /// A client of the cluster.
    struct Client: Sendable {
        var name: String
        var host = StageHost.loopback
        var servers: [Server]
        var links = 1
        /// By name: the target, and the mapped port (0: any).
        var exposures: [(name: String, target: String, port: Int)] = []
        /// The admin API's socket; set when it is started.
        var socket = ""
    }

    let plan: Plan
    let servers: [Server]
    /// The hosts that are no servers'.
    let otherHosts: [StageHost]
    let lab: NamespaceLab?
    let cast = Stage.Cast()
    private var tokenFile: String { "\(self.plan.folder)/token" }
    private var secretFile: String { "\(self.plan.folder)/secret" }

    /// Makes the network and starts the servers that are to be there; what was made is removed again when something fails.
    static func raise(_ plan: Plan) async throws -> ClusterStage {
        let hosts = plan.servers + plan.otherHosts
        let lab = plan.network == .namespaces ? try Self.ofMachine { try NamespaceLab(hosts: hosts) } : nil
        let stage = ClusterStage(plan, lab)
        do {
            try stage.prepare()
            for server in stage.servers where !plan.absent.contains(server.index) { try stage.start(server) }
            for server in stage.servers where !plan.absent.contains(server.index) { try await stage.waitReady(server) }
            return stage
        } catch {
            await stage.strikeAnyway()
            throw error
        }
    }

    /// Raises a stage, runs `body` on it, and ends everything whatever comes of it.
    static func with<Result>(_ plan: Plan, _ body: (ClusterStage) async throws -> Result) async throws -> Result {
        let stage = try await Self.raise(plan)
        do {
            let result = try await body(stage)
            await stage.strike()
            return result
        } catch {
            await stage.strikeAnyway()
            throw error
        }
    }

    private init(_ plan: Plan, _ lab: NamespaceLab?) {
        self.plan = plan
        self.lab = lab
        // A network of the loopback that no other run uses: 127.64.0.0 to 127.127.255.0.
        let pid = Int(getpid())
        let loopback = "127.\(64 + pid / 256 % 64).\(pid % 256)"
        self.servers = (0..<plan.servers).map { index in
            let name = "server-\(index + 1)"
            return Server(
                index: index, name: name,
                host: lab?.hosts[index] ?? StageHost(address: "\(loopback).\(index + 1)", namespace: nil),
                socket: "\(plan.folder)/\(name).sock", log: "\(plan.folder)/\(name).log",
                configuration: "\(plan.folder)/\(name).yaml")
        }
        self.otherHosts = lab.map { Array($0.hosts[plan.servers...]) } ?? []
    }

    private static func ofMachine<Made>(_ make: () throws -> Made) throws -> Made {
        do { return try make() } catch let error as StageError { throw StageError(error.description, isOfMachine: true) }
    }

    // MARK: Configurations

    private func prepare() throws {
        let files = FileManager.default
        try files.createDirectory(atPath: self.plan.folder, withIntermediateDirectories: true)
        for name in try files.contentsOfDirectory(atPath: self.plan.folder)
        where name.hasPrefix("state-") || [".log", ".sock"].contains(where: name.hasSuffix) {
            try files.removeItem(atPath: "\(self.plan.folder)/\(name)")
        }
        for file in [self.tokenFile, self.secretFile] {
            try? files.removeItem(atPath: file)
            try Shell.run([self.program("gotunnelctl"), "token", "new", "--output", file])
        }
        for server in self.servers { try self.write(server) }
    }

    func program(_ name: String) -> String { "\(self.plan.programs)/\(name)" }

    private func write(_ server: Server) throws {
        let peers = self.servers.map { "\"\($0.address)\"" }.joined(separator: ", ")
        try self.write(
            [
                "server:", "  name: \(server.name)", "  addr: \"\(server.address)\"", "  token_file: \(self.tokenFile)",
                "  state_dir: \(self.plan.folder)/state-\(server.name)", "  log_format: json",
                "  cluster: {peers: [\(peers)], secret_file: \(self.secretFile)}",
                "  exposures: {bind: \"\(server.host.address)\"}", "  admin: {socket: \(server.socket)}",
            ], to: server.configuration)
    }

    private func write(_ client: Client) throws {
        let servers = client.servers.map { "\"\($0.address)\"" }.joined(separator: ", ")
        try self.write(
            [
                "client:", "  name: \(client.name)", "  token_file: \(self.tokenFile)", "  server_addrs: [\(servers)]",
                "  links: \(client.links)", "  state_dir: \(self.plan.folder)/state-\(client.name)", "  log_format: json",
                "  admin: {socket: \(client.socket)}", "  exposures:",
            ] + client.exposures.map { "    - {name: \($0.name), target: \"\($0.target)\", remote_port: \($0.port)}" },
            to: "\(self.plan.folder)/\(client.name).yaml")
    }

    private func write(_ lines: [String], to path: String) throws {
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: path))
    }

    // MARK: Processes

    func start(_ server: Server) throws {
        self.cast[server.name] = try self.spawn(
            [self.program("gotunnel-server"), "--config", server.configuration], server.name, on: server.host)
    }

    /// Starts a client and waits until it is linked.
    func start(_ client: Client) async throws -> Client {
        var client = client
        client.socket = "\(self.plan.folder)/\(client.name).sock"
        try self.write(client)
        self.cast[client.name] = try self.spawn(
            [self.program("gotunnel-client"), "--config", "\(self.plan.folder)/\(client.name).yaml"], client.name,
            on: client.host)
        let started = client
        try await self.wait(for: "\(client.name) to be linked", within: .seconds(20)) {
            await self.linkedServers(of: started).count >= started.links
        }
        return client
    }

    func spawn(_ command: [String], _ name: String, on host: StageHost) throws -> StagedProcess {
        try StagedProcess.start(command, name: name, log: "\(self.plan.folder)/\(name).log", in: host)
    }

    func signal(_ server: Server, _ number: Int32) { self.cast[server.name]?.signal(number) }

    /// Starts a killed server again and waits until it is ready.
    func restart(_ server: Server) async throws {
        guard await self.cast[server.name]?.waitForEnd(within: .seconds(5)) ?? true else {
            throw StageError("\(server.name) has not ended")
        }
        try self.start(server)
        try await self.waitReady(server)
    }

    /// Silently drops what goes between two groups of hosts; of all hosts in their order, the servers first.
    func cut(_ some: [Int], from others: [Int]) throws {
        for one in some { for other in others { try self.lab?.cut(.bothWays, between: one, and: other) } }
    }

    func heal() throws { try self.lab?.heal() }

    // MARK: The end

    /// Ends everything, also when the task that says so has been cancelled itself.
    func strikeAnyway() async { await Task { await self.strike() }.value }

    /// Ends everything that was started.
    func strike() async {
        for process in self.cast.everybody { process.signal(SIGCONT) }
        for process in self.cast.everybody { process.signal(SIGTERM) }
        for process in self.cast.everybody where !(await process.waitForEnd(within: .seconds(1))) {
            process.signal(SIGKILL)
            _ = await process.waitForEnd(within: .seconds(2))
        }
        self.lab?.remove()
    }
}
