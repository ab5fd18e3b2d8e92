import Foundation
import Testing

/// Server and client as services of a genuine systemd, from the project's own units. There is one only where `scripts/test-systemd`
/// has started these tests.
struct ServiceWorld: Sendable {
    enum Unit: String, Sendable {
        case server, client

        var name: String { "gotunnel-\(self.rawValue).service" }
        var socket: String { "/run/gotunnel/\(self.rawValue).sock" }
    }

    static let isHere = ProcessInfo.processInfo.environment["GOTUNNEL_SYSTEMD"] == "1"

    let linkPort: Int
    let forwardPort: Int
    let mappedPort: Int
    let echo: TestServer

    /// Both services run, with an echo behind the server and another behind the client's exposure; everything is taken away
    /// afterwards.
    ///
    /// - Parameters:
    ///   - dropIns: further lines for `[Service]` of a unit.
    ///   - starts: which services are started.
    static func with(
        dropIns: [Unit: [String]] = [:], starts: [Unit] = [.server, .client], _ body: (ServiceWorld) async throws -> Void
    ) async throws {
        let echo = try await TestServer.echo()
        let world = ServiceWorld(
            linkPort: try FreePorts.one(), forwardPort: try FreePorts.one(), mappedPort: try FreePorts.one(), echo: echo)
        do {
            try await world.prepare(dropIns)
            for unit in starts { try await world.systemctl("start", unit.name) }
            if starts.contains(.client) { try await world.waitForTunnel() }
            try await body(world)
        } catch {
            let journal = try? await run("/usr/bin/journalctl", ["--no-pager", "-n", "60"]).output
            await world.clear()
            throw Unmet("\(error)\n--- journal:\n\(journal ?? "")")
        }
        await world.clear()
    }

    private func prepare(_ dropIns: [Unit: [String]]) async throws {
        try self.write("/etc/gotunnel/secrets/token", sampleToken, mode: 0o600)
        try self.configure(.server)
        try self.configure(.client)
        for unit in [Unit.server, .client] {
            let folder = "/etc/systemd/system/\(unit.name).d"
            try? FileManager.default.removeItem(atPath: folder)
            guard let lines = dropIns[unit] else { continue }
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try self.write("\(folder)/test.conf", (["[Service]"] + lines).joined(separator: "\n") + "\n")
        }
        try await self.systemctl("daemon-reload")
    }

    /// Writes a configuration, with `extra` lines behind it.
    func configure(_ unit: Unit, token: String = "$CREDENTIALS_DIRECTORY/secret_token", extra: [String] = []) throws {
        let lines: [String]
        switch unit {
        case .server:
            lines = [
                "server:", "  name: controller-1", "  addr: \"127.0.0.1:\(self.linkPort)\"", "  token_file: \(token)",
                "  services: {echo: {targets: [\"127.0.0.1:\(self.echo.port)\"]}}", "  drain_timeout: 20s",
            ]
        case .client:
            lines = [
                "client:", "  name: worker-1", "  token_file: \(token)", "  server_addrs: [\"127.0.0.1:\(self.linkPort)\"]",
                "  forwards: [{listen: \"127.0.0.1:\(self.forwardPort)\", service: echo}]",
                "  exposures: [{name: echo, target: \"127.0.0.1:\(self.echo.port)\", remote_port: \(self.mappedPort)}]",
            ]
        }
        try self.write("/etc/gotunnel/\(unit.rawValue).yaml", (lines + extra).joined(separator: "\n") + "\n")
    }

    func write(_ path: String, _ text: String, mode: Int = 0o644) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    private func clear() async {
        for unit in [Unit.client, .server] {
            _ = try? await run("/usr/bin/systemctl", ["kill", "-s", "KILL", unit.name])
            _ = try? await run("/usr/bin/systemctl", ["stop", unit.name])
            _ = try? await run("/usr/bin/systemctl", ["reset-failed", unit.name])
        }
        for file in ["server", "client"] { try? FileManager.default.removeItem(atPath: "/var/lib/gotunnel/\(file)") }
        await self.echo.stop()
    }

    // MARK: systemd

    @discardableResult
    func systemctl(_ arguments: String...) async throws -> String { try await runWell("/usr/bin/systemctl", arguments) }

    /// A property of a unit, as `systemctl show` has it.
    func property(_ name: String, of unit: Unit) async throws -> String {
        try await runWell("/usr/bin/systemctl", ["show", "--property=\(name)", "--value", unit.name])
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func number(_ name: String, of unit: Unit) async throws -> Int { Int(try await self.property(name, of: unit)) ?? -1 }

    /// Waits until a property is what it should be.
    func expect(_ name: String, _ value: String, of unit: Unit, within limit: Duration = .seconds(20)) async throws {
        try await eventually("\(name)=\(value) of \(unit.name)", within: limit) {
            try await self.property(name, of: unit) == value
        }
    }

    /// Entries of the journal as JSON objects, by fields such as `MESSAGE_ID=…`.
    func journal(_ matches: String...) async throws -> [String] {
        try await runWell("/usr/bin/journalctl", ["--no-pager", "-o", "json"] + matches).split(separator: "\n").map(String.init)
    }

    /// Has a service break something of itself.
    func suffer(_ fault: String, _ unit: Unit) async throws {
        _ = try? await AdminAccess(socket: unit.socket).request("/v1/faults/\(fault)", method: "POST")
    }

    /// Has systemd hold the link port, and the client start the server by dialling there.
    func activate() async throws {
        let folder = "/etc/systemd/system/gotunnel-server.socket.d"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try self.write("\(folder)/test.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:\(self.linkPort)\n")
        try await self.systemctl("daemon-reload")
        try await self.systemctl("start", "gotunnel-server.socket")
        #expect(try await self.property("ActiveState", of: .server) == "inactive")
        try await self.systemctl("start", Unit.client.name)
        try await self.waitForTunnel()
    }

    // MARK: The tunnel

    func waitForTunnel(within limit: Duration = .seconds(20)) async throws {
        try await eventually("an echo through the forward and the mapped port", within: limit) {
            for port in [self.forwardPort, self.mappedPort] {
                let connection = try await TestConnection.connect(port: port)
                try await connection.write("here?")
                let answer = try await connection.readText(5, within: .seconds(2))
                try await connection.close()
                guard answer == "here?" else { return false }
            }
            return true
        }
    }

    /// A connection with something said on it both ways.
    func open(port: Int) async throws -> TestConnection {
        let connection = try await TestConnection.connect(port: port)
        try await self.talk(on: connection)
        return connection
    }

    func talk(on connection: TestConnection) async throws {
        let word = "word \(Int.random(in: 100_000...999_999))"
        try await connection.write(word)
        #expect(try await connection.readText(word.utf8.count) == word)
    }
}
