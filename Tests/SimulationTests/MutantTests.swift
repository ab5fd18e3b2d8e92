#if FAULTS
import ClusterCore
import Testing

@testable import Simulation

/// A few of the faults that `make mutants` puts into the code, those that are noticed at once.
@Suite("Faults in the code")
struct MutantTests {
    @Test("are noticed", arguments: [ClusterMutant.skipFsync, .answerEarly, .quorumOfLiveView])
    func noticed(mutant: ClusterMutant) {
        let isNoticed = (1...5 as ClosedRange<UInt64>).contains { seed in
            !Simulation.run(SimulationPlan(seed: seed, duration: .seconds(60), mutant: mutant)).violations.isEmpty
        }
        #expect(isNoticed)
    }
}
#endif
