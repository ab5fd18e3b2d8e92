import Testing

@testable import TunnelClient

/// A generator whose numbers are known: SplitMix64 (Steele, Lea and Flood, 2014).
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct BackoffTests {
    @Test func waitsDoubleFromATenthOfASecondToFifteenSeconds() {
        for seed in 0..<200 {
            var rng = SeededGenerator(state: UInt64(seed))
            var backoff = Backoff()
            var ceiling = Duration.milliseconds(100)
            for _ in 0..<20 {
                let wait = backoff.next(using: &rng)
                #expect(wait >= ceiling / 2 && wait <= ceiling)
                ceiling = min(ceiling * 2, .seconds(15))
            }
            #expect(ceiling == .seconds(15))
        }
    }

    @Test func aFleetDoesNotComeBackInStep() {
        let waits = (0..<1_000).map { seed in
            var rng = SeededGenerator(state: UInt64(seed))
            var backoff = Backoff()
            return backoff.next(using: &rng)
        }
        #expect(Set(waits).count > 990)
    }

    @Test func aResetStartsOver() {
        var rng = SeededGenerator(state: 1)
        var backoff = Backoff()
        for _ in 0..<10 { _ = backoff.next(using: &rng) }
        backoff.reset()
        #expect(backoff.next(using: &rng) <= .milliseconds(100))
    }
}

@Suite struct DialPlanTests {
    private var rng = SeededGenerator(state: 7)

    @Test mutating func aRoundThroughTheListCostsOneWait() {
        var plan = DialPlan(serverCount: 3)
        #expect(plan.freshDialFailed(isRefusal: false, using: &self.rng) == .zero)
        #expect(plan.freshDialFailed(isRefusal: false, using: &self.rng) == .zero)
        #expect(plan.freshDialFailed(isRefusal: false, using: &self.rng) > .zero)
        #expect(plan.server == 0)
    }

    @Test mutating func hopelessOnlyWhenEveryServerRefusedAndNoneEverAccepted() {
        var plan = DialPlan(serverCount: 2)
        _ = plan.freshDialFailed(isRefusal: true, using: &self.rng)
        #expect(!plan.isHopeless)
        _ = plan.freshDialFailed(isRefusal: true, using: &self.rng)
        #expect(plan.isHopeless)
        plan.connected()
        _ = plan.freshDialFailed(isRefusal: true, using: &self.rng)
        _ = plan.freshDialFailed(isRefusal: true, using: &self.rng)
        #expect(!plan.isHopeless)
    }

    @Test mutating func aServerThatCannotBeReachedIsNotARefusal() {
        var plan = DialPlan(serverCount: 2)
        for _ in 0..<10 {
            _ = plan.freshDialFailed(isRefusal: plan.server == 0, using: &self.rng)
            #expect(!plan.isHopeless)
        }
    }

    @Test mutating func refusedTwiceTwoHundredMillisecondsApartEndsTheSession() {
        var plan = DialPlan(serverCount: 1)
        #expect(plan.resumeFailed(.connectionRefused, using: &self.rng) == .resume(after: .milliseconds(200)))
        guard case .abandon = plan.resumeFailed(.connectionRefused, using: &self.rng) else {
            Issue.record("the second refusal did not end the session")
            return
        }
    }

    @Test mutating func refusalsMustFollowEachOther() {
        var plan = DialPlan(serverCount: 1)
        _ = plan.resumeFailed(.connectionRefused, using: &self.rng)
        _ = plan.resumeFailed(.other, using: &self.rng)
        #expect(plan.resumeFailed(.connectionRefused, using: &self.rng) == .resume(after: .milliseconds(200)))
    }

    @Test mutating func anotherInstanceIsAskedForANewSessionBesideTheOld() {
        var plan = DialPlan(serverCount: 1)
        #expect(plan.resumeFailed(.otherInstance, using: &self.rng) == .replace)
    }

    @Test mutating func aSessionThatTheRightInstanceDoesNotKnowIsOver() {
        var plan = DialPlan(serverCount: 1)
        #expect(plan.resumeFailed(.unknownSession, using: &self.rng) == .abandon(after: .zero))
    }
}
