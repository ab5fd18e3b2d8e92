import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// Many small clusters, each from one seed: first everything goes wrong, then all links are back and all have to agree.
@Suite struct RegistryPropertyTests {
    @Test(arguments: [1...250, 251...500, 501...750, 751...1_000])
    func faultsAndHealing(seeds: ClosedRange<UInt64>) {
        var seen = RegistryWorld.Coverage()
        for seed in seeds {
            var world = RegistryWorld(seed: seed)
            world.run()
            seen.add(world.coverage)
            if let violation = world.violation {
                Issue.record("seed \(seed): \(violation)")
                return
            }
        }
        #expect(seen.isComplete, "\(seen)")
        print("registry worlds \(seeds): \(seen)")
    }

    @Test func oneSeedGivesOneTrace() {
        for seed in UInt64(1)...20 {
            var first = RegistryWorld(seed: seed)
            var second = RegistryWorld(seed: seed)
            first.run()
            second.run()
            #expect(first.trace == second.trace)
            #expect(first.trace.count > 50)
        }
    }
}
