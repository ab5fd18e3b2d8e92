/// A fault with its time.
package struct ScheduledFault: Sendable, Equatable {
    /// Its place in the schedule, from 0.
    package var number: Int
    package var plan: FaultPlan
    /// From the end of the warm-up.
    package var at: Duration
    /// Until it is undone; nil: it has no end.
    package var lasts: Duration?
    /// Decides what the plan leaves open: which of several it meets.
    package var draw: UInt64
    /// The plan's place in the scenario, from 0; `each …` has turns of its own in every plan.
    package var planIndex: Int

    package init(number: Int, plan: FaultPlan, at: Duration, lasts: Duration?, draw: UInt64, planIndex: Int = 0) {
        self.number = number
        self.plan = plan
        self.planIndex = planIndex
        self.at = at
        self.lasts = lasts
        self.draw = draw
    }

    /// What is done, as the file calls it.
    package var name: String { self.plan.action.name }
}

/// Turns the plans of a scenario into times. Pure: the same seed gives the same schedule.
package enum Schedule {
    /// No plan comes more often than this in one run.
    private static let most = 10_000

    /// All faults of a run, in the order of their times. A longer duration brings more faults, not other distances between
    /// them; one that could not end within the duration does not begin.
    package static func make(_ scenario: Scenario, duration: Duration, seed: UInt64) -> [ScheduledFault] {
        var all: [ScheduledFault] = []
        for (index, plan) in scenario.faults.enumerated() {
            // Each plan draws from numbers of its own: a further plan in the file leaves the others as they were.
            var rng = SeededGenerator(seed: seed &+ UInt64(index) &* 0xd134_2543_de82_ef95)
            all += self.times(plan, index, duration, &rng)
        }
        all.sort { ($0.at, $0.planIndex) < ($1.at, $1.planIndex) }
        for index in all.indices { all[index].number = index }
        return all
    }

    private static func times(
        _ plan: FaultPlan, _ index: Int, _ duration: Duration, _ rng: inout SeededGenerator
    ) -> [ScheduledFault] {
        var faults: [ScheduledFault] = []
        func add(_ at: Duration) {
            let lasts = plan.lasts.map { self.draw($0, &rng) }
            let draw = rng.next()
            guard at + (lasts ?? .zero) <= duration else { return }
            faults.append(ScheduledFault(number: 0, plan: plan, at: at, lasts: lasts, draw: draw, planIndex: index))
        }
        switch plan.timing {
        case .at(let time): add(time)
        case .every(let period, let first):
            var at = first
            while at <= duration, faults.count < self.most, period > .zero {
                add(at)
                at += period
            }
        case .random(let range):
            var at = self.draw(range, &rng)
            while at <= duration, faults.count < self.most {
                add(at)
                at += max(.milliseconds(1), self.draw(range, &rng))
            }
        }
        return faults
    }

    /// A whole number of milliseconds.
    private static func draw(_ range: ClosedRange<Duration>, _ rng: inout SeededGenerator) -> Duration {
        let (low, high) = (range.lowerBound.inMilliseconds, range.upperBound.inMilliseconds)
        return .milliseconds(Int64.random(in: low...max(low, high), using: &rng))
    }
}

extension Duration {
    var inMilliseconds: Int64 {
        self.components.seconds * 1_000 + self.components.attoseconds / 1_000_000_000_000_000
    }

    package var inSeconds: Double { Double(self.components.seconds) + Double(self.components.attoseconds) / 1e18 }
}
