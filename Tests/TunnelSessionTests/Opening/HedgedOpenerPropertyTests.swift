import Testing

@testable import TunnelSession

/// Thousands of seeded schedules: servers stop, links break and come back, sessions end and begin, answers are late or
/// refusals, local connections leave. Never two winners, never data on a loser (what wins was OPENED and was not
/// withdrawn), never a stream left unanswered.
@Suite struct HedgedOpenerPropertyTests {
    @Test(arguments: 0..<16 as Range<UInt64>) func everyStreamIsAnsweredOnce(block: UInt64) {
        var (wins, hedges) = (0, 0)
        for seed in block * 250..<(block + 1) * 250 {
            var world = OpenerWorld(seed: seed)
            world.run()
            #expect(world.faults.isEmpty, "seed \(seed): \(world.faults.joined(separator: "; "))")
            wins += world.wins
            hedges += world.dialHedges
        }
        #expect(wins > 1_000 && hedges > 0)
    }

    @Test func aSeedBringsBackTheSameRun() {
        var (one, other) = (OpenerWorld(seed: 42), OpenerWorld(seed: 42))
        one.run()
        other.run()
        #expect(one.now == other.now && one.wins == other.wins && one.dialHedges == other.dialHedges)
    }
}
