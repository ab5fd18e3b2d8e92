import Admin
import ArgumentParser

/// `gotunnel-chaos`: rehearses failures.
@main
struct GotunnelChaos: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gotunnel-chaos",
        abstract: "Rehearses failures with real programs, and says what the traffic noticed.",
        version: "gotunnel-chaos \(Version.current)",
        subcommands: [
            ListCommand.self, RunCommand.self, ContinuityCommand.self, ClusterCommand.self, UpgradeCommand.self,
            SimulateCommand.self, ApiserverCommand.self, LoadCommand.self, FleetCommand.self, TrafficCommand.self,
            BackendCommand.self,
        ])
}
