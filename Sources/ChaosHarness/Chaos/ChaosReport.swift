import ChaosCore
import Foundation

/// What is written about a run.
package struct ChaosReport: Sendable {
    private let outcome: ChaosOutcome
    private let command: String
    private let machine: String
    private let version: String
    private let date = Date.now

    /// - Parameter command: repeats the run.
    package init(_ outcome: ChaosOutcome, command: String, machine: String, version: String) {
        self.outcome = outcome
        self.command = command
        self.machine = machine
        self.version = version
    }

    /// `results.json`: everything that was seen.
    private struct Results: Encodable {
        struct Scenario: Encodable {
            var name: String
            var title: String
        }

        var scenario: Scenario
        var seed: UInt64
        var durationSeconds: Double
        var date: String
        var command: String
        var machine: [String: String]
        var verdicts: [Verdict]
        var evidence: Evidence
    }

    /// Writes `summary.md` and `results.json`.
    package func write(to folder: String) throws {
        let results = Results(
            scenario: .init(name: self.outcome.scenario.name, title: self.outcome.scenario.title), seed: self.outcome.seed,
            durationSeconds: self.outcome.duration.inSeconds, date: self.day, command: self.command,
            machine: ["description": self.machine, "version": self.version], verdicts: self.outcome.verdicts,
            evidence: self.outcome.evidence)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try encoder.encode(results).write(to: URL(filePath: "\(folder)/results.json"))
        let summary = SummaryText.text(
            RunSummary(self.outcome.scenario, self.outcome.evidence), scenario: self.outcome.scenario,
            verdicts: self.outcome.verdicts, evidence: self.outcome.evidence,
            facts: SummaryText.Facts(
                date: self.day, seed: self.outcome.seed, duration: self.outcome.duration, command: self.command,
                machine: self.machine, version: self.version))
        try Data(summary.utf8).write(to: URL(filePath: "\(folder)/summary.md"))
    }

    private var day: String { ISO8601DateFormatter().string(from: self.date) }

    /// A line for each promise, and one for the whole.
    package var verdictText: String {
        var lines = self.outcome.verdicts.map { verdict in
            let mark =
                switch verdict.outcome {
                case .held: "held  "
                case .broken: "BROKEN"
                case .void: "void  "
                }
            return "\(mark)  \(verdict.promise): \(verdict.measured)"
                + verdict.details.prefix(5).map { "\n          \($0)" }.joined()
        }
        let broken = self.outcome.verdicts.count { $0.outcome == .broken }
        let void = self.outcome.verdicts.count { $0.outcome == .void }
        lines.append(
            "\(self.outcome.scenario.name), seed \(self.outcome.seed): "
                + (broken > 0
                    ? "\(broken) promises BROKEN" : void > 0 ? "\(void) promises could not be judged" : "every promise held"))
        return lines.joined(separator: "\n") + "\n"
    }
}
