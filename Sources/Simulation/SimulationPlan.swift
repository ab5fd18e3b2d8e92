import ClusterCore
import Timing

/// What one run of the simulator is made of.
package struct SimulationPlan: Sendable {
    package var seed: UInt64
    /// How many servers found the cluster; nil: 3 to 7, by the seed.
    package var nodes: Int?
    /// How long faults go on, in the world's time.
    package var duration: Duration
    /// A fault in the code, in builds made for tests.
    package var mutant: ClusterMutant?
    /// Keeps readable lines of what happened; slow.
    package var traces: Bool
    /// Gets each of these lines as it is written.
    package var traceSink: (@Sendable (String) -> Void)?
    /// How long a port outlives its registration; nil: by the seed.
    package var retention: Duration?
    /// Faults, clients and operators do as the seed says; without, a script does all.
    package var isScripted = false

    package init(
        seed: UInt64, nodes: Int? = nil, duration: Duration = .seconds(600), mutant: ClusterMutant? = nil, traces: Bool = false
    ) {
        self.seed = seed
        self.nodes = nodes
        self.duration = duration
        self.mutant = mutant
        self.traces = traces
    }

    /// A world in which nothing happens by itself but what the servers do.
    package static func scripted(nodes: Int, seed: UInt64 = 1, mutant: ClusterMutant? = nil) -> SimulationPlan {
        var plan = SimulationPlan(seed: seed, nodes: nodes, mutant: mutant, traces: true)
        plan.isScripted = true
        return plan
    }
}
