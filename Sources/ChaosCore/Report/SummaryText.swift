import Settings

/// `summary.md`: what was rehearsed and what came of it, on a page or two.
package enum SummaryText {
    /// Where and how a run was made.
    package struct Facts: Sendable {
        package var date: String
        package var seed: UInt64
        package var duration: Duration
        /// Repeats it.
        package var command: String
        package var machine: String
        package var version: String

        package init(date: String, seed: UInt64, duration: Duration, command: String, machine: String, version: String) {
            self.date = date
            self.seed = seed
            self.duration = duration
            self.command = command
            self.machine = machine
            self.version = version
        }
    }

    private static let mostEffects = 60
    private static let mostSkipped = 20

    package static func text(
        _ summary: RunSummary, scenario: Scenario, verdicts: [Verdict], evidence: Evidence, facts: Facts
    ) -> String {
        let stage = scenario.stage
        var lines = ["# \(scenario.title)", "", self.conclusion(verdicts), ""]
        lines += [
            "- \(facts.date), \(DurationText.format(facts.duration)) of faults, seed \(facts.seed)",
            "- \(stage.servers) servers, \(stage.clients) clients\(stage.fleet > 0 ? ", a fleet of \(stage.fleet)" : ""), "
                + "\(stage.network == .namespaces ? "each on a host of its own" : "on one host")\(stage.isSupervised ? ", under systemd" : "")",
            "- \(facts.machine); \(facts.version)", "- again: `\(facts.command)`", "", "![time line](timeline.svg)", "",
        ]
        lines +=
            self.promises(verdicts) + self.requests(summary) + self.streams(summary) + self.effects(summary)
            + self.skipped(evidence)
        lines += [
            "## Files", "",
            "`results.json` holds everything that was seen (times are seconds of CLOCK_MONOTONIC), `*.log` what each process said,",
            "`*.jsonl` what the traffic and the apiservers noticed, a line each.", "",
        ]
        return lines.joined(separator: "\n")
    }

    private static func conclusion(_ verdicts: [Verdict]) -> String {
        let broken = verdicts.filter { $0.outcome == .broken }
        let void = verdicts.filter { $0.outcome == .void }
        if !broken.isEmpty { return "**Broken: \(broken.map(\.promise).joined(separator: "; ")).**" }
        if !void.isEmpty { return "**Nothing can be said of: \(void.map(\.promise).joined(separator: "; ")).** The rest held." }
        return "**Every promise held.**"
    }

    private static func promises(_ verdicts: [Verdict]) -> [String] {
        var lines = ["## Promises", "", "| promise | | measured |", "|---|---|---|"]
        for verdict in verdicts {
            lines.append(
                "| `\(verdict.promise)` | \(verdict.outcome == .broken ? "**broken**" : verdict.outcome.rawValue) | \(self.cell(verdict.measured)) |"
            )
        }
        lines.append("")
        for verdict in verdicts where !verdict.details.isEmpty && verdict.outcome != .held {
            lines += ["`\(verdict.promise)`:", ""] + verdict.details.map { "- \($0)" } + [""]
        }
        return lines
    }

    private static func requests(_ summary: RunSummary) -> [String] {
        var lines = [
            "## Requests", "", "| kind | done | failed | p50 | p99 | slowest | past the tunnel: p99 | slowest |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for row in summary.requests {
            let times = [row.p50, row.p99, row.slowest, row.controlP99, row.controlSlowest].map(self.time)
            lines.append("| \(row.kind.rawValue) | \(row.done) | \(row.failed) | \(times.joined(separator: " | ")) |")
        }
        lines.append("")
        if let answered = summary.answered, let clean = summary.cleanSeconds, let silence = summary.longestSilence {
            lines.append(
                "Of the short requests (`new`, `get`) \(self.percent(answered)) were answered; in \(self.percent(clean)) of the "
                    + "seconds none failed. The longest time in which a client got no answer: \(readable(silence)).")
        } else {
            lines.append("There were no short requests.")
        }
        return lines + ["Leaders that took over: \(summary.leaders).", ""]
    }

    /// Rounded down: what is not all is never shown as all.
    private static func percent(_ share: Double) -> String { "\((share * 100_000).rounded(.down) / 1_000) %" }

    private static func streams(_ summary: RunSummary) -> [String] {
        var lines = ["## Long streams", "", "| kind | opened | broken | pieces | latest |", "|---|---:|---:|---:|---:|"]
        for row in summary.streams {
            lines.append("| \(row.kind.rawValue) | \(row.opened) | \(row.broken) | \(row.pieces) | \(self.time(row.latest)) |")
        }
        return lines + [""]
    }

    private static func effects(_ summary: RunSummary) -> [String] {
        guard !summary.effects.isEmpty else { return [] }
        var lines = [
            "## Faults, and what was noticed until 5 s after them", "",
            "| at | fault | lasted | failed | streams broken | slowest | as before after |",
            "|---:|---|---:|---:|---:|---:|---:|",
        ]
        for effect in summary.effects.prefix(self.mostEffects) {
            lines.append(
                "| \(self.time(effect.at)) | \(effect.action) \(effect.victims.joined(separator: ", ")) | \(self.time(effect.lasted)) | "
                    + "\(effect.failed) | \(effect.broken) | \(self.time(effect.slowest)) | \(self.time(effect.normalAfter)) |")
        }
        if summary.effects.count > self.mostEffects {
            lines.append("| … | \(summary.effects.count - self.mostEffects) more, in results.json | | | | | |")
        }
        return lines + ["", "– in the last column: another fault was at work when it ended.", ""]
    }

    private static func skipped(_ evidence: Evidence) -> [String] {
        guard !evidence.skipped.isEmpty else { return [] }
        var lines = ["## Left out", "", "\(evidence.skipped.count) faults were due and did not come:", ""]
        lines += evidence.skipped.prefix(self.mostSkipped).map { "- \(PrintableText.clean($0))" }
        if evidence.skipped.count > self.mostSkipped { lines.append("- … the others are in results.json") }
        return lines + [""]
    }

    private static func time(_ seconds: Double?) -> String { seconds.map(readable) ?? "–" }
    private static func cell(_ text: String) -> String { text.replacing("|", with: "/") }
}
