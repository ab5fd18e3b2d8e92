import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// What a pair of daemons is to be like: one server, one client.
struct TunnelSetup: Sendable {
    /// Service name → port of its target on 127.0.0.1. The client gets a forward for each.
    var services: [String: Int] = [:]
    /// Exposure name → port of its target on 127.0.0.1. Each gets a mapped port.
    var exposures: [String: Int] = [:]
    /// Further lines of the `server` section, without indentation.
    var server = ""
    /// Further lines of the `client` section, without indentation.
    var client = ""
    /// Lines below a service's `targets`, such as `health: {type: tcp, interval: 100ms}`, by name of the service.
    var serviceLines: [String: String] = [:]
    /// What follows the socket in the server's `admin`, such as `, addr: "127.0.0.1:17080"`.
    var serverAdmin = ""
    /// Whether the client reaches the server through a `BreakableProxy`.
    var hasProxy = false
    /// Environment of both daemons.
    var environment: [String: String] = [:]
}

/// A real server and a real client on 127.0.0.1, started by `TunnelPair.with` and ended by it whatever happens.
final class TunnelPair: Sendable {
    static let clientName = "worker-1"
    static let serverName = "controller-1"

    let folder: TemporaryFolder
    let setup: TunnelSetup
    let proxy: BreakableProxy?
    /// Where the server listens for links.
    let linkPort: Int
    private let forwardPorts: [String: Int]
    private let mappedPorts: [String: Int]
    private let processes = Processes()

    let serverAdmin: AdminAccess
    let clientAdmin: AdminAccess

    private init(_ setup: TunnelSetup, in folder: TemporaryFolder) async throws {
        self.setup = setup
        self.folder = folder
        self.linkPort = try FreePorts.one()
        self.proxy = setup.hasProxy ? try await BreakableProxy.start(to: self.linkPort) : nil
        self.forwardPorts = try setup.services.mapValues { _ in try FreePorts.one() }
        self.mappedPorts = try setup.exposures.mapValues { _ in try FreePorts.one() }
        self.serverAdmin = AdminAccess(socket: folder["s.sock"])
        self.clientAdmin = AdminAccess(socket: folder["c.sock"])
        try await runWell(try Programs.ctl, ["token", "new", "--client", Self.clientName, "--output", folder["token"]])
        try self.writeServer(setup)
        try self.writeClient(setup)
    }

    /// Starts both, waits until they are ready, forwards and exposures included, and ends them after `body`.
    static func with<Result>(
        _ setup: TunnelSetup = TunnelSetup(), waits: Bool = true, isolation: isolated (any Actor)? = #isolation,
        _ body: (TunnelPair) async throws -> Result
    ) async throws -> Result {
        try await TemporaryFolder.with { folder in
            let pair = try await TunnelPair(setup, in: folder)
            do {
                if waits {
                    try await pair.startServer()
                    try await pair.startClient()
                    try await pair.whenReady()
                }
                let result = try await body(pair)
                await pair.stop()
                return result
            } catch {
                let logs = [try? pair.server, try? pair.client].compactMap { $0?.tail }
                await pair.stop()
                throw Unmet("\(error)\n\(logs.joined(separator: "\n"))")
            }
        }
    }

    // MARK: Addresses

    /// The client's port that leads to a service.
    func forward(_ service: String) throws -> Int {
        guard let port = self.forwardPorts[service] else { throw Unmet("expected a forward to \(service)") }
        return port
    }

    /// The server's port that leads to an exposure.
    func exposure(_ name: String) throws -> Int {
        guard let port = self.mappedPorts[name] else { throw Unmet("expected an exposure \(name)") }
        return port
    }

    // MARK: Configuration

    var serverConfig: String { self.folder["server.yaml"] }
    var clientConfig: String { self.folder["client.yaml"] }

    /// Writes the server's file anew, for a reload or a restart. Ports of services and exposures stay those of the beginning.
    func writeServer(_ setup: TunnelSetup) throws {
        let token = "tokens: [{id: one, token_file: \"\(self.folder["token"])\", clients: [\(Self.clientName)]}]"
        let services = setup.services.sorted { $0.key < $1.key }.flatMap { name, port in
            ["  \(name):", "    targets: [\"127.0.0.1:\(port)\"]"]
                + Self.lines(setup.serviceLines[name] ?? "").map { "    \($0)" }
        }
        let lines =
            [
                "name: \(Self.serverName)", "addr: \"127.0.0.1:\(self.linkPort)\"", "state_dir: \"\(self.folder["ss"])\"",
                "admin: {socket: \"\(self.folder["s.sock"])\"\(setup.serverAdmin)}",
            ] + (setup.server.contains("token") ? [] : [token]) + (services.isEmpty ? [] : ["services:"] + services)
            + Self.lines(setup.server)
        try self.write("server", lines)
    }

