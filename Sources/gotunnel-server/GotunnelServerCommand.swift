import Admin
import ArgumentParser
import Daemon
import Foundation
import Settings
import TunnelServer
import TunnelWire

@main
struct GotunnelServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gotunnel-server",
        abstract: "Accepts tunnel clients and offers them services of this network.",
        discussion: """
            Without --config the configuration is $GOTUNNEL_CONFIG, ./config.yaml or
            /etc/gotunnel/config.yaml, the first that there is.

            SIGHUP reloads the configuration, SIGTERM drains and stops.
            `gotunnelctl config example server` prints a configuration to start from.
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
        let program = DaemonProgram<ServerSettings>(name: "gotunnel-server", handoffKinds: GotunnelServer.handoffKinds) {
            path, surroundings throws(SettingsError) in
            try SettingsLoader.loadServer(path: path, in: surroundings)
        } make: { loaded, surroundings, inheritance, logger in
            try await GotunnelServer.make(loaded, surroundings: surroundings, inheritance: inheritance, logger: logger)
        }
        let code = await program.run(
            configuration: self.config, isCheck: self.check, environment: ProcessInfo.processInfo.environment)
        throw ExitCode(code)
    }
}
