import Foundation
import Testing

@testable import ChaosHarness

@Suite("The report of continuity")
struct ContinuityReportTests {
    private func judgement() -> Judgement {
        var judgement = Judgement()
        judgement.requests = 2_000
        judgement.median = 4.25
        judgement.p99 = 11.5
        judgement.slowest = 48.75
        judgement.controlSlowest = 9.5
        judgement.allowed = 63.75
        judgement.streams = 100
        judgement.struck = ["reset": 48, "finished": 2]
        judgement.others = ["open": 50]
        judgement.lastReset = 412
        return judgement
    }

    private func report(_ judgement: Judgement) -> ContinuityReport {
        var report = ContinuityReport(date: "2026-11-23T03:00:00Z", machine: "2 cores", version: "0.3.0")
        report.outcomes = [
            .init(name: "kill", title: "SIGKILL of the active server", judgement: judgement, voided: 0, folder: "/tmp/kill")
        ]
        return report
    }

    @Test("a row says what the connections and the streams noticed")
    func row() {
        let text = self.report(self.judgement()).text()
        for word in ["SIGKILL of the active server", "2000", "4.2", "12", "49", "9.5", "48 reset", "2 finished", "0.4 s", "held"]
        {
            #expect(text.contains(word), "\(word) in\n\(text)")
        }
        #expect(!text.contains("BROKEN"))
    }

    @Test("no line is wider than 100 columns, and no cell is cut short", arguments: ScenarioTitles.all)
    func width(title: String) {
        var judgement = self.judgement()
        judgement.requests = 20_000
        judgement.failed = 12_345
        judgement.slowest = 10_000
        judgement.broken = [String(repeating: "a promise that was broken ", count: 8)]
        var report = self.report(judgement)
        report.outcomes[0].title = title
        report.skipped = ["cut": String(repeating: "a long reason ", count: 12)]
        let lines = report.text().split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 100 }, "\(lines.map(\.count))")
        #expect(lines.contains { $0.hasPrefix(title + " ") && $0.contains(" 20000 ") && $0.hasSuffix(" BROKEN") })
        #expect(lines.joined(separator: "\n").contains("48 reset"))
    }

    @Test("one broken promise breaks the whole; a void run or a skipped one leaves it incomplete")
    func verdicts() {
        var judgement = self.judgement()
        #expect(self.report(judgement).held && self.report(judgement).isComplete)
        judgement.broken = ["1 new connections failed"]
        #expect(!self.report(judgement).held)
        #expect(self.report(judgement).text().contains("BROKEN: 1 new connections failed"))
        judgement.isVoid = true
        #expect(self.report(judgement).held && !self.report(judgement).isComplete && !self.report(judgement).isJudged)
        #expect(self.report(judgement).text().contains("VOID"))
        var report = self.report(self.judgement())
        report.skipped["cut"] = "needs root"
        #expect(report.held && !report.isComplete && report.isJudged)
    }

    @Test("a scenario that could not be played to its end breaks the whole")
    func failures() {
        var report = self.report(self.judgement())
        report.failed["cut"] = "waited in vain for 2 links"
        #expect(!report.held)
        #expect(report.text().contains("BROKEN: waited in vain for 2 links"))
    }

    @Test("the JSON holds every figure and can be read again")
    func json() throws {
        let report = self.report(self.judgement())
        let again = try JSONDecoder().decode(ContinuityReport.self, from: report.json())
        #expect(again.outcomes.first?.judgement == report.outcomes.first?.judgement)
    }

    @Test("metrics are found by their whole name and labels")
    func metrics() {
        let text = "# HELP a b\na_total{stage=\"accept\"} 3\na_total{stage=\"dial\"} 17\na_total 5\n"
        #expect(HedgeShare.value(of: "a_total{stage=\"dial\"}", in: text) == 17)
        #expect(HedgeShare.value(of: "a_total", in: text) == 5)
        #expect(HedgeShare.value(of: "b_total", in: text) == 0)
    }
}

/// The titles that the table must have room for.
private enum ScenarioTitles {
    static let all = ContinuityScenario.all.map(\.title)
}
