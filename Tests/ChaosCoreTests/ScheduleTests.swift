import ChaosCore
import Testing

@Suite("When faults come, and whom they meet") struct ScheduleTests {
    private func scenario(_ plans: FaultPlan...) -> Scenario {
        var scenario = Scenario(name: "made", title: "Made up")
        scenario.faults = plans
        return scenario
    }

    @Test func theSameSeedGivesTheSameScheduleAndAnotherSeedAnother() {
        let plan = FaultPlan(.kill, .anyServer, .random(.seconds(1)...(.seconds(9))), lasts: .seconds(1)...(.seconds(2)))
        let make = { (seed: UInt64) in Schedule.make(self.scenario(plan), duration: .seconds(600), seed: seed) }
        #expect(make(7) == make(7) && make(7) != make(8) && make(7).count > 60)
        for (one, next) in zip(make(7), make(7).dropFirst()) {
            #expect(next.at - one.at >= .seconds(1) && next.at - one.at <= .seconds(9))
            #expect(one.lasts.map { $0 >= .seconds(1) && $0 <= .seconds(2) } == true)
        }
    }

    @Test func aFurtherFaultLeavesTheOthersWhereTheyWere() {
        let plan = FaultPlan(.kill, .anyServer, .random(.seconds(1)...(.seconds(9))), lasts: .seconds(1)...(.seconds(2)))
        let further = FaultPlan(.stop, .leader, .every(.seconds(7), first: .zero), lasts: .seconds(1)...(.seconds(1)))
        let alone = Schedule.make(self.scenario(plan), duration: .seconds(60), seed: 1).map(\.at)
        let both = Schedule.make(self.scenario(plan, further), duration: .seconds(60), seed: 1)
        #expect(both.filter { $0.name == "kill" }.map(\.at) == alone)
        #expect(both.map(\.number) == Array(both.indices) && both.map(\.at) == both.map(\.at).sorted())
    }

    @Test func aLongerRunHasMoreFaultsAtTheSameDistances() {
        let plan = FaultPlan(.kill, .leader, .every(.seconds(5), first: .seconds(1)), lasts: .seconds(2)...(.seconds(2)))
        let times = { (length: Int) in Schedule.make(self.scenario(plan), duration: .seconds(length), seed: 1).map(\.at) }
        #expect(times(20) == [1, 6, 11, 16].map { .seconds($0) })
        #expect(times(120).count == 24 && Array(times(120).prefix(4)) == times(20))
    }

    @Test func whatCouldNotEndInTimeDoesNotBegin() {
        let plan = FaultPlan(.stop, .leader, .every(.seconds(5), first: .seconds(1)), lasts: .seconds(4)...(.seconds(4)))
        #expect(Schedule.make(self.scenario(plan), duration: .seconds(14), seed: 1).map(\.at) == [1, 6].map { .seconds($0) })
        #expect(Schedule.make(self.scenario(plan), duration: .seconds(2), seed: 1).isEmpty)
    }

    // MARK: Whom

    private static let cast = TargetCast(
        servers: ["controller-1", "controller-2", "controller-3"], clients: ["worker-1", "worker-2"],
        apiservers: ["apiserver-1", "apiserver-2", "apiserver-3"])

    private func met(
        _ who: Target, by action: FaultAction = .kill, other: Target? = nil, struck: [String] = [], draw: UInt64 = 0,
        turns: inout TargetTurns
    ) -> TargetResolver.Met {
        let plan = FaultPlan(action, who, other: other, .at(.zero), lasts: .seconds(1)...(.seconds(1)), line: 5)
        return TargetResolver.resolve(
            ScheduledFault(number: 0, plan: plan, at: .zero, lasts: .seconds(1), draw: draw), cast: Self.cast,
            view: MadeRun.view(0), struck: struck, turns: &turns)
    }

    @Test func leaderFollowerAndActiveAreThoseOfTheMoment() {
        var turns = TargetTurns()
        #expect(self.met(.leader, turns: &turns).victims == ["controller-3"])
        #expect(self.met(.active, turns: &turns).victims == ["controller-2"])
        #expect(self.met(.activeApiserver, turns: &turns).victims == ["apiserver-2"])
        for draw in 0..<10 { #expect(self.met(.follower, draw: UInt64(draw), turns: &turns).victims != ["controller-3"]) }
    }

    @Test func eachGoesRound() {
        var turns = TargetTurns()
        let names = (0..<6).flatMap { _ in self.met(.eachPeer, turns: &turns).victims }
        #expect(names == Self.cast.servers + Self.cast.clients + ["controller-1"])
    }

    @Test func nobodyIsStruckTwiceAndAMajorityIsLeft() {
        var turns = TargetTurns()
        #expect(self.met(.leader, struck: ["controller-3"], turns: &turns).victims.isEmpty)
        #expect(self.met(.leader, struck: ["controller-1"], turns: &turns).reason?.contains("majority") == true)
        // All at once is meant; a client, or a link, takes no server away.
        #expect(self.met(.allServers, turns: &turns).victims.count == 3)
        #expect(self.met(.anyClient, struck: ["controller-1"], turns: &turns).victims.count == 1)
        #expect(self.met(.leader, by: .loss(0.1), struck: ["controller-1"], turns: &turns).victims == ["controller-3"])
    }

    @Test func theOtherSideIsEverybodyElse() {
        var turns = TargetTurns()
        let met = self.met(.leader, by: .cut, other: .everyone, turns: &turns)
        #expect(met.victims == ["controller-3"])
        #expect(Set(met.others) == Set(Self.cast.servers + Self.cast.clients).subtracting(["controller-3"]))
    }
}

@Suite("The live line") struct LiveLineTests {
    @Test func itFitsEightyColumns() {
        let line = LiveLine.text(
            elapsed: .seconds(3_723), whole: .seconds(36_000), faults: 12_345, leader: String(repeating: "x", count: 63),
            done: 1_234_567, failed: 12_345, slowest: 123.4)
        #expect(line.count == 80)
        #expect(
            LiveLine.text(
                elapsed: .seconds(42), whole: .seconds(120), faults: 12, leader: "controller-2", done: 1_204, failed: 0,
                slowest: 0.041)
                == "00:42/02:00 · 12 faults · leader controller-2 · 1204 done, 0 failed · slowest 41 ms".prefix(80).description)
    }
}
