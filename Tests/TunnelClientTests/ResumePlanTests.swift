import Testing
import Timing
import TunnelSession

@testable import TunnelClient

@Suite struct BackoffTests {
    @Test func waitsDoubleFromATenthOfASecondToFifteenSeconds() {
        for seed in 0..<200 {
            var rng = SplitMix(state: UInt64(seed))
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
            var rng = SplitMix(state: UInt64(seed))
            var backoff = Backoff()
            return backoff.next(using: &rng)
        }
        #expect(Set(waits).count > 990)
    }

    @Test func aResetStartsOver() {
        var rng = SplitMix(state: 1)
        var backoff = Backoff()
        for _ in 0..<10 { _ = backoff.next(using: &rng) }
        backoff.reset()
        #expect(backoff.next(using: &rng) <= .milliseconds(100))
    }
}

@Suite struct ResumePlanTests {
    private var rng = SplitMix(state: 7)
    private var plan = ResumePlan()

    @Test mutating func refusedTwiceTwoHundredMillisecondsApartEndsTheSession() {
        #expect(self.plan.failed(.connectionRefused, using: &self.rng) == .resume(after: .milliseconds(200)))
        #expect(self.plan.failed(.connectionRefused, using: &self.rng) == .abandon)
    }

    @Test mutating func refusalsMustFollowEachOther() {
        _ = self.plan.failed(.connectionRefused, using: &self.rng)
        _ = self.plan.failed(.other, using: &self.rng)
        #expect(self.plan.failed(.connectionRefused, using: &self.rng) == .resume(after: .milliseconds(200)))
    }

    @Test mutating func aLinkInBetweenMakesARefusalTheFirstAgain() {
        _ = self.plan.failed(.connectionRefused, using: &self.rng)
        self.plan.connected(now: .beginning)
        #expect(self.plan.failed(.connectionRefused, using: &self.rng) == .resume(after: .milliseconds(200)))
    }

    @Test mutating func anotherInstanceIsAskedForANewSessionBesideTheOld() {
        #expect(self.plan.failed(.otherInstance, using: &self.rng) == .replace)
    }

    @Test mutating func aSessionThatTheRightInstanceDoesNotKnowIsOver() {
        #expect(self.plan.failed(.unknownSession, using: &self.rng) == .abandon)
    }

    /// A server or a middlebox that drops every link must not keep the client busy with handshakes.
    @Test mutating func linksThatBreakAtOnceAreMadeMoreAndMoreSlowly() {
        var now = Moment.beginning
        var pauses: [Duration] = []
        for _ in 0..<200 {
            self.plan.connected(now: now)
            now = now + .milliseconds(5)
            pauses.append(self.plan.lost(now: now))
        }
        #expect(pauses[0] == .zero && pauses[49] <= .milliseconds(500) && pauses[199] == .seconds(1))
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        self.plan.connected(now: now)
        #expect(self.plan.lost(now: now + .seconds(10)) == .zero)
        self.plan.connected(now: now)
        #expect(self.plan.lost(now: now) == .zero)
    }

    @Test mutating func whatMayPassIsTriedAgainAtMostAQuarterOfASecondLater() {
        for _ in 0..<40 {
            guard case .resume(let wait) = self.plan.failed(.other, using: &self.rng) else { return #expect(Bool(false)) }
            #expect(wait >= .milliseconds(50) && wait <= .milliseconds(250))
        }
    }

    /// A network that is silent for a while and then back: somebody must dial soon after, and not in the pauses of the kernel.
    @Test mutating func aNetworkThatComesBackIsMetWithinASecondWheneverThatIs() {
        for _ in 0..<200 {
            var (now, starts) = (Duration.zero, [Duration.zero])
            while now < .seconds(5) {
                guard case .resume(let wait) = self.plan.failed(.other, using: &self.rng) else { return #expect(Bool(false)) }
                now += ResumePlan.patience(roundTrip: .milliseconds(20)) + wait
                starts.append(now)
            }
            let gaps = zip(starts, starts.dropFirst()).map { $1 - $0 }
            #expect(gaps.allSatisfy { $0 <= .milliseconds(750) })
        }
    }

    @Test func aSlowNetworkIsGivenSomeRoundTrips() {
        #expect(ResumePlan.patience(roundTrip: nil) == .milliseconds(500))
        #expect(ResumePlan.patience(roundTrip: .milliseconds(100)) == .milliseconds(500))
        #expect(ResumePlan.patience(roundTrip: .milliseconds(600)) == .milliseconds(2_400))
    }

}
