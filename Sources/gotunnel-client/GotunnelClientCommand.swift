import Admin
import ArgumentParser
import Daemon
import Foundation
import Settings
import TunnelClient
import TunnelWire

@main
struct GotunnelClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gotunnel-client",
        abstract: "Dials a tunnel server: forwards to its services, exposes local programs.",
        discussion: """
            Without --config the configuration is $GOTUNNEL_CONFIG, ./config.yaml or
            /etc/gotunnel/config.yaml, the first that there is.

            SIGHUP reloads the configuration, SIGTERM stops.
            `gotunnelctl config example client` prints a configuration to start from.
            """,
        version: Version.current)

    @Option(name: .shortAndLong, help: ArgumentHelp("The configuration file.", valueName: "file"))
    var config: String?

    @Flag(help: "Only say whether the configuration is right.")
    var check = false

    @Flag(help: .hidden)
    var handoffFormats = false

    func run() async throws {
        guard !self.handoffFormats else { return print(Faults.isOn(.otherFormat) ? "" : HandoffFormat.range) }
        let program = DaemonProgram<ClientSettings>(name: "gotunnel-client", handoffKinds: GotunnelClient.handoffKinds) {
            path, surroundings throws(SettingsError) in
            try SettingsLoader.loadClient(path: path, in: surroundings)
        } make: { loaded, surroundings, inheritance, logger in
            try await GotunnelClient.make(loaded, surroundings: surroundings, inheritance: inheritance, logger: logger)
        }
        let code = await program.run(
            configuration: self.config, isCheck: self.check, environment: ProcessInfo.processInfo.environment)
        throw ExitCode(code)
    }
}
