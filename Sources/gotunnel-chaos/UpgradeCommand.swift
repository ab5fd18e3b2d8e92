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
            A server and a client of its own, long streams both ways through a forward and a
            mapped port, and a new connection every 10 ms. `exec` is gotunnelctl upgrade,
            `restart` is systemctl restart: run as root where systemd runs and the units are
            installed, and no other gotunnel is. Two show what the rehearsal itself is worth:
            `none` replaces nothing and must hold, `kill` hands nothing over and must fail.

            Exit code 0: nothing was lost; 1: something was; 130: stopped by a signal.
            """)

    @Option(help: ArgumentHelp("The folder with the programs.", valueName: "folder"))
    var programs = "bin"

    @Option(help: ArgumentHelp("Where reports and logs go.", valueName: "folder"))
    var report = "reports/upgrade"

    @Option(help: "exec, restart, kill or none.")
    var carrier = UpgradeCarrier.exec

    @Option(help: "server, client or both.")
    var who = UpgradedProgram.server

    @Option(help: ArgumentHelp("How many; with several, another one each time.", valueName: "number"))
    var servers = 1

    @Option(help: ArgumentHelp("How often.", valueName: "number"))
    var times = 10

    @Option(help: ArgumentHelp("How many long streams.", valueName: "number"))
    var streams = 500

    @Option(help: ArgumentHelp("How many more that send as fast as they can.", valueName: "number"))
    var bulk = 2

    @Option(
        help: ArgumentHelp("How fast the others send, as `1024/200ms`. Default: by their number.", valueName: "bytes/time"),
        transform: TrafficArguments.pace)
    var pace: PatternPace?

    @Option(help: ArgumentHelp("Between two upgrades, on average.", valueName: "time"), transform: TrafficArguments.duration)
    var pause: Duration = .seconds(2)

    @Option(
        help: ArgumentHelp(
            "How many connections the carrier takes; more may be reset. Default: all, and 2000 by restart.", valueName: "number"))
    var limit: Int?

    @Option(help: ArgumentHelp("What the bytes and the moments of the upgrades are made from.", valueName: "number"))
    var seed: UInt64 = 1

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        guard (2...StreamsPlan.streamLimit).contains(streams) else {
            throw ValidationError("--streams \(streams): give 2 to \(StreamsPlan.streamLimit)")
        }
        guard (1...7).contains(servers) else { throw ValidationError("--servers \(servers): give 1 to 7") }
        guard servers == 1 || carrier != .restart else {
            throw ValidationError("--servers \(servers) with --carrier restart: one machine has one service; leave --servers out")
        }
        guard (0...100).contains(bulk) else { throw ValidationError("--bulk \(bulk): give 0 to 100") }
        guard (1...1_000).contains(times) else { throw ValidationError("--times \(times): give 1 to 1000") }
    }

    func run() async throws {
        OpenFiles.raiseLimit()
        let root = FileManager.default.currentDirectoryPath
        func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(root)/\(path)" }
        let folder = absolute(self.report)
        var plan = UpgradePlan(programs: absolute(self.programs), folder: folder)
        (plan.carrier, plan.who, plan.servers, plan.times, plan.limit) =
            (self.carrier, self.who, self.servers, self.times, self.limit)
        (plan.streams, plan.bulk, plan.pace, plan.pause, plan.seed) =
            (self.streams, self.bulk, self.pace, self.pause, self.seed)
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
