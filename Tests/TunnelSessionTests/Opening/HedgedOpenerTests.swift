import Testing
import Timing
import TunnelWire

@testable import TunnelSession

@Suite struct HedgedOpenerTests {
    private var bench = OpenerBench()

    @Test mutating func aStreamIsOpenedByTheOnlyPath() {
        #expect(bench.begin(1) == [])
        #expect(bench.open() == ["open 1 by 1 (first)"])
        #expect(bench.accepted(1, by: 1) == [])
        #expect(bench.opened(1, by: 1) == ["win 1 by 1"])
        #expect(bench.opener.pending == 0)
    }

    // MARK: Choice

    @Test mutating func theNearestPathIsTakenAndKept() {
        _ = bench.begin(1, roundTrip: .milliseconds(40)) + bench.begin(2, roundTrip: .milliseconds(5))
        // The first one was there before the second: a stream goes there, because moving costs something too.
        #expect(bench.open() == ["open 1 by 1 (first)"])
        _ = bench.lost(1)
        #expect(bench.open() == ["open 2 by 2 (first)"])
        _ = bench.linked(1)
        #expect(bench.open() == ["open 3 by 2 (first)"])
    }

    @Test mutating func smallDifferencesDoNotMatterAndTheRankDecides() {
        _ = bench.begin(1, roundTrip: .milliseconds(10), rank: 9) + bench.begin(2, roundTrip: .milliseconds(11), rank: 3)
        _ =
            bench.begin(3, roundTrip: .milliseconds(40), rank: 1) + bench.lost(1) + bench.linked(1) + bench.lost(2)
            + bench.lost(3)
        _ = bench.linked(2) + bench.linked(3) + bench.lost(1) + bench.linked(1)
        #expect(bench.open() == ["open 1 by 2 (first)"])
    }

    @Test mutating func aMuchNearerPathIsMovedToAfterHalfAMinute() {
        _ = bench.begin(1, roundTrip: .milliseconds(40)) + bench.begin(2, roundTrip: .milliseconds(5))
        for _ in 0..<29 {
            _ = bench.pass(.seconds(1))
            bench.beat(2, roundTrip: .milliseconds(5))
            #expect(bench.opener.choice.isActive(PathID(1)))
        }
        for _ in 0..<3 {
            _ = bench.pass(.seconds(1))
            bench.beat(2, roundTrip: .milliseconds(5))
        }
        #expect(bench.opener.choice.isActive(PathID(2)))
        #expect(bench.open() == ["open 1 by 2 (first)"])
    }

    @Test mutating func oneGoodMomentOfAnotherPathIsNotEnoughToMove() {
        _ = bench.begin(1, roundTrip: .milliseconds(40)) + bench.begin(2, roundTrip: .milliseconds(5))
        for second in 0..<120 {
            _ = bench.pass(.seconds(1))
            bench.beat(2, roundTrip: second % 20 == 0 ? .milliseconds(39) : .milliseconds(5))
            #expect(bench.opener.choice.isActive(PathID(1)))
        }
    }

    @Test mutating func whereTheServiceIsDownIsTheLastChoice() {
        _ = bench.begin(1, healthy: false) + bench.begin(2)
        #expect(bench.open() == ["open 1 by 2 (first)"])
        #expect(bench.refused(1, by: 2) == ["open 1 by 1 (failover)"])
        #expect(bench.refused(1, by: 1, .unhealthy) == ["fail 1 connection_refused"])
    }

    @Test mutating func aServiceMovesByItselfWhenItsTargetGoesDown() {
        _ = bench.begin(1) + bench.begin(2)
        #expect(bench.open() == ["open 1 by 1 (first)"])
        _ = bench.offer(1, healthy: false)
        #expect(bench.open() == ["open 2 by 2 (first)"])
        // And stays there when it is back.
        _ = bench.offer(1, healthy: true)
        #expect(bench.open() == ["open 3 by 2 (first)"])
        #expect(bench.opener.choice.isActive(PathID(2)))
    }

    @Test mutating func aDrainingPathGetsNoNewStreams() {
        _ = bench.begin(1) + bench.begin(2)
        #expect(bench.drains(1) == [])
        #expect(bench.open() == ["open 1 by 2 (first)"])
        _ = bench.drains(2)
        #expect(bench.open() == ["fail 2 draining"])
        _ = bench.drains(1, false)
        #expect(bench.open() == ["open 3 by 1 (first)"])
    }

