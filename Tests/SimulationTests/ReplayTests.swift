import Testing

@testable import Simulation

@Suite("Whole runs")
struct ReplayTests {
    private func plan(_ seed: UInt64, traces: Bool = false) -> SimulationPlan {
        SimulationPlan(seed: seed, duration: .seconds(40), traces: traces)
    }

    @Test("A seed gives the same run again, event for event, with and without a readable trace", arguments: [3, 4] as [UInt64])
    func replay(seed: UInt64) {
        let first = Simulation.run(self.plan(seed))
        let second = Simulation.run(self.plan(seed, traces: true))
        let third = Simulation.run(self.plan(seed, traces: true))
        #expect(first.digest == second.digest)
        #expect(first.events == second.events)
        #expect(first.coverage == second.coverage)
        #expect(second.trace == third.trace)
        #expect(!second.trace.isEmpty)
    }

    @Test("Another seed gives another run")
    func seedsDiffer() {
        let digests = Set((1...4).map { Simulation.run(self.plan($0)).digest })
        #expect(digests.count == 4)
    }

    @Test("Nothing is violated, ports are told, and all agree in the end", arguments: 1...6 as ClosedRange<UInt64>)
    func holds(seed: UInt64) {
        let report = Simulation.run(self.plan(seed))
        #expect(report.violations.map(\.text) == [])
        #expect(report.converged != nil)
        #expect(report.coverage.commits > 0)
        #expect(report.coverage.messages > 1_000)
    }

    @Test("Many seeds at once give the same as one after the other")
    func lanes() async {
        var digests: [UInt64: UInt64] = [:]
        await Simulation.run(seeds: 1...4, lanes: 2, plan: { self.plan($0) }) { report in
            digests[report.seed] = report.digest
            return true
        }
        for seed in UInt64(1)...4 { #expect(digests[seed] == Simulation.run(self.plan(seed)).digest) }
    }
}