    /// Writes the client's file anew.
    func writeClient(_ setup: TunnelSetup) throws {
        let forwards = setup.services.keys.sorted().compactMap { name in
            self.forwardPorts[name].map { "  - {listen: \"127.0.0.1:\($0)\", service: \(name)}" }
        }
        let exposures = setup.exposures.sorted { $0.key < $1.key }.compactMap { name, port in
            self.mappedPorts[name].map { "  - {name: \(name), target: \"127.0.0.1:\(port)\", remote_port: \($0)}" }
        }
        let lines =
            [
                "name: \(Self.clientName)", "server_addrs: [\"127.0.0.1:\(self.proxy?.port ?? self.linkPort)\"]",
                "state_dir: \"\(self.folder["cs"])\"", "admin: {socket: \"\(self.folder["c.sock"])\"}",
            ]
            + (setup.client.contains("tls:") || setup.client.contains("token") ? [] : ["token_file: \"\(self.folder["token"])\""])
            + (forwards.isEmpty || setup.client.contains("forwards:") ? [] : ["forwards:"] + forwards)
            + (exposures.isEmpty || setup.client.contains("exposures:") ? [] : ["exposures:"] + exposures)
            + Self.lines(setup.client)
        try self.write("client", lines)
    }

    private func write(_ section: String, _ lines: [String]) throws {
        try self.folder.write("\(section).yaml", "\(section):\n" + lines.map { "  \($0)\n" }.joined())
    }

    private static func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

    // MARK: Life

    var server: RunningProgram { get throws { try self.processes.get("server") } }
    var client: RunningProgram { get throws { try self.processes.get("client") } }

    func startServer() async throws {
        let program = try self.start("server", try Programs.server)
        let admin = self.serverAdmin
        try await eventually("the server to be ready; log:\n\(program.tail)", within: .seconds(20)) {
            if let end = program.ended { throw Unmet("the server has ended: \(end)\n\(program.tail)") }
            return try await admin.isReady() ? true : nil
        }
    }

    func startClient() async throws { _ = try self.start("client", try Programs.client) }

    private func start(_ role: String, _ path: String) throws -> RunningProgram {
        let program = try RunningProgram.start(
            path, ["--config", self.folder["\(role).yaml"]], name: role, in: self.folder, environment: self.setup.environment)
        self.processes.set(role, program)
        return program
    }

    /// Waits until the client has a link, all its forwards lead somewhere and all its exposures are listening.
    func whenReady(within limit: Duration = .seconds(20)) async throws {
        let (admin, mapped) = (self.clientAdmin, self.mappedPorts.values.sorted())
        let program = try self.client
        try await eventually("the client to be ready", within: limit) {
            if let end = program.ended { throw Unmet("the client has ended: \(end)\n\(program.tail)") }
            let status = try await admin.status()
            let rows = status["forwards"].items + status["exposures"].items
            guard status["ready"].bool == true, rows.allSatisfy({ $0["healthy"].bool == true }) else {
                throw Unmet("its status is \(status)")
            }
            for port in mapped where !isListening(port) { throw Unmet("nothing listens on the mapped port \(port)") }
            return true
        }
    }

    func stop() async {
        for program in self.processes.all { program.signal(SIGTERM) }
        for program in self.processes.all { await program.stop() }
        await self.proxy?.stop()
    }
}

/// The daemons of a pair; a new one takes the place of one that has ended.
private final class Processes: Sendable {
    private let running = Mutex<[String: RunningProgram]>([:])
    private let every = Mutex<[RunningProgram]>([])

    func set(_ role: String, _ program: RunningProgram) {
        self.running.withLock { $0[role] = program }
        self.every.withLock { $0.append(program) }
    }

    func get(_ role: String) throws -> RunningProgram {
        guard let program = self.running.withLock({ $0[role] }) else { throw Unmet("expected the \(role) to have been started") }
        return program
    }

    var all: [RunningProgram] { self.every.withLock { $0 } }
}

/// Whether something listens on a port of 127.0.0.1, without connecting to it.
func isListening(_ port: Int) -> Bool {
    let digits = String(port, radix: 16, uppercase: true)
    let wanted = "0100007F:" + String(repeating: "0", count: 4 - digits.count) + digits
    guard let file = fopen("/proc/net/tcp", "r") else { return false }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, 512, file) != nil {
        let fields = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(separator: " ")
        if fields.count > 3, fields[1] == wanted, fields[3] == "0A" { return true }
    }
    return false
}
