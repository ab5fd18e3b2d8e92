import Logging
import NIOCore
import Settings
import TunnelClient

/// Many clients in one process that hold links and carry nothing.
package struct ChaosFleet: Sendable {
    package var clients: Int
    package var links: Int
    package var servers: [String]
    package var tokenFile: String
    package var state: String

    package init(clients: Int, links: Int, servers: [String], tokenFile: String, state: String) {
        self.clients = clients
        self.links = links
        self.servers = servers
        self.tokenFile = tokenFile
        self.state = state
    }

    package func start() async throws -> LightClients {
        var settings = ClientSettings(
            name: "fleet", token: .file(self.tokenFile), servers: self.servers.compactMap { HostPort($0) },
            stateDirectory: self.state, admin: AdminSettings(socket: "\(self.state)/fleet.sock"))
        settings.links = self.links
        settings.memoryBudget = 2 << 30
        var quiet = Logger(label: "fleet")
        quiet.logLevel = .critical
        // Each from an address of its own, as workers are: a server bounds the handshakes of one address.
        return try await LightClients.start(
            self.clients, settings: settings, surroundings: .current(environment: [:]), logger: quiet,
            source: { number in try? SocketAddress(ipAddress: "127.1.\(number / 250).\(number % 250 + 1)", port: 0) })
    }
}
