import Testing

@testable import ClusterCore

/// Nobody chose what happens in these runs, and so nobody could forget something.
@Suite("Agreement, at random")
struct AgreementExplorerTests {
    @Test func nothingThatMustNotHappenHappens() {
        var told = 0
        var terms = 0
        var freed = 0
        for seed in 1...240 as ClosedRange<UInt64> {
            let plan = AgreementExplorer.plan(seed: seed)
            var explorer = AgreementExplorer(seed: seed, plan: plan)
            explorer.run()
            #expect(explorer.judge.violations == [], "seed \(seed)")
            told += explorer.judge.told.values.reduce(0) { $0 + $1.count }
            terms += explorer.judge.leaders.count
            freed += explorer.world.names.map { explorer.world.node($0)?.assignments.settled.rested.count ?? 0 }.max() ?? 0
            if plan.heals, explorer.judge.violations.isEmpty {
                let isWell = explorer.heal()
                #expect(isWell, "seed \(seed) does not heal")
            }
        }
        #expect(
            told > 400 && terms > 300 && freed > 5,
            "too little happened to say anything: \(told) ports given, \(terms) terms, \(freed) ports free again")
    }

    #if FAULTS
    /// A judge that never complains would prove nothing. The rarer faults are for the scripts and for the simulator.
    @Test(arguments: [ClusterMutant.voteTwice, .answerEarly, .ignoreBase, .skipFetch, .quorumOfLiveView, .reuseEarly])
    func aFaultIsNoticed(mutant: ClusterMutant) {
        let isNoticed = (1...60 as ClosedRange<UInt64>).contains { seed in
            var explorer = AgreementExplorer(seed: seed, plan: AgreementExplorer.plan(seed: seed), mutant: mutant)
            explorer.run()
            return !explorer.judge.violations.isEmpty
        }
        #expect(isNoticed)
    }
    #endif
}
