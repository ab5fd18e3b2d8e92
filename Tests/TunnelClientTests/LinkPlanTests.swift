import Settings
import Testing
import Timing
import TunnelSession

@testable import TunnelClient

/// How many endpoints are dialled, which and when.
@Suite struct LinkPlanTests {
    private let three: [HostPort]

    init() throws {
        self.three = try [literal(1), literal(2), literal(3)]
    }

    // MARK: How many, and where

    @Test func theFirstLinksAreDialledAtOnce() throws {
        var script = PlanScript(links: 2, self.three)
        #expect(Set(script.dials()).count == 2)
        #expect(script.dials().isEmpty)
    }

    @Test func withAllLinksUpNothingIsDialled() throws {
        var script = PlanScript(links: 2, self.three)
        _ = try script.connectAll()
        #expect(script.pass(.seconds(3_600)).isEmpty)
        #expect(script.plan.nextTimer == nil)
    }

    @Test func aFailedDialIsFollowedByAnotherEndpointAtOnce() throws {
        var script = PlanScript(links: 1, self.three)
        let first = try script.dials(1)
        script.fail(first[0])
        let second = script.dials()
        #expect(second.count == 1 && second != first)
    }

    @Test func anUnansweredDialHoldsUpNothingForMoreThan300Milliseconds() throws {
        var script = PlanScript(links: 1, self.three)
        let start = script.now
        let dialled = script.pass(.seconds(2))
        #expect(dialled.map { $0.at - start } == [.zero, .milliseconds(300), .milliseconds(600)])
        #expect(Set(dialled.map(\.endpoint)).count == 3)
    }

    @Test func theEndpointWithFewestFailuresComesFirst() throws {
        var script = PlanScript(links: 1, try [literal(1), literal(2)])
        let (one, other) = (try script.firstDial(), Set(script.plan.endpoints))
        script.fail(one)
        let second = try script.firstDial()
        #expect(other.subtracting([one]) == [second])
        script.begin(second, server: 2)
        script.end(second)
        script.now = script.now + .seconds(1)
        // One failure each; then two for whichever comes first now.
        script.fail(try script.firstDial())
        script.now = script.now + .seconds(30)
        let fewest = script.plan.endpoints.min { script.plan.places[$0]?.failures ?? 0 < script.plan.places[$1]?.failures ?? 0 }
        #expect(script.dials().first == fewest)
    }

    @Test func endpointsInUseAreNotDialledAgain() throws {
        let twice = try #require(HostPort("servers.example:17000"))
        var script = PlanScript(links: 2, [try literal(1), twice])
        #expect(script.steps().contains(.resolve(twice)))
        script.resolved(twice, ["10.0.0.1:17000"])
        #expect(script.steps() == [], "the name leads to the address that is being dialled")
    }

    @Test func moreLinksAreDialledAtOnceWhenTheSettingsAskForThem() throws {
        var script = PlanScript(links: 1, self.three)
        _ = try script.connectAll()
        script.plan.setLinks(3)
        #expect(script.dials().count == 2)
    }

    // MARK: Waiting

