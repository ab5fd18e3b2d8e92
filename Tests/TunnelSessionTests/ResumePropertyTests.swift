import Foundation
import Testing

/// Schedules from seeds: streams of every kind over links that break at any byte.
///
/// `GOTUNNEL_SEEDS` sets how many; one that fails names its seed, and `GOTUNNEL_SEED` runs that one alone.
@Suite struct ResumePropertyTests {
    private static let groups = 8

    @Test(arguments: 0..<ResumePropertyTests.groups)
    func bytesAndStreamsSurviveAnyCut(group: Int) {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["GOTUNNEL_SEEDS"].flatMap { Int($0) } ?? 1_600
        var seeds = (0..<count).filter { $0 % Self.groups == group }.map { UInt64($0) }
        if let only = environment["GOTUNNEL_SEED"].flatMap({ UInt64($0) }) { seeds = group == 0 ? [only] : [] }
        var tally = SimulationTally()
        for seed in seeds {
            let pair = SimulatedPair(seed: seed)
            do {
                try pair.run()
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
            tally += pair.tally
        }
        print("group \(group): \(tally)")
        if seeds.count >= 50 { #expect(tally.allCuts > 10 * seeds.count, "too few cuts to show anything") }
    }
}
