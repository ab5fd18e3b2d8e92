import Settings
import Testing
import Timing
import TunnelSession

@testable import TunnelClient

/// DNS names, and entries that come and go.
@Suite struct LinkPlanNamesTests {
    private let name: HostPort

    init() throws { self.name = try #require(HostPort("servers.example:17000")) }

    @Test func aNameIsResolvedBeforeItIsDialled() throws {
        var script = PlanScript(links: 2, [self.name])
        #expect(script.steps() == [.resolve(self.name)])
        script.resolved(self.name, ["10.0.0.1:17000", "10.0.0.2:17000", "nonsense", "10.0.0.1:17000"])
        #expect(Set(script.dials().map { "\($0.target)" }) == ["10.0.0.1:17000", "10.0.0.2:17000"])
    }

    @Test func aNameIsResolvedAnewForALaterAttempt() throws {
        var script = PlanScript(links: 1, [self.name])
        _ = script.steps()
        script.resolved(self.name, ["10.0.0.1:17000"])
        script.fail(try script.firstDial())
        script.now = script.now + .seconds(1)
        #expect(script.steps() == [.resolve(self.name)])
        script.resolved(self.name, ["10.0.0.2:17000"])
        #expect(script.dials().map(\.target) == [try literal(2)])
    }

    @Test func knownAddressesStayInUseWhenALookupFailsOrTakesLong() throws {
        var script = PlanScript(links: 1, [self.name])
        _ = script.steps()
        script.resolved(self.name, ["10.0.0.1:17000"])
        script.begin(try script.firstDial(), server: 1)
        script.now = script.now + .seconds(100)
        script.end(Endpoint(entry: self.name, address: try literal(1)))
        script.now = script.now + .seconds(1)
        #expect(script.steps() == [.resolve(self.name)])
        var failing = script
        failing.plan.resolveFailed(self.name, now: failing.now, using: &failing.rng)
        #expect(failing.dials().map(\.target) == [try literal(1)])
        #expect(script.pass(.milliseconds(300)).map(\.endpoint.target) == [try literal(1)], "without an answer, too")
    }

    @Test func aNameThatLeadsNowhereIsAskedForAgainLaterEachTime() throws {
        var script = PlanScript(links: 1, [self.name])
        var waits: [Duration] = []
        for _ in 0..<10 {
            #expect(script.steps() == [.resolve(self.name)])
            script.plan.resolveFailed(self.name, now: script.now, using: &script.rng)
            #expect(script.steps().isEmpty)
            let due = try #require(script.plan.nextTimer)
            waits.append(due - script.now)
            script.now = due
        }
        #expect(waits[0] <= .milliseconds(100) && waits[9] >= .milliseconds(7_500) && waits[9] <= .seconds(15))
    }

    @Test func aSlowLookupDoesNotKeepOtherServersFromBeingDialled() throws {
        for seed in 0..<20 {
            var script = PlanScript(links: 1, [self.name, try literal(1)], seed: UInt64(seed))
            var steps = script.steps()
            script.now = script.now + .milliseconds(300)
            steps += script.steps()
            #expect(steps.contains(.dial(Endpoint(entry: try literal(1)))) && steps.contains(.resolve(self.name)))
        }
    }

    @Test func aNewRecordOfANameIsFoundThoughAllOldOnesAreConnected() throws {
        var script = PlanScript(links: 2, [self.name])
        _ = script.steps()
        script.resolved(self.name, ["10.0.0.1:17000"])
        script.begin(try script.firstDial(), server: 1)
        #expect(script.steps().isEmpty)
        script.now = try #require(script.plan.nextTimer)
        #expect(script.steps() == [.resolve(self.name)])
        script.resolved(self.name, ["10.0.0.1:17000", "10.0.0.2:17000"])
        #expect(script.dials().map(\.target) == [try literal(2)])
    }

    @Test func anEntryThatIsGoneIsNotDialledAgainAndItsSessionGoesOn() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        let linked = try script.connectAll()
        script.plan.setEntries([try literal(2)], now: script.now, using: &script.rng)
        #expect(script.pass(.seconds(60)).isEmpty)
        script.end(linked[0])
        #expect(script.pass(.seconds(1)).map(\.endpoint.target) == [try literal(2)])
    }
}
