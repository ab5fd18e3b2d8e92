import Foundation
import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// Schedules from seeds: processes are replaced at any moment, over links that break at any byte.
///
/// `GOTUNNEL_SEEDS` sets how many; one that fails names its seed, and `GOTUNNEL_SEED` runs that one alone.
@Suite struct FreezePropertyTests {
    private static let groups = 4

    @Test(arguments: 0..<FreezePropertyTests.groups)
    func bytesAndStreamsSurviveAnyFreeze(group: Int) {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["GOTUNNEL_SEEDS"].flatMap { Int($0) } ?? 400
        var seeds = (0..<count).filter { $0 % Self.groups == group }.map { UInt64($0) }
        if let only = environment["GOTUNNEL_SEED"].flatMap({ UInt64($0) }) { seeds = group == 0 ? [only] : [] }
        var tally = FreezeTally()
        for seed in seeds {
            let world = FreezeWorld(seed: seed)
            do {
                try world.run()
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
            tally += world.tally
        }
        print("group \(group): \(tally)")
        guard seeds.count >= 50 else { return }
        #expect(tally.freezes > 2 * seeds.count && tally.incomplete > 10 && tally.undecoded > 10, "too little to show anything")
        #expect(tally.together > 10 && tally.unopened > 10 && tally.replayed > 100 && tally.queued > 10_000)
    }
}
