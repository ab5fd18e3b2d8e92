import Testing

@testable import ClusterCore

@Suite("Agreement, at random")
struct AgreementExplorerTests {
    @Test func manySeeds() {
        var told = 0
        var terms = 0
        for seed in 1...500 as ClosedRange<UInt64> {
            let plan = AgreementExplorer.plan(seed: seed)
            var explorer = AgreementExplorer(seed: seed, plan: plan)
            explorer.run()
            #expect(explorer.judge.violations == [], "seed \(seed)")
            told += explorer.judge.told.values.reduce(0) { $0 + $1.count }
            terms += explorer.judge.leaders.count
            if plan.heals, explorer.judge.violations.isEmpty {
                let isWell = explorer.heal()
                #expect(isWell, "seed \(seed) does not heal")
            }
        }
        #expect(told > 500 && terms > 500, "too little happened to say anything: \(told) ports given, \(terms) terms")
    }
}
