import ClusterCore
import Timing
import TunnelWire

/// Runs whole clusters from seeds.
package enum Simulation {
    /// One run: faults for as long as the plan says, then healing, and a demand for agreement.
    package static func run(_ plan: SimulationPlan) -> SimulationReport {
        var world = World(plan)
        world.run(until: plan.duration.wholeNanoseconds)
        var convergence: Int64?
        if world.violations.isEmpty { convergence = world.converge() }
        return SimulationReport(
            seed: plan.seed, nodes: world.places.count, simulated: .nanoseconds(world.now), events: world.events,
            digest: world.digest.value, coverage: world.coverage, violations: world.violations,
            converged: convergence.map { .nanoseconds($0) }, trace: world.trace?.lines ?? [])
    }

    /// The same for many seeds at once, on all cores. Each report is handed over as it comes; false ends the runs.
    package static func run(
        seeds: ClosedRange<UInt64>, lanes: Int, plan: @escaping @Sendable (UInt64) -> SimulationPlan,
        report: @escaping (SimulationReport) -> Bool
    ) async {
        await withTaskGroup(of: SimulationReport.self) { group in
            var next = seeds.makeIterator()
            for _ in 0..<max(1, lanes) {
                if let seed = next.next() { group.addTask { Simulation.run(plan(seed)) } }
            }
            var goesOn = true
            while let result = await group.next() {
                if !report(result) { goesOn = false }
                if goesOn, let seed = next.next() { group.addTask { Simulation.run(plan(seed)) } }
            }
        }
    }
}

/// What came of one run.
package struct SimulationReport: Sendable {
    package var seed: UInt64
    package var nodes: Int
    package var simulated: Duration
    package var events: UInt64
    /// Of everything that happened: the same for the same seed.
    package var digest: UInt64
    package var coverage: Coverage
    package var violations: [Violation]
    /// After healing, how long it took until all agreed; nil: they did not, or it did not come to that.
    package var converged: Duration?
    /// Readable lines up to the end, if the plan asked for them.
    package var trace: [String]
}
