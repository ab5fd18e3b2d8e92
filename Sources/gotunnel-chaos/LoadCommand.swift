import ApiserverTraffic
import ArgumentParser
import ChaosHarness
import Foundation
import Synchronization
import UnixSignals

/// `gotunnel-chaos load`.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "What one host's applications ask of an apiserver, for rehearsals.",
        discussion: """
            Requests, watches, lists, uploads and two-way streams, each numbered and
            checked, until SIGTERM or SIGINT. Prints `running` when every long stream runs.
            """)

    @Option(help: ArgumentHelp("What to do: a LoadPlan as JSON.", valueName: "file"))
    var plan: String

    @Option(help: ArgumentHelp("The file to which it appends what it notices, a JSON object a line.", valueName: "file"))
    var output: String

    func run() async throws {
        OpenFiles.raiseLimit()
        guard let data = FileManager.default.contents(atPath: plan) else {
            throw ValidationError("--plan \(plan): there is no such file")
        }
        guard let plan = try? JSONDecoder().decode(LoadPlan.self, from: data) else {
            throw ValidationError("--plan \(self.plan): this is no plan of a load")
        }
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let recorder = try Recorder(path: output, who: plan.who)
        let started = Started()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                let run = try await LoadRun.start(plan, recorder: recorder)
                started.run.withLock { $0 = run }
                TrafficOutput.line("running")
                try await Task.sleep(for: .seconds(Int32.max))
            }
            tasks.addTask { for await _ in signals { break } }
            // The signal, or what keeps it from starting.
            try await tasks.next()
            tasks.cancelAll()
        }
        guard let run = started.run.withLock({ $0 }) else { return }
        try await run.stop()
    }
}

/// A run, once it has begun.
private final class Started: Sendable {
    let run = Mutex<LoadRun?>(nil)
}
