/// How a run goes, in one line of at most 80 columns.
package enum LiveLine {
    private static let columns = 80

    /// - Parameter slowest: seconds.
    package static func text(
        elapsed: Duration, whole: Duration, faults: Int, leader: String?, done: Int, failed: Int, slowest: Double
    ) -> String {
        let time = "\(self.clock(elapsed))/\(self.clock(whole))"
        let (counts, longest) = ("\(done) done, \(failed) failed", readable(slowest))
        // Where it gets long, words go first, then the leader; a number that is cut in the middle would lie.
        let ways = [
            [time, "\(faults) faults", "leader \(leader ?? "none")", counts, "slowest \(longest)"],
            [time, "\(faults) faults", "leader \(leader ?? "none")", counts, longest],
            [time, "\(faults) faults", leader ?? "no leader", counts, longest],
            [time, "\(faults) faults", counts, longest],
        ].map { $0.joined(separator: " · ") }
        return ways.first { $0.count <= self.columns } ?? String(time.prefix(self.columns))
    }

    private static func clock(_ time: Duration) -> String {
        let seconds = max(0, time.components.seconds)
        let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(two(minutes)):\(two(rest))"
    }
}
