import ArgumentParser
import ChaosHarness
import Foundation
import UnixSignals

extension UpgradeCarrier: ExpressibleByArgument {}
extension UpgradedProgram: ExpressibleByArgument {}

/// `gotunnel-chaos upgrade`.
struct UpgradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Puts new processes in the place of running ones under traffic, and accounts for every byte.",
        discussion: """
            A server and a client of its own, long streams both ways through a forward and a mapped port, and a new
            connection every 10 ms. `exec` is gotunnelctl upgrade, `restart` is systemctl restart (run as root where
            systemd runs and the units are installed), `kill` hands nothing over and must fail.

            Exit code 0: nothing was lost; 1: something was; 130: stopped by a signal.
            """)

    @Option(help: ArgumentHelp("The folder with the programs.", valueName: "folder"))
    var programs = "bin"

    @Option(help: ArgumentHelp("Where reports and logs go.", valueName: "folder"))
    var report = "reports/upgrade"

    @Option(help: "exec, restart or kill.")
    var carrier = UpgradeCarrier.exec

    @Option(help: "server, client or both.")
    var who = UpgradedProgram.server

    @Option(help: ArgumentHelp("How often.", valueName: "number"))
    var times = 10

    @Option(help: ArgumentHelp("How many long streams.", valueName: "number"))
    var streams = 500

    @Option(help: ArgumentHelp("How many connections the carrier takes; more may be reset. Default: all.", valueName: "number"))
    var limit: Int?

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        guard (2...StreamsPlan.streamLimit).contains(streams) else {
            throw ValidationError("--streams \(streams): give 2 to \(StreamsPlan.streamLimit)")
        }
        guard (1...1_000).contains(times) else { throw ValidationError("--times \(times): give 1 to 1000") }
    }

    func run() async throws {
        OpenFiles.raiseLimit()
        let root = FileManager.default.currentDirectoryPath
        func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(root)/\(path)" }
        let folder = absolute(self.report)
        var plan = UpgradePlan(programs: absolute(self.programs), folder: folder)
        (plan.carrier, plan.who, plan.times, plan.streams, plan.limit) =
            (self.carrier, self.who, self.times, self.streams, self.limit)
        let run = UpgradeRun(plan)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let work = Task { try await run.run { FileHandle.standardError.write(Data("upgrade: \($0)\n".utf8)) } }
        let watch = Task { for await _ in signals { work.cancel() } }
        defer { watch.cancel() }
        let result: UpgradeReport
        do {
            result = try await work.value
        } catch is CancellationError {
            throw ExitCode(130)
        }
        try result.json().write(to: URL(filePath: "\(folder)/upgrade.json"))
        try Data(result.text().utf8).write(to: URL(filePath: "\(folder)/upgrade.txt"))
        FileHandle.standardOutput.write(self.json ? try result.json() : Data(result.text().utf8))
        if !result.held { throw ExitCode(1) }
    }
}
