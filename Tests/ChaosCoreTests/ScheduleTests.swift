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
        cast: TargetCast = Self.cast, plan index: Int = 0, turns: inout TargetTurns
    ) -> TargetResolver.Met {
        let plan = FaultPlan(action, who, other: other, .at(.zero), lasts: .seconds(1)...(.seconds(1)), line: 5)
        return TargetResolver.resolve(
            ScheduledFault(number: 0, plan: plan, at: .zero, lasts: .seconds(1), draw: draw, planIndex: index), cast: cast,
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
        // Another fault of the file has turns of its own, on whatever line it stands.
        #expect(self.met(.eachPeer, plan: 1, turns: &turns).victims == ["controller-1"])
        #expect(self.met(.eachPeer, turns: &turns).victims == ["controller-2"])
    }

    @Test func whoeverIsDrawnSuffersNothingYet() {
        var turns = TargetTurns()
        for draw in UInt64(0)..<30 {
            let met = self.met(.anyServer, by: .stop, struck: ["worker-1"], draw: draw, turns: &turns)
            #expect(Self.cast.servers.contains(met.victims.first ?? ""))
            #expect(self.met(.anyClient, struck: ["worker-1"], draw: draw, turns: &turns).victims == ["worker-2"])
        }
        #expect(self.met(.anyClient, struck: ["worker-1", "worker-2"], turns: &turns).reason?.contains("already") == true)
    }

    @Test func nobodyIsMetWhoIsNotThere() {
        var turns = TargetTurns()
        let plan = FaultPlan(.kill, .leader, .at(.zero), lasts: .seconds(1)...(.seconds(1)))
        let fault = ScheduledFault(number: 0, plan: plan, at: .zero, lasts: .seconds(1), draw: 0)
        let met = TargetResolver.resolve(fault, cast: Self.cast, view: nil, struck: [], turns: &turns)
        #expect(met == TargetResolver.Met(victims: [], reason: "there is no leader now"))
        let nobody = TargetCast(servers: ["controller-1"], clients: [], apiservers: [])
        #expect(self.met(.anyClient, cast: nobody, turns: &turns).victims.isEmpty)
        #expect(self.met(.anyApiserver, cast: nobody, turns: &turns).victims.isEmpty)
    }

    @Test func anApiserverIsThatOfTheServerWithItsNumber() {
        var turns = TargetTurns()
        // controller-1 was replaced by controller-4, which has no apiserver of its own here.
        let cast = TargetCast(
            servers: ["controller-2", "controller-3", "controller-4"], clients: ["worker-1"],
            apiservers: ["apiserver-1", "apiserver-2", "apiserver-3"])
        #expect(self.met(.activeApiserver, cast: cast, turns: &turns).victims == ["apiserver-2"])
    }

    @Test func nobodyIsStruckTwiceAndAMajorityIsLeft() {
        var turns = TargetTurns()
        #expect(self.met(.leader, struck: ["controller-3"], turns: &turns).victims.isEmpty)
        #expect(self.met(.leader, struck: ["controller-1"], turns: &turns).reason?.contains("majority") == true)
        // All at once is meant; a client, or a link, takes no server away.
        #expect(self.met(.allServers, turns: &turns).victims.count == 3)
        #expect(self.met(.anyClient, struck: ["controller-1"], turns: &turns).victims.count == 1)
        #expect(self.met(.leader, by: .loss(0.1), struck: ["controller-1"], turns: &turns).victims == ["controller-3"])
        // A server without its apiserver is none for the traffic.
        #expect(self.met(.leader, struck: ["apiserver-1"], turns: &turns).victims.isEmpty)
        #expect(self.met(.leader, struck: ["apiserver-3"], turns: &turns).victims == ["controller-3"])
        #expect(self.met(.allApiservers, turns: &turns).victims.count == 3)
        // A ring takes links from all, so all have to be well.
        #expect(self.met(.allServers, by: .ring, struck: ["controller-1"], turns: &turns).victims.isEmpty)
        #expect(self.met(.allServers, by: .ring, struck: ["worker-1"], turns: &turns).victims.count == 3)
    }

    @Test func theOtherSideIsEverybodyElse() {
        var turns = TargetTurns()
        let met = self.met(.leader, by: .cut, other: .everyone, turns: &turns)
        #expect(met.victims == ["controller-3"])
        #expect(Set(met.others) == Set(Self.cast.servers + Self.cast.clients).subtracting(["controller-3"]))
    }
}
