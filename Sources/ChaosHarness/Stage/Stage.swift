import Admin
import Foundation
import NIOCore

#if canImport(Glibc)
import Glibc
#endif

/// Servers with their backends, and a client, started for a rehearsal and ended with it.
package final class Stage: Sendable {
    package struct Plan: Sendable {
        package var servers = 3
        package var network = StageNetwork.loopback
        /// Where the programs are.
        package var programs: String
        /// Where configurations, states and logs go; made if need be.
        package var folder: String
        /// Further lines of each `server` section, without indentation.
        package var serverLines: [String] = []
        /// Further entries of the service `apiserver`, such as `hedge_dial: true`.
        package var apiserverLines = "health: {type: https, path: /readyz, insecure: true}"
        /// Whether the client's links go through relays that can reset them; on loopback only.
        package var hasRelays = false
        /// Whether the backends are behind a round trip of 500 ms; with network namespaces only.
        package var isFar = false
        /// Whether there is a client.
        package var hasClient = true
        /// Further lines of the `client` section, without indentation.
        package var clientLines: [String] = []
        /// Whether the client's pattern server has a mapped port, so that streams go the other way too; on loopback only.
        package var hasMappedPort = false
        /// Server and client are services of the systemd that runs here; one of each. Needs root.
        package var isUnderSystemd = false

        package init(programs: String, folder: String) {
            self.programs = programs
            self.folder = folder
        }
    }

    /// One server's place on the stage.
    package struct Place: Sendable {
        let name: String
        let host: StageHost
        let linkPort: Int
        let httpsPort: Int
        let patternPort: Int
        let socket: String
    }

    package static let clientName = "worker-1"
    let plan: Plan
    let places: [Place]
    let lab: NamespaceLab?
    let relays: [ResetRelay]
    private let delay: DelayedLink?
    let clientHost: StageHost
    let apiserverPort: Int
    let patternPort: Int
    /// Where servers listen for the client's exposure, each at an address of its own.
    let mappedPort: Int
    let controlPort: Int
    private let controlPatternPort: Int
    let cast: Cast
    let tokenFile: String

    /// The processes by name; those that were replaced are forgotten.
    final class Cast: Sendable {
        private let all = MutexBox<[String: StagedProcess]>([:])

        subscript(name: String) -> StagedProcess? {
            get { self.all.with { $0[name] } }
            set { self.all.with { $0[name] = newValue } }
        }

        var everybody: [StagedProcess] { self.all.with { all in all.keys.sorted().compactMap { all[$0] } } }
    }

    /// Makes the network and starts everything; what was made is removed again when something fails.
    package static func raise(_ plan: Plan) async throws -> Stage {
        try FileManager.default.createDirectory(atPath: plan.folder, withIntermediateDirectories: true)
        let lab = plan.network == .namespaces ? try Self.ofMachine { try NamespaceLab(hosts: plan.servers + 1) } : nil
        do {
            let stage = try await Stage(plan, lab)
            do {
                try await stage.start()
                return stage
            } catch {
                await stage.strikeAnyway()
                throw error
            }
        } catch {
            lab?.remove()
            throw error
        }
    }

    private init(_ plan: Plan, _ lab: NamespaceLab?) async throws {
        self.plan = plan
        self.lab = lab
        self.places = try (0..<plan.servers).map { index in
            Place(
                name: "controller-\(index + 1)", host: lab?.hosts[index] ?? .loopback,
                linkPort: try lab == nil ? StagePorts.free() : 17_000, httpsPort: try lab == nil ? StagePorts.free() : 6_443,
                patternPort: try lab == nil ? StagePorts.free() : 7_000,
                socket: plan.isUnderSystemd ? "/run/gotunnel/server.sock" : "\(plan.folder)/s\(index + 1).sock")
        }
        self.clientHost = lab?.hosts[plan.servers] ?? .loopback
        self.apiserverPort = try StagePorts.free()
        self.patternPort = try StagePorts.free()
        self.mappedPort = try StagePorts.free()
        self.controlPort = try StagePorts.free()
        self.controlPatternPort = try StagePorts.free()
        var relays: [ResetRelay] = []
        if plan.hasRelays { for place in self.places { relays.append(try await ResetRelay.start(to: place.linkPort)) } }
        self.relays = relays
        self.delay = plan.isFar ? try Self.ofMachine { try lab?.addFarHost() } : nil
        self.cast = Cast()
        self.tokenFile = "\(plan.folder)/token"
    }

    // MARK: Starting

    private func start() async throws {
        try? FileManager.default.removeItem(atPath: self.tokenFile)
        try Shell.run([self.program("gotunnelctl"), "token", "new", "--output", self.tokenFile])
        if self.plan.isUnderSystemd { try ServiceStage.lend(token: self.tokenFile) }
        if self.plan.isFar {
            try self.startBackend(self.places[0], on: self.lab?.farHost ?? .loopback)
        } else {
            for place in self.places { try self.startBackend(place, on: place.host) }
        }
        try self.startControl()
        for place in self.places {
            try self.writeServer(place)
            try self.startServer(place)
        }
        for place in self.places { try await self.waitReady(place.socket, place.name) }
        guard self.plan.hasClient else { return }
        try self.writeClient()
        try self.startClient()
        try await self.waitReady(self.clientSocket, "the client")
        try await self.waitForLinks(min(2, self.plan.servers))
        if self.plan.hasMappedPort { try await self.waitForMappedPorts() }
    }

    func program(_ name: String) -> String { "\(self.plan.programs)/\(name)" }

    private func startBackend(_ place: Place, on host: StageHost) throws {
        self.cast["backend-\(place.name)"] = try self.spawn(
            [
                self.program("gotunnel-chaos"), "backend", "--name", place.name, "--https", "\(host.address):\(place.httpsPort)",
                "--pattern", "\(host.address):\(place.patternPort)",
            ], "backend-\(place.name)", on: host)
    }

    func restartBackend(of place: Place) throws { try self.startBackend(place, on: place.host) }

    private func startControl() throws {
        let address = "127.0.0.1"
        self.cast["backend-control"] = try self.spawn(
            [
                self.program("gotunnel-chaos"), "backend", "--name", "control", "--https", "\(address):\(self.controlPort)",
                "--pattern", "\(address):\(self.controlPatternPort)",
            ], "backend-control", on: self.clientHost)
    }

    func startServer(_ place: Place) throws {
        if self.plan.isUnderSystemd { return try ServiceStage.start(.server, "\(self.plan.folder)/\(place.name).yaml") }
        self.cast[place.name] = try self.spawn(
            [self.program("gotunnel-server"), "--config", "\(self.plan.folder)/\(place.name).yaml"], place.name, on: place.host)
    }

    func startClient() throws {
        if self.plan.isUnderSystemd { return try ServiceStage.start(.client, "\(self.plan.folder)/client.yaml") }
        self.cast["client"] = try self.spawn(
            [self.program("gotunnel-client"), "--config", "\(self.plan.folder)/client.yaml"], "client", on: self.clientHost)
    }

    func spawn(_ command: [String], _ name: String, on host: StageHost) throws -> StagedProcess {
        try StagedProcess.start(command, name: name, log: "\(self.plan.folder)/\(name).log", in: host)
    }

    // MARK: Configurations

    private func writeServer(_ place: Place) throws {
        let target = self.plan.isFar ? self.lab?.farHost ?? place.host : place.host
        let (https, pattern) =
            self.plan.isFar ? (self.places[0].httpsPort, self.places[0].patternPort) : (place.httpsPort, place.patternPort)
        let lines =
            [
                "server:", "  name: \(place.name)", "  addr: \"\(place.host.address):\(place.linkPort)\"",
                "  token_file: \(self.tokenPath)", "  state_dir: \(self.state(of: "server", place.name))",
                "  admin: {socket: \(place.socket)}", "  services:",
                "    apiserver: {targets: [\"\(target.address):\(https)\"], \(self.plan.apiserverLines)}",
                "    pattern: {targets: [\"\(target.address):\(pattern)\"]}",
            ] + self.mappedLines(place) + self.plan.serverLines.map { "  \($0)" }
        try self.write(lines, to: "\(place.name).yaml")
    }

    /// Where clients reach the servers.
    package var serverAddresses: [String] {
        self.places.enumerated().map { index, place in
            self.relays.isEmpty ? "\(place.host.address):\(place.linkPort)" : "127.0.0.1:\(self.relays[index].port)"
        }
    }

    private func writeClient() throws {
        let addresses = self.serverAddresses.map { "\"\($0)\"" }.joined(separator: ", ")
        try self.write(
            [
                "client:", "  name: \(Self.clientName)", "  token_file: \(self.tokenPath)", "  server_addrs: [\(addresses)]",
                "  state_dir: \(self.state(of: "client", "client"))", "  admin: {socket: \(self.clientSocket)}", "  forwards:",
                "    - {listen: \"127.0.0.1:\(self.apiserverPort)\", service: apiserver}",
                "    - {listen: \"127.0.0.1:\(self.patternPort)\", service: pattern}",
            ] + self.exposureLines + self.plan.clientLines.map { "  \($0)" }, to: "client.yaml")
    }

    /// Where a server listens for the client's exposure. All of 127.0.0.0/8 is this machine.
    func mappedAddress(of index: Int) -> String { "127.0.0.\(index + 1):\(self.mappedPort)" }

    private func mappedLines(_ place: Place) -> [String] {
        guard self.plan.hasMappedPort, let index = self.places.firstIndex(where: { $0.name == place.name }) else { return [] }
        return ["  exposures: {bind: 127.0.0.\(index + 1)}"]
    }

    private var exposureLines: [String] {
        guard self.plan.hasMappedPort else { return [] }
        let target = "127.0.0.1:\(self.controlPatternPort)"
        return ["  exposures:", "    - {name: pattern, target: \"\(target)\", remote_port: \(self.mappedPort)}"]
    }

    private var tokenPath: String { self.plan.isUnderSystemd ? ServiceStage.tokenPath : self.tokenFile }

    private func state(of service: String, _ name: String) -> String {
        self.plan.isUnderSystemd ? "/var/lib/gotunnel/\(service)" : "\(self.plan.folder)/state-\(name)"
    }

    private func write(_ lines: [String], to name: String) throws {
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: "\(self.plan.folder)/\(name)"))
    }

    // MARK: State

    var clientSocket: String {
        self.plan.isUnderSystemd ? "/run/gotunnel/client.sock" : "\(self.plan.folder)/client.sock"
    }

    func waitReady(_ socket: String, _ name: String) async throws {
        try await self.wait(for: "\(name) to be ready", within: .seconds(20)) {
            (try? await AdminClient(socket: socket, timeout: .seconds(1)).raw("/readyz")) != nil
        }
    }

    /// Waits until every server has a session with the client, and so listens for its exposure.
    private func waitForMappedPorts() async throws {
        try await self.waitForLinks(self.plan.servers)
        for place in self.places {
            try await self.wait(for: "the mapped port of \(place.name)", within: .seconds(20)) {
                let exposures = (try? await AdminClient(socket: place.socket, timeout: .seconds(2)).exposures()) ?? []
                return exposures.contains { $0.port == self.mappedPort && $0.healthy }
            }
        }
    }

    package func links() async throws -> [LinkStatus] {
        guard case .client(let status) = try await AdminClient(socket: self.clientSocket, timeout: .seconds(2)).status() else {
            throw StageError("the client's admin socket is a server's")
        }
        return status.links
    }

    func waitForLinks(_ count: Int) async throws {
        try await self.wait(for: "\(count) links", within: .seconds(20)) {
            let links = (try? await self.links()) ?? []
            return links.count { $0.state == .active || $0.state == .standby } >= count
        }
    }

    /// The server that new streams go to.
    func active() async throws -> Place {
        let links = try await self.links()
        guard let name = links.first(where: { $0.state == .active })?.server,
            let place = self.places.first(where: { $0.name == name })
        else { throw StageError("no link of the client is active") }
        return place
    }

    /// Has new streams go to the other server that the client has a link with.
    func move() async throws {
        let before = try await self.active()
        guard let other = try await self.links().first(where: { $0.state == .standby })?.server else {
            throw StageError("the client has one link only")
        }
        _ = try await AdminClient(socket: before.socket, timeout: .seconds(5)).move(client: Self.clientName, to: other)
        try await self.wait(for: "the client to move to \(other)", within: .seconds(10)) {
            (try? await self.active().name) == other
        }
    }

    func wait(for what: String, within limit: Duration, _ isDone: () async -> Bool) async throws {
        let end = ContinuousClock.now + limit
        while !(await isDone()) {
            guard ContinuousClock.now < end else { throw StageError("waited in vain for \(what); see \(self.plan.folder)") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Marks what `make` throws as a lack of this machine.
    private static func ofMachine<Made>(_ make: () throws -> Made) throws -> Made {
        do { return try make() } catch let error as StageError { throw StageError(error.description, isOfMachine: true) }
    }

    /// Ends everything, also when the task that says so has been cancelled itself.
    func strikeAnyway() async { await Task { await self.strike() }.value }

    /// SIGKILL, and waits until the process is gone.
    func kill(_ name: String) async {
        self.cast[name]?.signal(SIGKILL)
        _ = await self.cast[name]?.waitForEnd(within: .seconds(5))
    }

    /// Ends everything that was started.
    package func strike() async {
        if self.plan.isUnderSystemd { ServiceStage.stop() }
        for process in self.cast.everybody { process.signal(SIGCONT) }
        for process in self.cast.everybody { process.signal(SIGTERM) }
        for process in self.cast.everybody where !(await process.waitForEnd(within: .seconds(1))) {
            process.signal(SIGKILL)
            _ = await process.waitForEnd(within: .seconds(2))
        }
        for relay in self.relays { await relay.stop() }
        self.delay?.stop()
        self.lab?.remove()
    }
}

extension NamespaceLab {
    /// Makes a host that is 250 ms away from the bridge, each way.
    func addFarHost() throws -> DelayedLink {
        guard let far = self.farHost.namespace else { throw StageError("a far host needs namespaces") }
        try Shell.run(["ip", "netns", "add", far])
        let link = try DelayedLink((self.bridgeNamespace, "far0"), (far, "eth0"), delay: .milliseconds(250))
        try self.addPort("far0")
        try Shell.run(["ip", "-n", far, "link", "set", "lo", "up"])
        try Shell.run(["ip", "-n", far, "addr", "add", "\(self.farHost.address)/24", "dev", "eth0"])
        try Shell.run(["ip", "-n", far, "link", "set", "eth0", "up"])
        return link
    }
}