    @Test func anEndpointThatFailsIsRetriedLaterEachTimeButWithin15Seconds() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        var attempts: [Moment] = []
        for _ in 0..<40 {
            let dialled = script.pass(.seconds(15))
            for (endpoint, at) in dialled {
                attempts.append(at)
                script.fail(endpoint)
            }
        }
        let waits = zip(attempts.dropFirst(), attempts).map { $0 - $1 }
        #expect(attempts.count >= 30)
        #expect(waits.allSatisfy { $0 <= .seconds(15 + 15) })
    }

    @Test func waitsGrowFromATenthOfASecond() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        var ceiling = Duration.milliseconds(100)
        for _ in 0..<12 {
            let endpoint = try script.firstDial()
            script.fail(endpoint)
            let due = try #require(script.plan.nextTimer)
            #expect(due - script.now >= ceiling / 2 && due - script.now <= ceiling)
            script.now = due
            ceiling = min(ceiling * 2, .seconds(15))
        }
    }

    @Test func aSessionMakesTheWaitsShortAgain() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        for _ in 0..<10 {
            script.fail(try script.firstDial())
            script.now = try #require(script.plan.nextTimer)
        }
        let endpoint = try script.firstDial()
        script.begin(endpoint, server: 1)
        script.end(endpoint)
        let due = try #require(script.plan.nextTimer)
        #expect(due - script.now <= .milliseconds(100))
    }

    @Test func aReplacementWaitsARandomWhileWhileAnotherLinkIsUp() throws {
        var waits: [Duration] = []
        for seed in 0..<200 {
            var script = PlanScript(links: 2, self.three, seed: UInt64(seed))
            script.end(try script.connectAll()[0])
            let lost = script.now
            let dialled = script.pass(.milliseconds(2_101))
            #expect(!dialled.isEmpty)
            waits += dialled.prefix(1).map { $0.at - lost }
        }
        #expect(waits.allSatisfy { $0 <= .milliseconds(2_000) })
        #expect(waits.contains { $0 < .milliseconds(300) } && waits.contains { $0 > .milliseconds(1_700) })
    }

    @Test func aReplacementGoesToAnotherServerFirst() throws {
        for seed in 0..<50 {
            var script = PlanScript(links: 2, self.three, seed: UInt64(seed))
            let linked = try script.connectAll()
            script.end(linked[0])
            #expect(script.pass(.seconds(2)).first.map { linked.contains($0.endpoint) } == false)
        }
    }

    @Test func aLinkThatComesBackIsNotReplaced() throws {
        for seed in 0..<50 {
            var script = PlanScript(links: 2, self.three, seed: UInt64(seed))
            let linked = try script.connectAll()
            script.lose(linked[0])
            script.plan.linkBack(linked[0], now: script.now)
            #expect(script.pass(.seconds(60)).isEmpty)
        }
    }

    @Test func aLinkThatStaysAwayIsReplacedButNotDialledByThePlan() throws {
        var script = PlanScript(links: 2, self.three)
        let linked = try script.connectAll()
        script.lose(linked[0])
        let dialled = script.pass(.seconds(2)).map(\.endpoint)
        #expect(dialled.count == 1 && Set(dialled).isDisjoint(with: linked))
    }

    @Test func withoutAnyLinkTheFirstAttemptComesWithin100Milliseconds() throws {
        for seed in 0..<50 {
            var script = PlanScript(links: 1, self.three, seed: UInt64(seed))
            script.lose(try script.connectAll()[0])
            #expect(script.pass(.milliseconds(100)).count == 1)
        }
    }

    @Test func aVacancyIsHastenedWhenTheLastLinkGoesToo() throws {
        for seed in 0..<50 {
            var script = PlanScript(links: 2, try (1...4).map(literal), seed: UInt64(seed))
            let linked = try script.connectAll()
            script.lose(linked[0])
            script.lose(linked[1])
            #expect(script.pass(.milliseconds(100)).count == 2)
        }
    }

    @Test func anUnusableLinkDoesNotCount() throws {
        var script = PlanScript(links: 2, self.three)
        let linked = try script.connectAll()
        script.review(linked[0], usable: false)
        let dialled = script.pass(.seconds(2)).map(\.endpoint)
        #expect(dialled.count == 1 && Set(dialled).isDisjoint(with: linked))
    }

    @Test func aLinkThatIsUsableAgainInTimeIsNotReplaced() throws {
        var script = PlanScript(links: 2, self.three, seed: 3)
        let linked = try script.connectAll()
        script.review(linked[0], usable: false)
        script.review(linked[0], usable: true)
        #expect(script.pass(.seconds(10)).isEmpty)
    }

    // MARK: Hurry

    @Test func aWaitingConnectionHurriesWhatIsFarOff() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        for _ in 0..<10 {
            script.fail(try script.firstDial())
            script.now = try #require(script.plan.nextTimer)
        }
        script.fail(try script.firstDial())
        #expect(try #require(script.plan.nextTimer) - script.now > .seconds(7))
        script.hurry()
        for _ in 0..<5 {
            let due = try #require(script.plan.nextTimer)
            #expect(due - script.now >= .milliseconds(100) && due - script.now <= .milliseconds(500))
            script.now = due
            script.fail(try script.firstDial())
        }
        script.now = script.now + .seconds(5)
        script.fail(try script.firstDial())
        #expect(try #require(script.plan.nextTimer) - script.now > .seconds(7), "nobody waits any more")
    }

    @Test func whileALinkIsUpNothingIsHurried() throws {
        var script = PlanScript(links: 2, self.three)
        let dialled = try script.dials(2)
        script.begin(dialled[0], server: 1)
        for _ in 0..<40 {
            for (endpoint, _) in script.pass(.seconds(5)) { script.fail(endpoint) }
            for endpoint in script.plan.dials.keys { script.fail(endpoint) }
        }
        let before = script.plan.endpoints.map { script.plan.due($0) }
        script.hurry()
        #expect(script.plan.endpoints.map { script.plan.due($0) } == before)
    }
}
