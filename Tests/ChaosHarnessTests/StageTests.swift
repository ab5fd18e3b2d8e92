import Testing

@testable import ChaosHarness

@Suite struct StageTests {
    @Test func onlyWhatADeadRunLeftIsRemoved() {
        let isRunning: (pid_t) -> Bool = { $0 == 100 }
        #expect(NamespaceLab.isLeftover("gtc99-1", isRunning: isRunning))
        #expect(NamespaceLab.isLeftover("gtc99-br", isRunning: isRunning))
        for name in ["gtc100-1", "gtc-1", "gtcx-1", "lab1", "gtc99", "mygtc99-1"] {
            #expect(!NamespaceLab.isLeftover(name, isRunning: isRunning), "\(name)")
        }
    }

    @Test func aCutDropsWhatItSays() {
        #expect(NamespaceLab.rules(.bothWays, between: 3, and: 0).count == 2)
        #expect(
            NamespaceLab.rules(.onlyThere, between: 3, and: 0)
                == ["add rule bridge cuts forward iifname v4 oifname v1 ether type ip drop"])
        #expect(
            NamespaceLab.rules(.onlyBack, between: 3, and: 0)
                == ["add rule bridge cuts forward iifname v1 oifname v4 ether type ip drop"])
    }

    @Test func commandsRunOnTheirHost() {
        #expect(StageHost.loopback.command(["true"]) == ["true"])
        #expect(StageHost(address: "10.98.0.1", namespace: "gtc1-1").command(["true"]) == ["ip", "netns", "exec", "gtc1-1", "true"])
    }

    @Test func everyScenarioHasANameOfItsOwn() {
        #expect(Set(Scenario.all.map(\.name)).count == Scenario.all.count && Scenario.all.count >= 11)
    }

    @Test func aReportFitsTheTerminalAndSaysWhatBroke() throws {
        var report = ContinuityReport(date: "2026-01-01T00:00:00.000Z", machine: "2 cores", version: "0.1.0")
        for scenario in Scenario.all {
            var judgement = Judgement()
            judgement.requests = 2_000
            judgement.streams = 100
            judgement.struck = ["open": 10, "reset": 40]
            judgement.lastReset = 250
            report.outcomes.append(
                .init(name: scenario.name, title: scenario.title, judgement: judgement, voided: 0, folder: "/tmp"))
        }
        #expect(report.held && report.isComplete)
        report.outcomes[1].judgement.broken = ["3 new connections failed"]
        report.skipped["cut"] = "needs root"
        #expect(!report.held && !report.isComplete)
        let lines = report.text().split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 100 })
        #expect(lines.contains { $0.contains("BROKEN: 3 new connections failed") })
        #expect(lines.contains { $0.contains("10 open, 40 reset in 0.2 s") })
        #expect(try report.json().count > 100)
    }

    @Test func theQueueOverflowsOfTheMachineCanBeRead() { #expect(FleetRun.listenOverflows() >= 0) }

    @Test func metricsAreFoundByTheirWholeSeries() {
        let metrics = "# HELP x y\na_total{stage=\"dial\"} 7\na_total{stage=\"dialled\"} 9\n"
        #expect(HedgeShare.value(of: "a_total{stage=\"dial\"}", in: metrics) == 7)
        #expect(HedgeShare.value(of: "b_total", in: metrics) == 0)
    }
}
