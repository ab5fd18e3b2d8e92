import Admin
import ArgumentParser
import ChaosHarness
import Foundation
import UnixSignals

/// `gotunnel-chaos cluster`.
struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Measures a cluster of real servers: new leaders, deaths, mapped ports, splits, the registry.",
        discussion: """
            Each trial starts servers of its own on this machine and ends them again. Every time that is promised is judged
            beside a control: connections straight to a backend of the harness, all the time. Cuts and splits need root,
            for network namespaces.

            Exit code 0: every promise held; 1: one was broken; 75: something could not be run or judged here;
            130: stopped by a signal, after everything that was started has been ended.
            """)

    @Option(help: ArgumentHelp("The folder with the programs.", valueName: "folder"))
    var programs = "bin"

    @Option(help: ArgumentHelp("Where reports and logs go.", valueName: "folder"))
    var report = "reports/cluster"

    @Option(help: ArgumentHelp("Run this trial alone; may be given several times.", valueName: "name"))
    var only: [ClusterTrial] = []

    @Option(help: ArgumentHelp("How often the leader is killed. Default: 50, with --short 8.", valueName: "number"))
    var kills: Int?

    @Option(
        help: ArgumentHelp("How many registrations there are. Default: 100000, with --short 10000.", valueName: "number"))
    var registrations: Int?

    @Flag(help: "A minute and a half instead of ten: fewer repetitions.")
    var short = false

    @Flag(help: "Exit with 0 although something could not be run here.")
    var allowSkips = false

    @Flag(help: "List the trials and end.")
    var list = false

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        if let kills, !(1...1_000).contains(kills) { throw ValidationError("--kills \(kills): give 1 to 1000") }
        if let registrations, !(100...500_000).contains(registrations) {
            throw ValidationError("--registrations \(registrations): give 100 to 500000")
        }
    }

    func run() async throws {
        if list { return showList() }
        OpenFiles.raiseLimit()
        let (programs, folder) = (absolute(programs), absolute(report))
        for program in ["gotunnel-server", "gotunnel-client", "gotunnelctl", "gotunnel-chaos"] {
            guard FileManager.default.isExecutableFile(atPath: "\(programs)/\(program)") else {
                throw ValidationError("\(programs)/\(program) is missing: run make build, or name the folder with --programs")
            }
        }
        guard let result = try await untilStopped({ try await self.runAll(programs, folder) }) else {
            Self.say("stopped; everything that was started is ended")
            throw ExitCode(130)
        }
        try result.json().write(to: URL(filePath: "\(folder)/cluster.json"))
        try Data(result.text().utf8).write(to: URL(filePath: "\(folder)/cluster.txt"))
        Self.print(json ? String(decoding: try result.json(), as: UTF8.self) + "\n" : result.text())
        if !result.held { throw ExitCode(1) }
        if !result.isComplete, !(allowSkips && result.isJudged) { throw ExitCode(75) }
    }

    private func runAll(_ programs: String, _ folder: String) async throws -> ClusterReport {
        var result = ClusterReport(date: Timestamp.now().description, machine: Machine.description, version: Version.current)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let isRoot = geteuid() == 0
        if isRoot { try? NamespaceLab.removeLeftovers() }
        var size = short ? ClusterTrial.Size.short : ClusterTrial.Size()
        size.kills = kills ?? size.kills
        size.registrations = registrations ?? size.registrations
        size.hasNamespaces = isRoot
        for trial in ClusterTrial.allCases where only.isEmpty || only.contains(trial) {
            guard isRoot || !trial.needsRoot else {
                result.skipped[trial.rawValue] = "needs root, for network namespaces"
                continue
            }
            if trial == .death, !isRoot { result.skipped["death by a silent cut"] = "needs root, for network namespaces" }
            try await run(trial, size, programs, folder, &result)
        }
        return result
    }

    /// What this machine lacks is skipped, anything else is a failure; an order to stop is passed on.
    private func run(
        _ trial: ClusterTrial, _ size: ClusterTrial.Size, _ programs: String, _ folder: String, _ result: inout ClusterReport
    ) async throws {
        let name = trial.rawValue
        do {
            let outcome = try await trial.run(size, programs: programs, folder: "\(folder)/\(name)") {
                Self.say("\(name): \($0)")
            }
            result.outcomes.append(outcome)
            Self.say("\(name): \(outcome.held ? "held" : "BROKEN"), after \(Int(outcome.seconds)) s")
        } catch {
            if Task.isCancelled { throw CancellationError() }
            if let error = error as? StageError, error.isOfMachine {
                result.skipped[name] = error.description
            } else {
                result.failed[name] = "\(error)"
            }
            Self.say("\(name): \(error)")
        }
    }

    /// Runs `body`; when a signal asks the program to end, cancels it, waits until it has put its things away, and
    /// gives nil.
    private func untilStopped<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result? {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let work = Task(operation: body)
        let watch = Task { for await _ in signals { work.cancel() } }
        defer { watch.cancel() }
        do {
            return try await work.value
        } catch is CancellationError {
            return nil
        }
    }

    private func showList() {
        for trial in ClusterTrial.allCases {
            let note = trial.needsRoot ? " (needs root)" : ""
            Self.print(trial.rawValue.padding(toLength: 10, withPad: " ", startingAt: 0) + trial.title + note + "\n")
        }
    }

    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    private static func print(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    private static func say(_ text: String) { FileHandle.standardError.write(Data("cluster: \(text)\n".utf8)) }
}

extension ClusterTrial: ExpressibleByArgument {}
