import Testing

@testable import ChaosHarness

@Suite("The stage and its scenarios") struct StageTests {
    @Test func everyScenarioHasANameOfItsOwn() {
        #expect(
            Set(ContinuityScenario.all.map(\.name)).count == ContinuityScenario.all.count && ContinuityScenario.all.count >= 11)
    }

    @Test func theQueueOverflowsOfTheMachineCanBeRead() { #expect(FleetRun.listenOverflows() >= 0) }
}
