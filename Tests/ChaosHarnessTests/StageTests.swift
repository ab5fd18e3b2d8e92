import Testing

@testable import ChaosHarness

@Suite("The stage and its scenarios") struct StageTests {
    @Test func everyScenarioHasANameOfItsOwn() {
        #expect(Set(Scenario.all.map(\.name)).count == Scenario.all.count && Scenario.all.count >= 11)
    }

    @Test func theQueueOverflowsOfTheMachineCanBeRead() { #expect(FleetRun.listenOverflows() >= 0) }
}
