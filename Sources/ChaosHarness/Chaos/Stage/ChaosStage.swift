import Admin
import ChaosCore
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// The servers, clients and apiservers of a scenario, started for a run and ended with it.
package final class ChaosStage: Sendable {
    /// Where programs come from and results go.
    package struct Setting: Sendable {
        /// The folder with the programs that are rehearsed.
        package var programs: String
        /// This program itself, for traffic and apiservers.
        package var harness: String
        /// Made if need be; what earlier runs left there is removed.
        package var folder: String
        /// Added to the environment of servers and clients.
        package var environment: [String: String] = [:]
        /// A genuine control plane stands beside the stand-ins.
        package var kubernetes: KubernetesPrograms?

        package init(programs: String, harness: String, folder: String) {
            self.programs = programs
            self.harness = harness
            self.folder = folder
        }
    }

    let layout: StageLayout
    let setting: Setting
    let places: ChaosPlaces
    let files: ChaosFiles
    let lab: NamespaceLab?
    let leftovers: Leftovers
    /// Keeps what is rehearsed.
    let keeper: any Keeper
    /// Keeps everything else.
    let helpers: PlainKeeper
    private let genuine = MutexBox<KubernetesSide?>(nil)
    /// The genuine control plane, if there is one.
    var kubernetes: KubernetesSide? { self.genuine.with { $0 } }
    /// By server; with a `disk` in the layout only.
    let disks: [String: SmallDisk]

    /// Makes the network and starts everybody but the spares; what was made is removed again when something fails.
    package static func raise(_ layout: StageLayout, _ setting: Setting) async throws -> ChaosStage {
        let leftovers = try Leftovers.begin()
        var lab: NamespaceLab?
        do {
            if layout.network == .namespaces {
                lab = try Self.ofMachine {
                    try NamespaceLab(
                        hosts: ChaosPlaces.hostCount(layout), roundTrip: layout.roundTrip, leftovers: leftovers)
                }
            }
            let stage = try ChaosStage(layout, setting, lab, leftovers)
            do {
                try await stage.start()
                return stage
            } catch {
                await stage.strikeAnyway()
                throw error
            }
        } catch {
            lab?.remove()
            leftovers.end()
            throw error
        }
    }

    private init(_ layout: StageLayout, _ setting: Setting, _ lab: NamespaceLab?, _ leftovers: Leftovers) throws {
        do { try Self.clean(setting.folder) } catch {
            throw StageError("\(setting.folder) cannot be written; choose another --report")
        }
        self.layout = layout
        self.setting = setting
        self.lab = lab
        self.leftovers = leftovers
        self.places = ChaosPlaces(layout, folder: setting.folder, hosts: lab?.hosts ?? [])
        self.files = ChaosFiles(
            layout: layout, places: self.places, programs: setting.programs, hasKubernetes: setting.kubernetes != nil)
        self.helpers = PlainKeeper()
        self.keeper = layout.isSupervised ? ServiceKeeper(others: self.helpers, log: self.places.log) : self.helpers
        var disks: [String: SmallDisk] = [:]
        if let size = layout.disk {
            for server in self.places.servers {
                let state = self.files.state(server.name)
                disks[server.name] = try Self.ofMachine { try SmallDisk(at: state, bytes: size, leftovers: leftovers) }
            }
        }
        self.disks = disks
    }

    /// Removes what an earlier run wrote.
    private static func clean(_ folder: String) throws {
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let endings = [".log", ".jsonl", ".sock", ".yaml"]
        for name in try files.contentsOfDirectory(atPath: folder)
        where name.hasPrefix("state-") || endings.contains(where: name.hasSuffix) {
            try files.removeItem(atPath: "\(folder)/\(name)")
        }
    }

    static func ofMachine<Made>(_ make: () throws -> Made) throws -> Made {
        do { return try make() } catch let error as StageError { throw StageError(error.description, isOfMachine: true) }
    }

    // MARK: Starting

    private func start() async throws {
        for secret in ["token", "secret"] {
            try self.files.makeSecret(secret)
            if self.layout.isSupervised { try ServiceStage.lend(token: self.places.file(secret), as: secret) }
        }
        try self.files.write()
        try self.define()
        for server in self.places.servers where !server.isSpare { try await self.helpers.start(server.apiserver) }
        try await self.helpers.start(Self.controlApiserver)
        if let programs = self.setting.kubernetes {
            let side = try await KubernetesSide.raise(self.places, programs, leftovers: self.leftovers)
            self.genuine.with { $0 = side }
        }
        for server in self.places.servers where !server.isSpare { try await self.keeper.start(server.name) }
        let first = self.places.servers.filter { !$0.isSpare }
        for server in first { try await self.waitReady(server.name) }
        try await self.waitForLeader()
        for client in self.places.clients { try await self.keeper.start(client.name) }
        if self.layout.fleet > 0 { try await self.helpers.start(Self.fleet) }
        for client in self.places.clients { try await self.waitReady(client.name) }
        try await self.wait(for: "every client to have its links", within: .seconds(30)) {
            for client in self.places.clients {
                let links = await self.clientStatus(client.name)?.links ?? []
                if links.count(where: { $0.state == .active || $0.state == .standby }) < self.linksEach { return false }
            }
            return true
        }
    }

    static let fleet = "fleet"
    static let controlApiserver = "apiserver-control"

    /// How many links each client is to have.
    var linksEach: Int { min(self.layout.links, self.layout.servers) }

    private func define() throws {
        for server in self.places.servers {
            try self.define(.server, server.name, "gotunnel-server", server.host, socket: server.socket)
            self.defineApiserver(server.apiserver, "\(server.host.address):6443", on: server.host)
        }
        for client in self.places.clients {
            try self.define(.client, client.name, "gotunnel-client", client.host, socket: client.socket)
        }
        if self.layout.fleet > 0 { self.defineFleet() }
        self.defineApiserver(Self.controlApiserver, self.controlAddress, on: self.places.controlHost)
    }

    /// Where the control's apiserver listens: on the first client's host.
    var controlAddress: String { "\(self.places.controlHost.address):16443" }

    private func define(
        _ service: ServiceStage.Service, _ name: String, _ program: String, _ host: StageHost, socket: String
    ) throws {
        let configuration = self.places.configuration(name)
        if let services = self.keeper as? ServiceKeeper {
            try services.define(name, from: service, configuration: configuration, socket: socket)
        } else {
            self.helpers.define(
                name,
                PlainKeeper.Recipe(
                    command: ["\(self.setting.programs)/\(program)", "--config", configuration], host: host,
                    log: self.places.log(name), environment: self.setting.environment))
        }
    }

    private func defineApiserver(_ name: String, _ address: String, on host: StageHost) {
        self.helpers.define(
            name,
            PlainKeeper.Recipe(
                command: [
                    self.setting.harness, "apiserver", "--name", name, "--listen", address, "--output", self.places.record(name),
                ], host: host, log: self.places.log(name)))
    }

    private func defineFleet() {
        self.helpers.define(
            Self.fleet,
            PlainKeeper.Recipe(
                command: [
                    self.setting.harness, "fleet", "--clients", "\(self.layout.fleet)", "--links", "\(self.layout.links)",
                    "--token-file", self.places.file("token"), "--state", self.places.file("state-fleet"),
                ] + self.files.firstVoters.flatMap { ["--server", $0.address] }, host: .loopback,
                log: self.places.log(Self.fleet)))
    }

    // MARK: The end

    /// Ends everything, also when the task that says so has been cancelled itself.
    func strikeAnyway() async { await Task { await self.strike() }.value }

    /// Ends everything that was started and removes what was made.
    package func strike() async {
        await self.kubernetes?.strike()
        if let services = self.keeper as? ServiceKeeper { await services.endAll() } else { await self.helpers.endAll() }
        for disk in self.disks.values { disk.remove() }
        self.lab?.remove()
        self.leftovers.end()
    }
}
