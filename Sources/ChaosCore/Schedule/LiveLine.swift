/// How a run goes, in one line of at most 80 columns.
package enum LiveLine {
    package static func text(
        elapsed: Duration, whole: Duration, faults: Int, leader: String?, done: Int, failed: Int, slowest: Double
    ) -> String {
        let time = "\(self.clock(elapsed))/\(self.clock(whole))"
        let text =
            "\(time) · \(faults) faults · leader \(leader ?? "none") · \(done) done, \(failed) failed · slowest \(Int(slowest * 1_000)) ms"
        return String(text.prefix(80))
    }

    private static func clock(_ time: Duration) -> String {
        let seconds = max(0, time.components.seconds)
        let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(two(minutes)):\(two(rest))"
    }
}
