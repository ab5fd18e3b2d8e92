import Foundation

/// The figures of a whole `continuity` run, as JSON keeps them and a terminal shows them.
package struct ContinuityReport: Sendable, Codable {
    /// RFC 3339, UTC.
    package var date: String
    package var machine: String
    package var version: String
    package var outcomes: [ContinuityRun.Outcome] = []
    package var fleet: FleetRun.Outcome?
    /// What was not run, and why.
    package var skipped: [String: String] = [:]

    package init(date: String, machine: String, version: String) {
        self.date = date
        self.machine = machine
        self.version = version
    }

    package var isComplete: Bool { self.skipped.isEmpty && !self.outcomes.contains { $0.judgement.isVoid } }

    package var held: Bool {
        self.outcomes.allSatisfy { $0.judgement.isVoid || $0.judgement.held } && (self.fleet?.broken.isEmpty ?? true)
    }

    package func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }

    // MARK: Text

    /// At most 100 columns wide.
    package func text() -> String {
        var lines = ["\(self.date), \(self.machine), gotunnel \(self.version)", "", Self.heading, Self.units]
        for outcome in self.outcomes {
            lines.append(Self.row(outcome))
            lines += outcome.judgement.broken.prefix(5).map { "    BROKEN: \($0)" }
            if outcome.judgement.broken.count > 5 { lines.append("    and \(outcome.judgement.broken.count - 5) more") }
        }
        if let fleet { lines += ["", fleet.text] + fleet.broken.map { "    BROKEN: \($0)" } }
        for name in self.skipped.keys.sorted() { lines.append("\(name): skipped: \(self.skipped[name] ?? "")") }
        return lines.map { String($0.prefix(100)) }.joined(separator: "\n") + "\n"
    }

    private static let widths = [34, 13, 7, 7, 9, 8]
    private static let heading =
        pad(["fault", "new: failed", "median", "p99", "slowest", "control"]) + "long streams on that server"
    private static let units = pad(["", "", "ms", "ms", "ms", "ms"])

    private static func row(_ outcome: ContinuityRun.Outcome) -> String {
        let judgement = outcome.judgement
        let columns = pad([
            outcome.title, "\(judgement.requests): \(judgement.failed)", milliseconds(judgement.median),
            milliseconds(judgement.p99), milliseconds(judgement.slowest), milliseconds(judgement.controlSlowest),
        ])
        let verdict = judgement.isVoid ? "VOID " : judgement.held ? "" : "BROKEN "
        return columns + verdict + self.streams(judgement)
    }

    private static func streams(_ judgement: Judgement) -> String {
        guard judgement.streams > 0 else { return "-" }
        let ends = judgement.struck.keys.sorted().map { "\(judgement.struck[$0] ?? 0) \($0)" }.joined(separator: ", ")
        guard let last = judgement.lastReset else { return ends }
        return ends + " in \(String(format: "%.1f", last / 1000)) s"
    }

    private static func milliseconds(_ value: Double) -> String { String(format: value < 10 ? "%.1f" : "%.0f", value) }

    private static func pad(_ cells: [String]) -> String {
        zip(cells, self.widths).enumerated().map { index, cell in
            let text = String(cell.0.prefix(cell.1 - 1))
            let space = String(repeating: " ", count: cell.1 - text.count)
            return index == 0 ? text + space : String(space.dropLast(1)) + text + " "
        }.joined()
    }
}
