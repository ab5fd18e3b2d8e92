import Admin
import ArgumentParser
import ChaosHarness
import Foundation
import UnixSignals

/// `gotunnel-chaos continuity`.
struct ContinuityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "continuity",
        abstract: "Takes servers away under traffic and judges what new and old connections notice.",
        discussion: """
            Three servers and a client with default settings, a new HTTPS connection every 10 ms, 100 long streams
            that carry a counted pattern. Every time is judged beside a control: the same requests straight to a
            backend. Cuts need root, for network namespaces.

            Exit code 0: every promise held; 1: one was broken; 75: something could not be run or judged here;
            130: stopped by a signal, after everything that was started has been ended.
            """)

    @Option(help: ArgumentHelp("The folder with the programs.", valueName: "folder"))
    var programs = "bin"

    @Option(help: ArgumentHelp("Where reports, logs and raw figures go.", valueName: "folder"))
    var report = "reports/continuity"

    @Option(help: ArgumentHelp("Run this scenario alone; may be given several times.", valueName: "name"))
    var only: [String] = []

    @Option(help: ArgumentHelp("How many long streams.", valueName: "number"))
    var streams = 100

    @Option(help: ArgumentHelp("How many clients lose a server at once.", valueName: "number"))
    var clients = 1_000

    @Flag(help: "Exit with 0 although something could not be run here.")
    var allowSkips = false

    @Flag(help: "List the scenarios and end.")
    var list = false

    @Flag(help: "Print the report as JSON.")
    var json = false

    private static let fleet = "fleet"

    func validate() throws {
        let known = ContinuityScenario.all.map(\.name) + [Self.fleet]
        for name in only where !known.contains(name) {
            throw ValidationError("there is no scenario \"\(name)\"; there are: \(known.joined(separator: " "))")
        }
        guard (2...2_000).contains(streams) else { throw ValidationError("--streams \(streams): give 2 to 2000") }
        guard (10...10_000).contains(clients) else { throw ValidationError("--clients \(clients): give 10 to 10000") }
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
        try result.json().write(to: URL(filePath: "\(folder)/continuity.json"))
        try Data(result.text().utf8).write(to: URL(filePath: "\(folder)/continuity.txt"))
        Self.print(json ? String(decoding: try result.json(), as: UTF8.self) + "\n" : result.text())
        if !result.held { throw ExitCode(1) }
        if !result.isComplete, !(allowSkips && result.isJudged) { throw ExitCode(75) }
    }

    private func runAll(_ programs: String, _ folder: String) async throws -> ContinuityReport {
        var result = ContinuityReport(date: Timestamp.now().description, machine: Machine.description, version: Version.current)
        try await runScenarios(programs, folder, &result)
        try await runFleet(programs, folder, &result)
        return result
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

    private func runScenarios(_ programs: String, _ folder: String, _ result: inout ContinuityReport) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let isRoot = geteuid() == 0
        if isRoot { try? NamespaceLab.removeLeftovers() }
        var continuity = ContinuityRun(programs: programs, folder: folder)
        continuity.streams = streams
        for scenario in ContinuityScenario.all where only.isEmpty || only.contains(scenario.name) {
            if scenario.needsRoot, !isRoot {
                result.skipped[scenario.name] = "needs root, for network namespaces"
                continue
            }
            do {
                let outcome = try await continuity.run(scenario) { Self.say("\(scenario.title): \($0)") }
                result.outcomes.append(outcome)
                Self.say("\(scenario.title): \(outcome.judgement.held ? "held" : "BROKEN")")
            } catch {
                try Self.note(error, of: scenario.name, in: &result)
            }
        }
    }

    /// What this machine lacks is skipped, anything else is a failure; an order to stop is passed on.
    private static func note(_ error: any Error, of name: String, in result: inout ContinuityReport) throws {
        if Task.isCancelled { throw CancellationError() }
        if let error = error as? StageError, error.isOfMachine {
            result.skipped[name] = error.description
        } else {
            result.failed[name] = "\(error)"
        }
        Self.say("\(name): \(error)")
    }

    private func runFleet(_ programs: String, _ folder: String, _ result: inout ContinuityReport) async throws {
        guard only.isEmpty || only.contains(Self.fleet) else { return }
        var fleet = FleetRun(programs: programs, folder: folder)
        fleet.clients = clients
        do {
            result.fleet = try await fleet.run { Self.say("fleet: \($0)") }
        } catch {
            try Self.note(error, of: Self.fleet, in: &result)
        }
    }

    private func showList() {
        for scenario in ContinuityScenario.all {
            let note = scenario.needsRoot ? " (needs root)" : ""
            Self.print(scenario.name.padding(toLength: 14, withPad: " ", startingAt: 0) + scenario.title + note + "\n")
        }
        Self.print(
            "fleet".padding(toLength: 14, withPad: " ", startingAt: 0) + "1000 clients lose one of three servers at once\n")
    }

    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    private static func print(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    private static func say(_ text: String) { FileHandle.standardError.write(Data("continuity: \(text)\n".utf8)) }
}

/// The machine that the figures are from.
enum Machine {
    static var description: String {
        let info = ProcessInfo.processInfo
        return "\(info.activeProcessorCount) cores, \(info.physicalMemory >> 30) GiB, \(info.operatingSystemVersionString)"
    }
}
