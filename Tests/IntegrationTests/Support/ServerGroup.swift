import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// What a group of daemons is to be like: several servers, one client.
struct GroupSetup: Sendable {
    var servers = 3
    /// Further lines of the `server` section of every server, without indentation.
    var server = ""
    /// Further lines of the `client` section, without indentation.
    var client = ""
    /// Lines below the targets of the service `who`.
    var service = "health: {type: tcp, interval: 100ms}"
    /// Whether the client reaches each server through a `BreakableProxy`.
    var hasProxies = false
    /// Whether the servers listen on one port, at 127.0.0.1, 127.0.0.2, 127.0.0.3; else on ports of 127.0.0.1.
    var hasOnePort = false
    /// Whether the client exposes something on a mapped port, the same on every server.
    var hasExposure = false
    /// Whether it exposes the same a second time, as `picked`, on a port that the leader is to choose.
    var hasPicked = false
    /// What else it exposes, each a mapping in braces.
    var exposures: [String] = []
    /// Whether the servers are configured as peers of each other.
    var isCluster = false
    /// So many of them, from the first on, found the cluster; nil: all. Those after them name the founders and themselves.
    var founders: Int?
    /// Further lines of the `cluster` section of every server, without indentation.
    var cluster = ""
    /// Whether each server says where it is reached.
    var advertises = false
    /// What the client's file names, by number of the server; nil: all of them.
    var listed: [Int]?
    /// How many links the client is to have before a test begins.
    var links = 2
}

/// Several real servers and a real client on 127.0.0.1, each server with a backend of its own that says which one it is.
/// Started by `ServerGroup.with` and ended by it whatever happens.
final class ServerGroup: Sendable {
    static let clientName = "worker-1"

    let folder: TemporaryFolder
    let setup: GroupSetup
    let servers: [GroupServer]
    /// The client's port that leads to the service `who`.
    let forward: Int
    /// The port of the exposure `web`, the same on all servers.
    let mapped: Int
    /// What a leader may choose from.
    let pickable: [Int]
    /// What the client exposes; it calls itself `0`.
    let exposed: NamedBackend
    let clientAdmin: AdminAccess
    private let clients = Mutex<[RunningProgram]>([])

    private init(_ setup: GroupSetup, in folder: TemporaryFolder) async throws {
        self.setup = setup
        self.folder = folder
        self.forward = try FreePorts.one()
        self.mapped = try FreePorts.one()
        self.pickable = try (0..<4).map { _ in try FreePorts.one() }
        self.clientAdmin = AdminAccess(socket: folder["c.sock"])
        self.exposed = try await NamedBackend.start(0)
        try await runWell(try Programs.ctl, ["token", "new", "--client", Self.clientName, "--output", folder["token"]])
        let shared = setup.hasOnePort ? try FreePorts.one() : nil
        var servers: [GroupServer] = []
        for number in 1...setup.servers { servers.append(try await GroupServer(number, port: shared, setup, in: folder)) }
        self.servers = servers
        for server in servers { try self.write(server) }
        try self.writeClient(setup)
    }

    /// Starts all of them, waits until the client has its links and its forward leads somewhere, and ends them after `body`.
    static func with<Result>(
        _ setup: GroupSetup = GroupSetup(), waits: Bool = true, isolation: isolated (any Actor)? = #isolation,
        _ body: (ServerGroup) async throws -> Result
    ) async throws -> Result {
        try await TemporaryFolder.with { folder in
            let group = try await ServerGroup(setup, in: folder)
            do {
                if waits {
                    try await group.start(group.servers)
                    try group.startClient()
                    try await group.whenReady()
                }
                let result = try await body(group)
                await group.stop()
                return result
            } catch {
                let logs = group.programs.map(\.tail)
                await group.stop()
                throw Unmet("\(error)\n\(logs.joined(separator: "\n"))")
            }
        }
    }

    // MARK: Configuration

