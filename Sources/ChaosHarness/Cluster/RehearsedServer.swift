import Foundation
import Identity
import Logging
import Settings
import TunnelServer
import TunnelWire

/// A server of the cluster inside this process, with links like any other, whose clients are made up.
final class RehearsedServer: Sendable {
    let server: GotunnelServer
    private let life: Task<Void, any Error>

    private init(_ server: GotunnelServer) {
        self.server = server
        self.life = Task { try await server.run() }
    }

    /// Starts a server with the configuration that the stage has written for it.
    static func start(_ configuration: String) async throws -> RehearsedServer {
        let surroundings = Surroundings.current(environment: [:])
        var quiet = Logger(label: "rehearsed")
        quiet.logLevel = .critical
        let loaded = try SettingsLoader.loadServer(path: configuration, in: surroundings)
        return RehearsedServer(try await GotunnelServer.make(loaded, surroundings: surroundings, logger: quiet, threads: 1))
    }

    func stop() async {
        self.life.cancel()
        _ = await self.life.result
    }
}

/// Registrations that nobody made. Pure.
struct MadeUpClients: Sendable {
    /// How many there are.
    let count: Int
    private let installation: WireID
    /// When the first ones began, in milliseconds since 1970.
    let since: UInt64

    init(count: Int, since: UInt64, using rng: inout some RandomNumberGenerator) {
        self.count = count
        self.since = since
        self.installation = WireID.random(using: &rng)
    }

    static func name(_ number: Int) -> String { "worker-\(number)" }

    /// Which of two servers holds a client.
    static func owner(_ number: Int) -> Int { number % 2 }

    /// What a worker with a kubelet to reach registers.
    func record(_ number: Int, since: UInt64) -> ClientRecord {
        ClientRecord(
            installation: self.installation, instance: self.installation,
            address: "10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255):40000", since: since,
            exposures: [ExposureRecord(name: "kubelet", port: .none, isHealthy: true)])
    }
}
