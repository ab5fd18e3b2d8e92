import Foundation
import Testing

@testable import ChaosHarness

@Suite("The report of cluster")
struct ClusterReportTests {
    private func outcome(took: Double? = 120, control: Double = 9.5) -> TrialOutcome {
        var measurement = Measurement("next leader after kill -9", wanted: 1, limit: 500)
        measurement.add(Sample(took: took, control: control))
        var outcome = TrialOutcome(name: "leader", title: "the leader is killed", folder: "/tmp/leader")
        outcome.rows = [measurement.row]
        outcome.tell("cold join, received by all its links", 10.25, "MB")
        return outcome
    }

    private func report(_ outcomes: TrialOutcome...) -> ClusterReport {
        var report = ClusterReport(date: "2026-11-23T03:00:00Z", machine: "2 cores", version: "0.4.0")
        report.outcomes = outcomes
        return report
    }

    @Test("a row has the figures and the verdict, a fact its unit")
    func row() {
        let text = self.report(self.outcome()).text()
        for word in ["next leader after kill -9", "120", "9.5", "held", "cold join, received by all its links: 10.2 MB"] {
            #expect(text.contains(word), "\(word) in\n\(text)")
        }
        #expect(!text.contains("BROKEN"))
    }

    @Test("no line is wider than 80 columns, whatever there is to say")
    func width() {
        var outcome = self.outcome(took: 123_456, control: 99.9)
        outcome.broken = [String(repeating: "a promise that was broken ", count: 9), String(repeating: "x", count: 300)]
        outcome.tell(String(repeating: "a long title of a figure ", count: 6), 1e12, "bytes a second")
        var report = self.report(outcome)
        report.skipped = ["split": String(repeating: "a long reason ", count: 12)]
        report.failed = ["port": String(repeating: "another reason ", count: 12)]
        let lines = report.text().split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 80 }, "\(lines.map(\.count))")
        #expect(lines.contains { $0.contains("123456") && $0.hasSuffix("  BROKEN") })
    }

    @Test(
        "titles of rows leave room for their figures",
        arguments: [
            "next leader after kill -9", "known to every survivor", "a peer knows of the killed one",
            "a peer knows of the cut one",
            "answers again on a survivor", "new connections from then on", "new connections before",
            "a change is known to another",
        ])
    func titles(title: String) { #expect(title.count + 2 < 34) }

    @Test("one broken promise breaks the whole; a void trial or a skipped one leaves it incomplete")
    func verdicts() {
        let good = self.report(self.outcome())
        #expect(good.held && good.isJudged && good.isComplete)
        let broken = self.report(self.outcome(), self.outcome(took: nil))
        #expect(!broken.held && broken.isJudged)
        let void = self.report(self.outcome(took: 9_000, control: 500))
        #expect(void.held && !void.isJudged && !void.isComplete)
        var skipped = good
        skipped.skipped["split"] = "needs root"
        #expect(skipped.held && skipped.isJudged && !skipped.isComplete)
        var failed = good
        failed.failed["port"] = "no port"
        #expect(!failed.held)
        var lie = self.outcome()
        lie.broken = ["server-1 held server-2 for dead, which lives"]
        #expect(!self.report(lie).held)
    }

    @Test("JSON keeps everything that the text is made of")
    func json() throws {
        let report = self.report(self.outcome(took: nil))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let read = try decoder.decode(ClusterReport.self, from: report.json())
        #expect(read.text() == report.text())
        #expect(String(decoding: try report.json(), as: UTF8.self).contains("\"allowed_misses\""))
    }
}
