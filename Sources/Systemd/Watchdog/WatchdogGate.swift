import Timing

/// Decides whether the process is well enough for a sign of life. Pure: time is an argument.
///
/// Sources are what must keep going: each event loop, the control plane, the disk queue. Each is asked again and again and has
/// to answer. While one has not answered for half of the interval, signs of life are withheld; after the whole interval the
/// watchdog is to be triggered, because systemd counts from the last sign of life and alone would take up to half as long again.
package struct WatchdogGate: Sendable {
    /// What to tell systemd now.
    package enum Verdict: Equatable, Sendable {
        /// All have answered lately.
        case ping
        /// These have not answered for half of the interval or longer; in the order of registration.
        case withhold(late: [String])
        /// These have not answered for the whole interval; in the order of registration.
        case trigger(stuck: [String])
    }

    /// Of one gate; never used again after ``remove(_:)``.
    package struct SourceID: Hashable, Sendable {
        fileprivate let number: Int
    }

    private struct Source {
        let id: SourceID
        let name: String
        var heard: Moment
    }

    package let interval: Duration
    /// How far apart ticks are meant to be: a quarter of the interval.
    package var period: Duration { self.interval / 4 }

    private var sources: [Source] = []
    private var registered = 0
    private var ticked: Moment?

    package init(interval: Duration) { self.interval = interval }

    /// - Parameter now: counts as the first answer.
    package mutating func register(_ name: String, now: Moment) -> SourceID {
        self.registered += 1
        let id = SourceID(number: self.registered)
        self.sources.append(Source(id: id, name: name, heard: now))
        return id
    }

    /// The source has ended on purpose. One that is not known is no error.
    package mutating func remove(_ id: SourceID) {
        self.sources.removeAll { $0.id == id }
    }

    /// The source has run a task. Answers of removed sources come late and mean nothing.
    package mutating func answered(_ id: SourceID, now: Moment) {
        guard let index = self.sources.firstIndex(where: { $0.id == id }) else { return }
        self.sources[index].heard = max(self.sources[index].heard, now)
    }

    /// What to tell systemd.
    ///
    /// A tick that comes a whole period late means that nothing of this process ran: it was stopped, or the machine was.
    /// No source could have answered, so what is beyond the period is not held against them; systemd's own clock has gone on.
    package mutating func tick(now: Moment) -> Verdict {
        let gap = self.ticked.map { now - $0 } ?? .zero
        self.ticked = now
        if gap > self.period * 2 {
            for index in self.sources.indices {
                self.sources[index].heard = min(now, self.sources[index].heard + (gap - self.period))
            }
        }
        let stuck = self.silent(for: self.interval, now: now)
        if !stuck.isEmpty { return .trigger(stuck: stuck) }
        let late = self.silent(for: self.interval / 2, now: now)
        return late.isEmpty ? .ping : .withhold(late: late)
    }

    /// The share of the interval that the slowest source has left: 1 just after every answer, 0 and less when the process is to
    /// be killed. Just before a tick's questions, a healthy process has 0.75.
    package func margin(now: Moment) -> Double {
        let longest = self.sources.map { now - $0.heard }.max() ?? .zero
        return 1 - longest.inSeconds / max(self.interval.inSeconds, 1e-9)
    }

    /// When the next tick is due: after a period, and earlier when a source reaches its limits before.
    package func nextTick(after now: Moment) -> Moment {
        let limits = self.sources.flatMap { [$0.heard + self.interval / 2, $0.heard + self.interval] }
        return min(now + self.period, limits.filter { $0 > now }.min() ?? now + self.period)
    }

    private func silent(for span: Duration, now: Moment) -> [String] {
        self.sources.filter { now - $0.heard >= span }.map(\.name)
    }
}
