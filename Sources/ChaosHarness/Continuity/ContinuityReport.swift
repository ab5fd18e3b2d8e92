import Foundation

/// The figures of a whole `continuity` run, as JSON keeps them and a terminal shows them.
package struct ContinuityReport: Sendable, Codable {
    /// RFC 3339, UTC.
    package var date: String
    package var machine: String
    package var version: String
    package var outcomes: [ContinuityRun.Outcome] = []
    package var fleet: FleetRun.Outcome?
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
    package var isJudged: Bool { !self.outcomes.contains { $0.judgement.isVoid } }

    package var isComplete: Bool { self.skipped.isEmpty && self.isJudged }

    package var held: Bool {
        self.failed.isEmpty && self.outcomes.allSatisfy { $0.judgement.isVoid || $0.judgement.held }
            && (self.fleet?.broken.isEmpty ?? true)
    }

    package func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }

    // MARK: Text

    /// No line is wider than this.
    static let width = 100

    package func text() -> String {
        var lines = ["\(self.date), \(self.machine), gotunnel \(self.version)", ""]
        if !self.outcomes.isEmpty { lines += [Self.heading, Self.units] }
        for outcome in self.outcomes { lines += Self.rows(outcome) }
        if let fleet { lines += fleet.text.split(separator: "\n").map(String.init) + Self.complaints(fleet.broken) }
        for name in self.failed.keys.sorted() { lines += ["\(name):"] + Self.complaints([self.failed[name] ?? ""]) }
        for name in self.skipped.keys.sorted() { lines.append("\(name): skipped: \(self.skipped[name] ?? "")") }
        return lines.map { String($0.prefix(Self.width)) }.joined(separator: "\n") + "\n"
    }

    private static let columns = [36, 8, 7, 8, 8, 8, 9]
    private static let heading = row(["fault", "new", "failed", "median", "p99", "slowest", "control"]) + "  verdict"
    private static let units = row(["", "", "", "ms", "ms", "ms", "ms"])

    private static func rows(_ outcome: ContinuityRun.Outcome) -> [String] {
        let judgement = outcome.judgement
        let figures = row([
            outcome.title, "\(judgement.requests)", "\(judgement.failed)", self.milliseconds(judgement.median),
            self.milliseconds(judgement.p99), self.milliseconds(judgement.slowest), self.milliseconds(judgement.controlSlowest),
        ])
        let verdict = judgement.isVoid ? "VOID" : judgement.held ? "held" : "BROKEN"
        return ["\(figures)  \(verdict)"] + self.streams(judgement) + self.complaints(judgement.broken)
    }

    /// What became of the long streams: on one line where there is room.
    private static func streams(_ judgement: Judgement) -> [String] {
        guard judgement.streams > 0 else { return [] }
        let last = judgement.lastReset.map { String(format: " (resets within %.1f s)", max(0, $0) / 1000) } ?? ""
        let struck = "    long streams on it: \(self.ends(judgement.struck))\(last)"
        let others = "elsewhere: \(self.ends(judgement.others))"
        let line = "\(struck); \(others)"
        return line.count <= self.width ? [line] : [struck, "    \(others)"]
    }

    private static func ends(_ counts: [String: Int]) -> String {
        counts.isEmpty ? "none" : counts.keys.sorted().map { "\(counts[$0] ?? 0) \($0)" }.joined(separator: ", ")
    }

    private static func complaints(_ broken: [String]) -> [String] {
        let shown = broken.prefix(5).map { "    BROKEN: \($0)" }
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
}