    /// Writes the file of a server anew. `more`: lines besides those of the setup.
    func write(_ server: GroupServer, more: String = "") throws {
        var lines = [
            "name: \(server.name)", "addr: \"\(server.listens)\"", "state_dir: \"\(self.folder["ss\(server.number)"])\"",
            "admin: {socket: \"\(server.admin.socket)\"}", "exposures: {bind: \"\(server.bind)\"\(self.ranges)}",
            "tokens: [{id: one, token_file: \"\(self.folder[server.tokenFile])\", clients: [\(Self.clientName)]}]",
            "services:", "  who:", "    targets: [\"127.0.0.1:\(server.backend.port)\"]",
        ]
        lines += Self.lines(self.setup.service).map { "    \($0)" }
        if self.setup.advertises { lines.append("advertise: [\"\(server.address)\"]") }
        if self.setup.isCluster {
            let founders = self.servers.prefix(self.setup.founders ?? self.servers.count)
            let peers = founders + (founders.contains { $0 === server } ? [] : [server])
            lines += ["cluster:"] + self.clusterLines(server, peers: Array(peers)).map { "  \($0)" }
        }
        try self.write("server-\(server.number)", section: "server", lines + Self.lines(self.setup.server) + Self.lines(more))
    }

    /// The `cluster` section of a server, without indentation.
    private func clusterLines(_ server: GroupServer, peers: [GroupServer]) -> [String] {
        let addresses = peers.map { "\"\($0.address)\"" }.joined(separator: ", ")
        let own = ["advertise: \"\(server.address)\"", "peers: [\(addresses)]"]
        return own + ["secret_file: \"\(self.folder[server.secretFile])\""] + Self.lines(self.setup.cluster)
    }

    /// The ports that may be mapped, in the order in which a leader chooses.
    private var ranges: String {
        guard self.setup.hasPicked else { return "" }
        return ", ports: [" + (self.pickable + [self.mapped]).map { "\"\($0)\"" }.joined(separator: ", ") + "]"
    }

    /// Writes the client's file anew; of the setup, what concerns the client.
    func writeClient(_ setup: GroupSetup) throws {
        let listed = self.servers.filter { setup.listed?.contains($0.number) ?? true }.map { "\"\($0.address)\"" }
        var lines = [
            "name: \(Self.clientName)", "state_dir: \"\(self.folder["cs"])\"", "admin: {socket: \"\(self.clientAdmin.socket)\"}",
            "token_file: \"\(self.folder["token"])\"", "forwards: [{listen: \"127.0.0.1:\(self.forward)\", service: who}]",
        ]
        if !setup.client.contains("server_addrs") { lines.append("server_addrs: [\(listed.joined(separator: ", "))]") }
        let target = "target: \"127.0.0.1:\(self.exposed.port)\""
        var exposures = setup.hasExposure ? ["{name: web, \(target), remote_port: \(self.mapped)}"] : []
        if setup.hasPicked { exposures.append("{name: picked, \(target), remote_port: 0}") }
        exposures += setup.exposures
        if !exposures.isEmpty { lines.append("exposures: [\(exposures.joined(separator: ", "))]") }
        try self.write("client", section: "client", lines + Self.lines(setup.client))
    }

    private func write(_ name: String, section: String, _ lines: [String]) throws {
        try self.folder.write("\(name).yaml", "\(section):\n" + lines.map { "  \($0)\n" }.joined())
    }

    private static func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

    // MARK: Life

    var client: RunningProgram {
        get throws {
            guard let client = self.clients.withLock({ $0.last }) else { throw Unmet("expected a client to have been started") }
            return client
        }
    }

    private var programs: [RunningProgram] { self.servers.compactMap(\.last) + self.clients.withLock { $0.suffix(1) } }

    /// Starts servers side by side and waits until each is ready.
    func start(_ servers: [GroupServer]) async throws {
        for server in servers { try server.begin(in: self.folder) }
        for server in servers { try await server.whenReady() }
    }

    /// Starts the client. `command`: a program and its arguments that run the client's, such as `unshare`.
    func startClient(by command: [String] = []) throws {
        let whole = command + [try Programs.client, "--config", self.folder["client.yaml"]]
        let client = try RunningProgram.start(whole[0], Array(whole.dropFirst()), name: "client", in: self.folder)
        self.clients.withLock { $0.append(client) }
    }

