import Settings
import Testing
import Timing
import TunnelSession

@testable import TunnelClient

/// Who answers: aliases, takeovers, one link too many, servers that are asked for.
@Suite struct LinkPlanServersTests {
    private let three: [HostPort]

    init() throws { self.three = try [literal(1), literal(2), literal(3)] }

    // MARK: Who answers

    @Test func onlyOneOfTwoAliasesDialledAtOnceGoesOn() throws {
        var script = PlanScript(links: 2, self.three)
        let dialled = try script.dials(2)
        #expect(script.meet(9, at: dialled[0]) == .go)
        #expect(script.meet(9, at: dialled[1]) == .alreadyConnected)
        script.fail(dialled[1])
        script.begin(dialled[0], server: 9)
        #expect(script.dials().count == 1, "the third address is another server, perhaps")
    }

    @Test func anAliasIsFreeAgainWhenTheFirstOfThemFails() throws {
        var script = PlanScript(links: 2, try [literal(1), literal(2)])
        let dialled = try script.dials(2)
        _ = script.meet(9, at: dialled[0])
        #expect(script.meet(9, at: dialled[1]) == .alreadyConnected)
        script.fail(dialled[1])
        #expect(script.dials().isEmpty)
        script.fail(dialled[0])
        #expect(script.dials() == [dialled[1]])
        #expect(script.meet(9, at: dialled[1]) == .go)
    }

    @Test func aKnownAliasIsLookedAtEvery60Seconds() throws {
        var script = PlanScript(links: 2, try [literal(1), literal(2)])
        let dialled = try script.dials(2)
        #expect(script.meet(1, at: dialled[0]) == .go)
        script.begin(dialled[0], server: 1)
        #expect(script.meet(1, at: dialled[1]) == .alreadyConnected)
        script.fail(dialled[1])
        #expect(script.pass(.seconds(59)).isEmpty)
        #expect(script.pass(.seconds(17)).map(\.endpoint) == [dialled[1]])
        // It has moved to another server.
        #expect(script.meet(2, at: dialled[1]) == .go)
    }

    @Test func anAliasIsDialledWhenTheSessionWithItsServerEnds() throws {
        var script = PlanScript(links: 2, try [literal(1), literal(2)])
        let dialled = try script.dials(2)
        script.begin(dialled[0], server: 1)
        _ = script.meet(1, at: dialled[1])
        script.fail(dialled[1])
        script.end(dialled[0])
        #expect(script.pass(.milliseconds(100)).first?.endpoint == dialled[1])
    }

    @Test func aDialThatWouldBeOneTooManyIsToldSo() throws {
        var script = PlanScript(links: 1, self.three)
        let dialled = script.pass(.milliseconds(300)).map(\.endpoint)
        try #require(dialled.count == 2)
        #expect(script.meet(1, at: dialled[0]) == .go)
        #expect(script.meet(2, at: dialled[1]) == .enough)
        script.fail(dialled[1])
        #expect(script.plan.places[dialled[1]]?.failures == 0)
    }

    @Test func aServerThatFallsSilentAfterItsHelloKeepsNoOtherFromAnswering() throws {
        var script = PlanScript(links: 1, self.three)
        let dialled = script.pass(.milliseconds(300)).map(\.endpoint)
        try #require(dialled.count == 2)
        _ = script.meet(1, at: dialled[0])
        script.now = script.now + .milliseconds(300)
        #expect(script.meet(2, at: dialled[1]) == .go)
    }

    @Test func aServerMayBeDialledAnewBesideItsOwnSessionOnly() throws {
        var script = PlanScript(links: 2, self.three)
        let linked = try script.connectAll()
        let own = PlanScript.server(of: linked[0])
        #expect(script.meet(own, at: linked[0]) == .go)
        #expect(script.meet(PlanScript.server(of: linked[1]), at: linked[0]) == .alreadyConnected)
        script.begin(linked[0], server: own)
        #expect(script.plan.standing.count == 2)
    }

    @Test func afterATakeoverTheServerIsLeftAloneFor7To15Seconds() throws {
        for seed in 0..<50 {
            var script = PlanScript(links: 1, [try literal(1), try literal(2)], seed: UInt64(seed))
            let first = try script.firstDial()
            script.begin(first, server: 1)
            let answer = script.end(first, .takenOver)
            let wait = try #require(answer)
            #expect(wait >= .milliseconds(7_500) && wait <= .seconds(15))
            let second = script.pass(.seconds(1)).map(\.endpoint)
            try #require(second.count == 1 && !second.contains(first))
            #expect(script.meet(1, at: second[0]) == .enough, "the same server by another address")
            script.fail(second[0])
            script.hurry()
            #expect(script.pass(wait - .seconds(1) - .milliseconds(1)).isEmpty, "not even for somebody who waits")
            #expect(!script.pass(.milliseconds(2)).isEmpty)
        }
    }

    // MARK: One too many

    /// A plan with two links wanted and three up: the last of them usable again after a while.
    private func surplus() throws -> (PlanScript, [Endpoint]) {
        var script = PlanScript(links: 2, self.three)
        var linked = try script.connectAll()
        script.review(linked[0], usable: false)
        let dialled = script.pass(.seconds(2)).map(\.endpoint)
        for endpoint in dialled { script.begin(endpoint, server: PlanScript.server(of: endpoint)) }
        linked += dialled
        try #require(linked.count == 3)
        for endpoint in linked { script.review(endpoint, usable: true, idle: true, active: endpoint == linked[0]) }
        return (script, linked)
    }

