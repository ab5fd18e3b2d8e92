import Foundation

/// A server and a client as services of the systemd that runs here, from the project's own units.
enum ServiceStage {
    enum Service: String, CaseIterable { case server, client }

    /// Where a configuration finds the token that the unit loads.
    static let tokenPath = "$CREDENTIALS_DIRECTORY/secret_token"
    private static let folder = "/etc/gotunnel"

    /// Puts the token where the units look for secrets.
    static func lend(token: String, as name: String = "token") throws {
        try FileManager.default.createDirectory(
            atPath: "\(self.folder)/secrets", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try Shell.run(["install", "-m", "0600", token, "\(self.folder)/secrets/\(name)"])
    }

    static func start(_ service: Service, _ configuration: String) throws {
        try Shell.run(["install", "-m", "0644", configuration, "\(self.folder)/\(service.rawValue).yaml"])
        try Shell.run(["systemctl", "start", self.unit(service)])
    }

    /// - Returns: what systemctl complained of.
    static func restart(_ service: Service) throws -> String? {
        try Shell.outcome(of: ["systemctl", "restart", self.unit(service)]).failure
    }

    static func stop() {
        for service in Service.allCases.reversed() {
            _ = try? Shell.run(["systemctl", "kill", "-s", "KILL", self.unit(service)])
        }
        for service in Service.allCases.reversed() { _ = try? Shell.run(["systemctl", "stop", self.unit(service)]) }
    }

    private static func unit(_ service: Service) -> String { "gotunnel-\(service.rawValue).service" }
}
