import ChaosCore
import Foundation
import Testing

@Suite("The summary of a run") struct SummaryTests {
    private func made() -> MadeRun {
        var run = MadeRun(.failed(.new, .perFault(2)), .broken(.atMost(0)))
        run.request(at: 110.5, took: 0.8, fails: true)
        run.request(.get, at: 113, took: 0.6)
        run.add(Observation(t: 111, who: "worker-1", kind: .watch, http: "2", what: .ended, took: 11, why: "connection | reset"))
        // After the traffic was told to stop.
        run.add(Observation(t: 140.1, who: "worker-1", kind: .watch, http: "2", what: .ended, took: 40, why: "closed"))
        run.request(at: 140.2, fails: true)
        run.evidence.claims.append(LeaderClaim(t: 112, server: "controller-2", term: 3))
        return run
    }

    @Test func figuresAreThoseOfTheTimeThatIsJudged() throws {
        let run = self.made()
        let summary = RunSummary(run.scenario, run.evidence)
        let new = try #require(summary.requests.first { $0.kind == .new })
        #expect(new.done == 800 && new.failed == 1 && new.p50 == 0.003 && new.controlSlowest == 0.003)
        // A request that failed is none that was slow.
        #expect(new.slowest == 0.003)
        #expect(summary.requests.first { $0.kind == .get }?.slowest == 0.6)
        let watch = try #require(summary.streams.first { $0.kind == .watch })
        #expect(watch.opened == 10 && watch.broken == 1 && watch.pieces == 400)
        #expect(summary.leaders == 1)
        #expect(summary.answered == 1601.0 / 1602 && summary.cleanSeconds == 39.0 / 40)
        #expect(summary.longestSilence.map { $0 < 0.2 } == true)
    }

    @Test func aFaultHasWhatCameOfIt() throws {
        let run = self.made()
        let effect = try #require(RunSummary(run.scenario, run.evidence).effects.first)
        #expect(effect.at == 10 && effect.failed == 1 && effect.broken == 1 && effect.slowest == 0.8)
        // The slow request at 113 is the last trouble after the end at 112.
        #expect(effect.normalAfter == 1)
        var busy = run
        busy.evidence.faults.append(
            FaultRecord(number: 1, action: "stop", victims: ["controller-2"], began: 111, there: 111, ended: 130))
        #expect(RunSummary(busy.scenario, busy.evidence).effects.first?.normalAfter == nil)
    }

    @Test func aRunWithoutTrafficHasNoFigures() {
        let summary = RunSummary(Scenario(name: "made", title: "Made up"), Evidence(began: 0, healed: 1, ended: 2))
        #expect(summary.requests.isEmpty && summary.answered == nil && summary.cleanSeconds == nil)
    }

    @Test func evidenceAndSummaryComeBackFromTheirFiles() throws {
        let run = self.made()
        #expect(try JSONDecoder().decode(Evidence.self, from: JSONEncoder().encode(run.evidence)) == run.evidence)
        let summary = RunSummary(run.scenario, run.evidence)
        #expect(try JSONDecoder().decode(RunSummary.self, from: JSONEncoder().encode(summary)) == summary)
    }

    // MARK: The text

    private func text(_ run: MadeRun) -> String {
        SummaryText.text(
            RunSummary(run.scenario, run.evidence), scenario: run.scenario,
            verdicts: Judge.judge(run.scenario, run.evidence), evidence: run.evidence,
            facts: SummaryText.Facts(
                date: "2026-11-23", seed: 7, duration: .seconds(30), command: "gotunnel-chaos run made --seed 7",
                machine: "2 CPUs", version: "1.0"))
    }

    @Test func aColleagueCanReadIt() {
        var run = self.made()
        run.evidence.skipped = ["stop: controller-1 suffers something already"]
        let text = self.text(run)
        for line in [
            "# Made up", "**Broken: broken: 0.**", "- 2026-11-23, 30s of faults, seed 7", "- 3 servers, 2 clients, on one host",
            "- again: `gotunnel-chaos run made --seed 7`", "| `broken: 0` | **broken** | 1 of 10 broke (at most 0) |",
            "| `failed_new: 2 per fault` | held | 1 of 801 failed (at most 2) |",
            "- 0:11.0 worker-1 watch, HTTP/2: connection | reset", "| watch | 10 | 1 | 400 | 10 ms |",
            "| 10.0 s | kill controller-1 | 2.0 s | 1 | 1 | 800 ms | 1.0 s |",
            "- stop: controller-1 suffers something already",
        ] { #expect(text.contains(line + "\n"), "\(line)\n\(text)") }
        #expect(
            text.contains("Of the short requests (`new`, `get`) 99.937 % were answered; in 97.5 % of the seconds none failed."))
    }

    @Test func aTableStaysOne() {
        var run = self.made()
        run.scenario.promises = [.agreement(.seconds(10))]
        let rows = self.text(run).split(separator: "\n").filter { $0.hasPrefix("|") }
        // Every row has as many cells as the heading above it.
        var cells = 0
        for (row, next) in zip(rows, rows.dropFirst()) {
            if next.hasPrefix("|---") { cells = row.count { $0 == "|" } }
            #expect(row.count { $0 == "|" } == cells, "\(row)")
        }
    }

    @Test func whatHeldAndWhatNobodyCanSayIsTold() {
        var run = MadeRun(.failed(.new, .atMost(0)))
        #expect(self.text(run).contains("**Every promise held.**"))
        run.evidence.faults[0].problem = "no such process"
        #expect(self.text(run).contains("**Nothing can be said of: faults.** The rest held."))
    }
}