    @Test func aSurplusLinkIsRetiredAfter60Seconds() throws {
        var (script, linked) = try self.surplus()
        #expect(script.steps().isEmpty)
        script.now = script.now + .seconds(59)
        #expect(script.steps().isEmpty)
        script.now = script.now + .seconds(2)
        #expect(script.steps() == [.retire(linked[2])], "the youngest, as no round trip is known")
        script.end(linked[2], .retired)
        #expect(script.pass(.seconds(600)).isEmpty)
    }

    @Test func theSlowestIdleLinkGoes() throws {
        var (script, linked) = try self.surplus()
        script.review(linked[1], idle: true, roundTrip: .milliseconds(80))
        script.review(linked[2], idle: true, roundTrip: .milliseconds(5))
        _ = script.steps()
        script.now = script.now + .seconds(61)
        #expect(script.steps() == [.retire(linked[1])])
    }

    @Test func neitherTheActiveLinkNorOneWithStreamsIsRetired() throws {
        var (script, linked) = try self.surplus()
        script.review(linked[0], idle: true, active: true, roundTrip: .seconds(1))
        script.review(linked[1], idle: false)
        script.review(linked[2], idle: false)
        for _ in 0..<30 {
            script.now = script.now + .seconds(10)
            #expect(script.steps().isEmpty)
        }
        script.review(linked[1], idle: true)
        script.now = script.now + .seconds(6)
        #expect(script.steps() == [.retire(linked[1])])
    }

    @Test func aSurplusThatPassesByItselfIsForgotten() throws {
        var (script, linked) = try self.surplus()
        _ = script.steps()
        script.now = script.now + .seconds(50)
        script.lose(linked[1])
        _ = script.steps()
        script.now = script.now + .seconds(1)
        script.plan.linkBack(linked[1], now: script.now)
        script.now = script.now + .seconds(30)
        #expect(script.steps().isEmpty)
    }

    @Test func hopelessOnlyWhenEveryEndpointRefusedAndNoneEverAccepted() throws {
        var script = PlanScript(links: 1, try [literal(1), literal(2)])
        script.fail(try script.firstDial(), .refused)
        #expect(!script.plan.isHopeless)
        script.fail(try script.firstDial(), .unreachable)
        #expect(!script.plan.isHopeless, "who cannot be reached has not refused")
        for (endpoint, _) in script.pass(.milliseconds(500)) { script.fail(endpoint, .refused) }
        for endpoint in script.dials() { script.fail(endpoint, .refused) }
        #expect(script.plan.isHopeless)
        script.now = script.now + .seconds(15)
        let endpoint = try script.firstDial()
        script.begin(endpoint, server: 1)
        script.end(endpoint)
        for _ in 0..<10 { for (endpoint, _) in script.pass(.seconds(15)) { script.fail(endpoint, .refused) } }
        #expect(!script.plan.isHopeless, "once accepted, it keeps trying")
    }

    @Test func anotherOutcomeTakesARefusalBack() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        script.fail(try script.firstDial(), .refused)
        #expect(script.plan.isHopeless)
        script.now = script.now + .seconds(1)
        script.fail(try script.firstDial(), .busy)
        #expect(!script.plan.isHopeless)
    }

    @Test func withoutEntriesThereIsNothingToDoAndNoReasonToGiveUp() throws {
        var script = PlanScript(links: 2, [])
        #expect(script.steps().isEmpty && !script.plan.isHopeless && script.plan.nextTimer == nil)
    }

    @Test func aServerThatIsAskedForIsDialledThoughAllLinksAreUp() throws {
        var script = PlanScript(links: 2, self.three)
        let linked = Set(try script.connectAll().map(\.entry))
        let third = try #require(self.three.first { !linked.contains($0) })
        #expect(script.plan.demand(server: "x", addresses: [third]) == true)
        #expect(script.dials() == [Endpoint(entry: third)])
        #expect(script.meet(99, at: Endpoint(entry: third)) == .go)
        script.begin(Endpoint(entry: third), server: 99)
        #expect(script.plan.hotLinks == 3)
    }

    @Test func anAddressOfItThatFailsIsFollowedByTheNextAndEachIsDialledOnce() throws {
        var script = PlanScript(links: 1, try (1...4).map(literal))
        let linked = try script.connectAll()[0].entry
        let others = try (1...4).map(literal).filter { $0 != linked }
        #expect(script.plan.demand(server: "x", addresses: others) == true)
        for other in others {
            #expect(script.dials() == [Endpoint(entry: other)])
            script.fail(Endpoint(entry: other))
        }
        #expect(script.pass(.seconds(60)).isEmpty)
    }

    @Test func aServerWithoutAKnownAddressCannotBeAskedFor() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        #expect(script.plan.demand(server: "x", addresses: [try literal(9)]) == false)
        _ = try script.connectAll()
        #expect(script.plan.demand(server: "server-1", addresses: []) == true)
        #expect(script.dials().isEmpty)
    }
}