    /// Ends the client with SIGKILL and starts it again, with the same state directory.
    func restartClient() async throws {
        let client = try self.client
        client.signal(SIGKILL)
        _ = try await client.exit()
        try self.startClient()
    }

    /// Waits until the client has as many links as the setup says, and its forward leads somewhere.
    func whenReady(within limit: Duration = .seconds(20)) async throws {
        let (admin, links) = (self.clientAdmin, self.setup.links)
        let client = try self.client
        try await eventually("the client to have \(links) links", within: limit) {
            if let end = client.ended { throw Unmet("the client has ended: \(end)") }
            let status = try await admin.status()
            let up = status["links"].items.filter { $0["state"].text != "down" }
            // One too many is kept for a minute: the client may be about to need it.
            guard up.count >= links, status["forwards"][0]["healthy"].bool == true else {
                throw Unmet("its status is \(status["links"]), \(status["forwards"])")
            }
            return true
        }
    }

    func stop() async {
        let programs = self.servers.flatMap(\.everStarted) + self.clients.withLock { $0 }
        for program in programs {
            program.signal(SIGCONT)
            program.signal(SIGTERM)
        }
        for program in programs { await program.stop() }
        for server in self.servers { await server.end() }
        await self.exposed.stop()
    }
}

extension ServerGroup {
    // MARK: What the client says

    /// The client's link to a server as its status shows it; null when there is none.
    func link(to server: GroupServer) async throws -> JSON {
        try await self.clientAdmin.status()["links"].items.first { $0["server"].text == server.name } ?? .null
    }

    /// The servers that the client has a link to.
    func linked() async throws -> [GroupServer] {
        let up = try await self.clientAdmin.status()["links"].items.filter { $0["state"].text != "down" }
        return self.servers.filter { server in up.contains { $0["server"].text == server.name } }
    }

    /// The server that new streams go to.
    func active() async throws -> GroupServer {
        try await eventually("one active link") {
            let active = try await self.clientAdmin.status()["links"].items.filter { $0["state"].text == "active" }
            guard active.count == 1 else { throw Unmet("active: \(active)") }
            return self.servers.first { $0.name == active[0]["server"].text }
        }
    }

    /// The linked server that new streams do not go to, of two.
    func standby() async throws -> GroupServer {
        let active = try await self.active()
        guard let other = try await self.linked().first(where: { $0 !== active }) else { throw Unmet("expected a second link") }
        return other
    }

    /// The server of three that has no link.
    func third() async throws -> GroupServer {
        let linked = try await self.linked()
        guard let other = self.servers.first(where: { server in !linked.contains { $0 === server } }), linked.count == 2 else {
            throw Unmet("expected two of three servers to be linked, got \(linked.map(\.name))")
        }
        return other
    }

    /// Waits until exactly these servers have a link.
    func whenLinked(to wanted: [GroupServer], within limit: Duration = .seconds(20)) async throws {
        let names = wanted.map(\.name).sorted()
        try await eventually("links to \(names)", within: limit) {
            let linked = try await self.linked().map(\.name)
            if linked != names { throw Unmet("there are links to \(linked)") }
            return true
        }
    }

    /// Has new streams go to a server, by `gotunnelctl move` at one that is linked, and waits until they do.
    func move(to server: GroupServer) async throws {
        guard let asked = try await self.linked().first else { throw Unmet("expected a link") }
        let result = try await asked.admin.ctl("move", Self.clientName, server.name)
        guard result.end == .exit(0) else { throw Unmet("expected gotunnelctl move to succeed, got \(result)") }
        try await eventually("\(server.name) to be active", within: .seconds(20)) {
            try await self.link(to: server)["state"].text == "active"
        }
    }

    /// Connects by the forward: the server whose backend answers.
    func whoAnswers() async throws -> GroupServer {
        let number = try await NamedBackend.ask(port: self.forward)
        guard let server = self.servers.first(where: { $0.number == number }) else { throw Unmet("no server \(number)") }
        return server
    }

    /// Whether the mapped port of a server leads to what the client exposes.
    func isMapped(at server: GroupServer) async throws -> Bool {
        try await NamedBackend.ask(host: server.bind, port: self.mapped) == 0
    }
}
