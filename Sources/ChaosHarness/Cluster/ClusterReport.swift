import Foundation

/// What came of one trial of a cluster.
package struct TrialOutcome: Sendable, Codable, Equatable {
    /// A figure that stands for itself.
    package struct Fact: Sendable, Codable, Equatable {
        package var title: String
        package var value: Double
        package var unit: String

        var text: String { "\(self.title): \(Self.number(self.value)) \(self.unit)" }

        static func number(_ value: Double) -> String {
            if value == value.rounded(), abs(value) < 1e15 { return "\(Int(value))" }
            return String(format: abs(value) < 10 ? "%.2f" : "%.1f", value)
        }
    }

    package var name: String
    package var title: String
    package var rows: [Measurement.Row] = []
    package var facts: [Fact] = []
    /// The promises that were broken and are no times, one line each.
    package var broken: [String] = []
    /// Where the logs are.
    package var folder: String
    /// From beginning to end.
    package var seconds = 0.0

    package init(name: String, title: String, folder: String) {
        self.name = name
        self.title = title
        self.folder = folder
    }

    package mutating func tell(_ title: String, _ value: Double, _ unit: String) {
        self.facts.append(Fact(title: title, value: value, unit: unit))
    }

    package var complaints: [String] { self.rows.compactMap { row in row.complaint.map { "\(row.title): \($0)" } } + self.broken }
    package var held: Bool { self.complaints.isEmpty }
    package var isVoid: Bool { self.rows.contains { $0.verdict == .void } }
}

/// The figures of a whole `cluster` run, as JSON keeps them and a terminal shows them.
package struct ClusterReport: Sendable, Codable {
    /// RFC 3339, UTC.
    package var date: String
    package var machine: String
    package var version: String
    package var outcomes: [TrialOutcome] = []
    /// What this machine cannot run, and why.
    package var skipped: [String: String] = [:]
    /// What could not be played to its end, and why.
    package var failed: [String: String] = [:]

    package init(date: String, machine: String, version: String) {
        self.date = date
        self.machine = machine
        self.version = version
    }

    /// Whether everything that was run could be judged: the machine was not too busy.
    package var isJudged: Bool { !self.outcomes.contains { $0.held && $0.isVoid } }
    package var isComplete: Bool { self.skipped.isEmpty && self.isJudged }
    package var held: Bool { self.failed.isEmpty && self.outcomes.allSatisfy(\.held) }

    package func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return try encoder.encode(self)
    }

    // MARK: Text

    /// No line is wider than this.
    static let width = 80

    package func text() -> String {
        var lines = ["\(self.date), \(self.machine)", "gotunnel \(self.version)", ""]
        if !self.outcomes.isEmpty { lines += [Self.heading, Self.units] }
        for outcome in self.outcomes { lines += Self.lines(outcome) }
        for name in self.failed.keys.sorted() { lines += ["\(name):"] + Self.complaints([self.failed[name] ?? ""]) }
        for name in self.skipped.keys.sorted() { lines += Self.wrapped("\(name): skipped: \(self.skipped[name] ?? "")", "") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let columns = [34, 6, 8, 8, 8, 8]
    private static let heading = row(["", "times", "median", "p98", "slowest", "control"])
    private static let units = row(["", "", "ms", "ms", "ms", "ms"])

    private static func lines(_ outcome: TrialOutcome) -> [String] {
        let verdict = outcome.held ? (outcome.isVoid ? "VOID: the machine was too busy" : "held") : "BROKEN"
        return Self.wrapped("\(outcome.name): \(outcome.title): \(verdict)", "  ")
            + outcome.rows.flatMap(Self.lines) + outcome.facts.flatMap { Self.wrapped("  \($0.text)", "    ") }
            + Self.complaints(outcome.complaints)
    }

    private static func lines(_ figures: Measurement.Row) -> [String] {
        let cells =
            ["  \(figures.title)", "\(figures.count)"]
            + [figures.median, figures.p98, figures.slowest, figures.control].map(self.milliseconds)
        let mark = [.told: "", .held: "  held", .broken: "  BROKEN", .void: "  VOID"][figures.verdict] ?? ""
        let void = figures.voided > 0 ? ["    \(figures.voided) more were not judged: the machine was busy"] : []
        return ["\(self.row(cells))\(mark)"] + void
    }

    private static func complaints(_ broken: [String]) -> [String] {
        let shown = broken.prefix(5).flatMap { self.wrapped("    BROKEN: \($0)", "      ") }
        return broken.count > 5 ? shown + ["    and \(broken.count - 5) more"] : shown
    }

    private static func milliseconds(_ value: Double) -> String { String(format: value < 10 ? "%.1f" : "%.0f", value) }

    /// The first cell to the left, the others to the right of their columns.
    private static func row(_ cells: [String]) -> String {
        zip(cells, self.columns).enumerated().map { index, cell in
            let space = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + space : space + cell.0
        }.joined()
    }

    /// Lines of the width, the following ones behind `indent`; words longer than a line are cut.
    static func wrapped(_ text: String, _ indent: String) -> [String] {
        var lines: [String] = []
        var line = String(text.prefix { $0 == " " })
        var isFresh = true
        for word in text.split(separator: " ") {
            if !isFresh, line.count + 1 + word.count > self.width {
                lines.append(line)
                (line, isFresh) = (indent, true)
            }
            line += (isFresh ? "" : " ") + word.prefix(self.width - indent.count)
            isFresh = false
        }
        return lines + [String(line.prefix(self.width))]
    }
}
