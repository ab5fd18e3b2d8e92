import Admin
import ArgumentParser
import ChaosCore
import ChaosHarness
import Foundation
import Settings
import UnixSignals

/// `gotunnel-chaos run`.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Rehearses a scenario and says whether its promises held.",
        discussion: """
            Raises servers, clients and apiservers of its own, lets traffic flow, makes the
            faults of the scenario, and judges what was seen. The report goes to a folder:
            summary.md, results.json, timeline.svg and .png, the logs of every process.

            Exit code 0: every promise held; 1: one was broken; 75: this machine cannot run
            it, or was too busy to judge by; 130: stopped by a signal, after everything that
            was started has been ended.
            """)

    @Argument(help: ArgumentHelp("The scenario: a name that `list` shows, or a file.", valueName: "scenario"))
    var scenario: String

    @Option(help: ArgumentHelp("Repeats a run: the same faults at the same times. Default: a new one.", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("Where the report goes. Default: reports/chaos/SCENARIO-SEED.", valueName: "folder"))
    var report: String?

    @Option(help: ArgumentHelp("How long faults come, such as 2m. Default: what the scenario says.", valueName: "time"))
    var duration: String?

    @Option(help: ArgumentHelp("The folder with the scenarios.", valueName: "folder"))
    var scenarios = "chaos"

    @Option(help: ArgumentHelp("The folder with the programs.", valueName: "folder"))
    var programs = "bin"

    @Option(
        help: ArgumentHelp(
            "The folder with programs that can break themselves, for scenarios that ask for them.", valueName: "folder"))
    var faultsPrograms = ".build/debug"

    @Option(help: ArgumentHelp("Break the programs in this way from the start, to see whether it is noticed.", valueName: "name"))
    var mutant: String?

    @Option(
        help: ArgumentHelp("Rehearse on a cluster that runs: its servers and clients. See chaos/README.md.", valueName: "file"))
    var cluster: String?

    @Option(help: ArgumentHelp("The cluster's name: where nobody can be asked, whether it may be done.", valueName: "name"))
    var yes: String?

    @Flag(help: "Use genuine kube-apiservers as well, where kube-apiserver, etcd and kubectl are on the PATH.")
    var kubernetes = false

    @Flag(help: "Say nothing but the verdict.")
    var quiet = false

    func run() async throws {
        OpenFiles.raiseLimit()
        let plan = try self.plan()
        let seed = self.seed ?? UInt64.random(in: 1...999_999)
        let folder = Paths.absolute(self.report ?? "reports/chaos/\(plan.name)-\(seed)")
        let screen = LiveScreen(name: plan.name, isQuiet: self.quiet)
        let outcome =
            if let cluster {
                try await self.rehearse(plan, onCluster: cluster, seed, folder, screen)
            } else {
                try await self.rehearse(plan, seed, folder, screen)
            }
        guard let outcome else {
            screen.say("stopped; everything that was started is ended")
            throw ExitCode(130)
        }
        let report = ChaosReport(outcome, command: self.command(seed), machine: Machine.description, version: Version.current)
        try report.write(to: folder)
        Plot.draw(folder, scenarios: Paths.absolute(self.scenarios), say: screen.say)
        FileHandle.standardOutput.write(Data(report.verdictText.utf8))
        FileHandle.standardOutput.write(Data("report: \(folder)/summary.md\n".utf8))
        if outcome.isBroken { throw ExitCode(1) }
        if outcome.isVoid { throw ExitCode(75) }
    }

    /// On a stage of its own; nil: stopped.
    private func rehearse(
        _ plan: Scenario, _ seed: UInt64, _ folder: String, _ screen: LiveScreen
    ) async throws -> ChaosOutcome? {
        var setting = ChaosStage.Setting(
            programs: Paths.absolute(plan.stage.needsFaultsBuild || self.mutant != nil ? self.faultsPrograms : self.programs),
            harness: CommandLine.arguments.first.map { Paths.program($0) } ?? "gotunnel-chaos", folder: folder)
        if let mutant { setting.environment["GOTUNNEL_FAULT"] = mutant }
        try Paths.checkPrograms(setting.programs)
        if self.kubernetes { setting.kubernetes = self.programsOfKubernetes(screen) }
        let run = ChaosRun(plan, duration: try self.length(), seed: seed, setting: setting)
        return try await Self.untilStopped { try await run.run(say: screen.say, progress: screen.progress) }
    }

    private func programsOfKubernetes(_ screen: LiveScreen) -> KubernetesPrograms? {
        let found = KubernetesPrograms.find()
        if let remark = found.remark { screen.say(remark) }
        guard case .all(let programs) = found else { return nil }
        return programs
    }

    /// On servers and clients that run, after somebody has agreed; nil: stopped.
    private func rehearse(
        _ plan: Scenario, onCluster file: String, _ seed: UInt64, _ folder: String, _ screen: LiveScreen
    ) async throws -> ChaosOutcome? {
        let cluster: RunningCluster
        do {
            cluster = try RunningClusterReader.read(path: file)
        } catch let error as SettingsError {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(78)
        } catch let error as Problem {
            throw Refusal.of(error.rendered)
        }
        let rehearsal = RunningRehearsal(cluster, plan, duration: try self.length() ?? plan.duration, seed: seed)
        let objections = rehearsal.objections
        guard objections.isEmpty else {
            FileHandle.standardError.write(Data((objections.joined(separator: "\n") + "\n").utf8))
            throw ExitCode(78)
        }
        FileHandle.standardOutput.write(Data((rehearsal.announcement.joined(separator: "\n") + "\n").utf8))
        let consent = rehearsal.guardian.consent(yes: self.yes, isTerminal: isatty(STDIN_FILENO) == 1) { question in
            FileHandle.standardOutput.write(Data(question.utf8))
            return readLine()
        }
        if case .refused(let line) = consent {
            FileHandle.standardError.write(Data("\(line)\n".utf8))
            throw ExitCode(77)
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let evidence = try await Self.untilStopped { try await rehearsal.run(say: screen.say, progress: screen.progress) }
        return evidence.map { evidence in
            ChaosOutcome(
                scenario: rehearsal.judged, duration: rehearsal.duration, seed: seed,
                verdicts: Judge.judge(rehearsal.judged, evidence), evidence: evidence)
        }
    }

    private func plan() throws -> Scenario {
        let path = self.scenario.hasSuffix(".yaml") ? self.scenario : "\(self.scenarios)/\(self.scenario).yaml"
        do {
            return try ScenarioReader.read(path: path)
        } catch let error as SettingsError {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(78)
        } catch let error as Problem {
            throw Refusal.of(error.rendered)
        }
    }

    private func length() throws -> Duration? {
        guard let duration else { return nil }
        guard let length = DurationText.parse(duration), length > .zero else {
            throw Refusal.of("--duration \(duration): give a time such as 90s or 2m")
        }
        return length
    }

    /// With which this run can be repeated.
    private func command(_ seed: UInt64) -> String {
        var words = ["gotunnel-chaos run \(self.scenario) --seed \(seed)"]
        if let duration { words.append("--duration \(duration)") }
        if let mutant { words.append("--mutant \(mutant)") }
        if let cluster { words.append("--cluster \(cluster)") }
        if kubernetes { words.append("--kubernetes") }
        return words.joined(separator: " ")
    }

    /// Runs `body`; when a signal asks the program to end, cancels it, waits until it has put its things away, and gives nil.
    private static func untilStopped<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result? {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let work = Task(operation: body)
        let watch = Task { for await _ in signals { work.cancel() } }
        defer { watch.cancel() }
        do {
            return try await work.value
        } catch let error as StageError {
            if work.isCancelled { return nil }
            FileHandle.standardError.write(Data("chaos: \(error)\n".utf8))
            throw ExitCode(error.isOfMachine ? 75 : 1)
        } catch {
            if work.isCancelled { return nil }
            throw error
        }
    }
}

/// `gotunnel-chaos list`.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Names the scenarios.")

    @Option(help: ArgumentHelp("The folder with the scenarios.", valueName: "folder"))
    var scenarios = "chaos"

    @Flag(help: "The names alone, for scripts.")
    var names = false

    func run() throws {
        let names: [String]
        do {
            names = try ScenarioReader.names(in: self.scenarios)
        } catch let error as Problem {
            throw Refusal.of(error.rendered)
        }
        let width = names.map(\.count).max() ?? 0
        for name in names {
            if self.names {
                FileHandle.standardOutput.write(Data("\(name)\n".utf8))
                continue
            }
            let text: String
            do {
                let scenario = try ScenarioReader.read(path: "\(self.scenarios)/\(name).yaml")
                text = scenario.title + (scenario.needs.isEmpty ? "" : " (\(scenario.needs.joined(separator: ", ")))")
            } catch {
                text = "not readable: gotunnel-chaos run \(name) says why"
            }
            FileHandle.standardOutput.write(
                Data("\(name.padding(toLength: width + 2, withPad: " ", startingAt: 0))\(text)\n".utf8))
        }
    }
}