    @Test mutating func anOperatorsWishIsFollowed() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open()
        bench.opener.prefer(PathID(2))
        #expect(bench.open() == ["open 2 by 2 (first)"])
        #expect(bench.opener.choice.isActive(PathID(2)) && !bench.opener.choice.isActive(PathID(1)))
    }

    // MARK: Hedges

    @Test mutating func withoutAcceptedTheSameIsAskedForElsewhere() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open()
        #expect(bench.pass(.milliseconds(49)) == [])
        #expect(bench.pass(.milliseconds(1)) == ["open 1 by 2 (acceptHedge)"])
        _ = bench.accepted(1, by: 2)
        #expect(bench.opened(1, by: 2) == ["cancel 1 by 1", "win 1 by 2"])
    }

    @Test mutating func theFirstToOpenWinsEvenIfItWasHedged() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open() + bench.pass(.milliseconds(50)) + bench.accepted(1, by: 1)
        #expect(bench.opened(1, by: 1) == ["cancel 1 by 2", "win 1 by 1"])
        #expect(bench.opened(1, by: 2) == ["cancel 1 by 2"])
    }

    @Test mutating func patienceIsThreeTimesTheUsual() {
        _ = bench.begin(1, roundTrip: .milliseconds(100)) + bench.begin(2)
        _ = bench.open()
        #expect(bench.pass(.milliseconds(299)) == [])
        #expect(bench.pass(.milliseconds(1)) == ["open 1 by 2 (acceptHedge)"])
    }

    @Test mutating func patienceIsAtMostASecond() {
        _ = bench.begin(1, roundTrip: .seconds(2)) + bench.begin(2)
        _ = bench.open()
        #expect(bench.pass(.milliseconds(999)) == [])
        #expect(bench.pass(.milliseconds(1)) == ["open 1 by 2 (acceptHedge)"])
    }

    @Test mutating func theThirdPathIsAskedWhenTheSecondDoesNotAnswerEither() {
        _ = bench.begin(1) + bench.begin(2) + bench.begin(3)
        _ = bench.open() + bench.pass(.milliseconds(50))
        #expect(bench.pass(.milliseconds(50)) == ["open 1 by 3 (acceptHedge)"])
    }

    @Test mutating func aHedgeWaitsForAPathIfThereIsNone() {
        _ = bench.begin(1)
        _ = bench.open() + bench.pass(.milliseconds(60))
        #expect(bench.begin(2) == ["open 1 by 2 (acceptHedge)"])
    }

    @Test mutating func whereTheTargetIsDownNothingIsHedged() {
        _ = bench.begin(1) + bench.begin(2, healthy: false)
        _ = bench.open()
        #expect(bench.pass(.milliseconds(60)) == [])
    }

    @Test mutating func threeMissingAnswersMakeAPathSuspect() {
        _ = bench.begin(1) + bench.begin(2)
        for id in 1...4 as ClosedRange<UInt64> {
            #expect(bench.open() == ["open \(id) by 1 (first)"])
            _ = bench.pass(.milliseconds(10))
        }
        _ = bench.pass(.milliseconds(10)) + bench.pass(.milliseconds(10))
        // The third makes it suspect; the fourth need not wait for its own patience to end.
        #expect(bench.pass(.milliseconds(10)) == ["open 3 by 2 (acceptHedge)", "probe 1", "open 4 by 2 (acceptHedge)"])
        #expect(bench.open() == ["open 5 by 2 (first)"])
        #expect(bench.opener.isSuspect(PathID(1)))
    }

    @Test mutating func onlyAnAnswerToALaterPingEndsTheSuspicion() {
        _ = bench.begin(1) + bench.begin(2)
        let before = bench.now
        _ = bench.open() + bench.open() + bench.open() + bench.pass(.milliseconds(50))
        bench.beat(1, answered: before)
        #expect(bench.opener.isSuspect(PathID(1)))
        _ = bench.pass(.milliseconds(5))
        bench.beat(1, answered: bench.now)
        #expect(!bench.opener.isSuspect(PathID(1)))
    }

    @Test mutating func whatThisEndRefusesIsNoAnswer() {
        _ = bench.begin(1)
        _ = bench.open() + bench.open() + bench.open() + bench.pass(.milliseconds(50)) + bench.open()
        bench.opener.refused(
            OpeningID(rawValue: 4), by: PathID(1), Refusal(.busy, "too many requests wait"), isAnswer: false, now: bench.now)
        #expect(bench.opener.isSuspect(PathID(1)))
        _ = bench.refused(1, by: 1)
        #expect(!bench.opener.isSuspect(PathID(1)))
    }

    @Test mutating func anAnswerInBetweenBeginsTheCountAnew() {
        _ = bench.begin(1)
        for round in 0..<5 as Range<UInt64> {
            _ = bench.open() + bench.open() + bench.pass(.milliseconds(50)) + bench.open()
            #expect(bench.accepted(round * 3 + 3, by: 1) == [] && !bench.opener.isSuspect(PathID(1)))
        }
        _ = bench.open() + bench.open() + bench.open() + bench.pass(.milliseconds(50))
        #expect(bench.opener.isSuspect(PathID(1)))
    }

    @Test mutating func aSuspectPathIsUsedWhenThereIsNoOther() {
        _ = bench.begin(1)
        bench.beat(1, isLate: true)
        #expect(bench.open() == ["open 1 by 1 (first)"])
    }

    // MARK: Slow dials

    @Test mutating func aSlowDialIsLeftAloneUnlessTheServiceSaysOtherwise() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open() + bench.accepted(1, by: 1)
        #expect(bench.pass(.seconds(5)) == [])
    }

    @Test mutating func aSlowDialIsHedgedOnceForEveryTwentyStreams() {
        _ = bench.begin(1, hedgeDial: true) + bench.begin(2, hedgeDial: true)
        var hedges = 0
        for id in 1...400 as ClosedRange<UInt64> {
            #expect(bench.open() == ["open \(id) by 1 (first)"])
            _ = bench.accepted(id, by: 1)
            let done = bench.pass(.seconds(2))
            #expect(done == [] || done == ["open \(id) by 2 (dialHedge)"])
            hedges += done.count
            _ = bench.opened(id, by: 1)
        }
        #expect(hedges > 0 && hedges <= 20)
    }

    // MARK: Refusals and losses

    @Test mutating func aRefusalMovesOnAtOnce() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open() + bench.accepted(1, by: 1)
        #expect(bench.refused(1, by: 1) == ["open 1 by 2 (failover)"])
        _ = bench.accepted(1, by: 2) + bench.opened(1, by: 2)
        // The next one begins where the last one ended.
        #expect(bench.open() == ["open 2 by 2 (first)"])
    }

    @Test mutating func aLostLinkMovesOnAtOnceAndIsNotGivenUp() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open()
        #expect(bench.lost(1) == ["open 1 by 2 (failover)"])
        _ = bench.linked(1) + bench.accepted(1, by: 1)
        #expect(bench.opened(1, by: 1) == ["cancel 1 by 2", "win 1 by 1"])
    }

    @Test mutating func anEndedSessionMovesOnAtOnce() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open() + bench.accepted(1, by: 1)
        #expect(bench.ended(1) == ["open 1 by 2 (failover)"])
        #expect(bench.refused(1, by: 1) == [])
    }

    @Test mutating func theFirstRefusalIsWhatTheUserHears() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open() + bench.refused(1, by: 1, .forbidden)
        #expect(bench.refused(1, by: 2, .unhealthy) == ["fail 1 forbidden"])
        _ = bench.open()
        _ = bench.refused(2, by: 1, .draining)
        #expect(bench.refused(2, by: 2, .unhealthy) == ["fail 2 unhealthy"])
    }

    @Test mutating func aRefusalIsNotFinalWhileAnotherLinkMayComeBack() {
        _ = bench.begin(1) + bench.begin(2) + bench.lost(2)
        _ = bench.open()
        #expect(bench.refused(1, by: 1) == [])
        #expect(bench.linked(2) == ["open 1 by 2 (failover)"])
    }

    // MARK: Without a session

    @Test mutating func aConnectionWaitsForASession() {
        #expect(bench.open() == [] && bench.opener.held == 1)
        #expect(bench.pass(.milliseconds(4_999)) == [])
        #expect(bench.begin(1) == ["open 1 by 1 (held)"] && bench.opener.held == 0)
    }

    @Test mutating func itWaitsFiveSeconds() {
        _ = bench.open()
        #expect(bench.pass(.seconds(5)) == ["fail 1 unreachable"] && bench.opener.held == 0)
    }

    @Test mutating func onlySoManyWait() {
        for _ in 0..<HedgedOpener.holdCount { #expect(bench.open() == []) }
        #expect(bench.open() == ["fail \(HedgedOpener.holdCount + 1) busy"])
    }

    @Test mutating func aStreamThatWasAskedForOnALostLinkWaitsWithIt() {
        _ = bench.begin(1)
        _ = bench.open()
        #expect(bench.lost(1) == [] && bench.opener.held == 1)
        #expect(bench.linked(1) == [] && bench.opener.held == 0)
        #expect(bench.opened(1, by: 1) == ["win 1 by 1"])
    }

    @Test mutating func aLinkThatStaysAwayEndsTheWait() {
        _ = bench.begin(1)
        _ = bench.open() + bench.lost(1)
        #expect(bench.pass(.seconds(5)) == ["cancel 1 by 1", "fail 1 unreachable"])
    }

    @Test mutating func nothingWaitsLongerThanTenSeconds() {
        _ = bench.begin(1)
        _ = bench.open() + bench.accepted(1, by: 1)
        #expect(bench.pass(.seconds(10)) == ["cancel 1 by 1", "fail 1 timed_out"])
    }

    @Test mutating func aSessionThatIsExpectedIsWaitedFor() {
        _ = bench.begin(1) + bench.drains(1)
        bench.opener.expectsSessionUntil = bench.now + .seconds(5)
        #expect(bench.open() == [])
        #expect(bench.begin(2) == ["open 1 by 2 (held)"])
    }

    @Test mutating func whoLeavesIsWithdrawnEverywhere() {
        _ = bench.begin(1) + bench.begin(2)
        _ = bench.open() + bench.pass(.milliseconds(50))
        bench.opener.abandon(OpeningID(rawValue: 1))
        #expect(bench.actions() == ["cancel 1 by 1", "cancel 1 by 2"])
        #expect(bench.pass(.seconds(20)) == [] && bench.opener.nextTimer == nil)
    }
}
