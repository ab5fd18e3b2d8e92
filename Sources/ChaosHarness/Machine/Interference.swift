import Foundation

/// What others took of this machine's processors between two moments: a run that is judged by times says how quiet it was.
package struct Interference: Sendable, Equatable {
    /// Shares (0 to 1) of all processors' time: idle (waiting for disks included), and taken by the host of a virtual machine.
    package var idle: Double
    package var stolen: Double

    /// A moment.
    package struct Reading: Sendable, Equatable {
        var idle: UInt64
        var stolen: UInt64
        var whole: UInt64

        /// Nil where the kernel does not say.
        package static func now() -> Reading? {
            (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)).flatMap { Reading(stat: $0) }
        }

        /// Of `/proc/stat` (proc_stat(5)). Pure.
        init?(stat text: String) {
            guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") }) else { return nil }
            // user nice system idle iowait irq softirq steal; guests are within user.
            let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { UInt64($0) }
            guard ticks.count == 8 else { return nil }
            (self.idle, self.stolen, self.whole) = (ticks[3] + ticks[4], ticks[7], ticks.reduce(0, +))
        }
    }

    /// Nil: no time has passed between the two.
    package init?(from earlier: Reading, to later: Reading) {
        guard later.whole > earlier.whole else { return nil }
        let whole = Double(later.whole - earlier.whole)
        self.idle = Double(later.idle - min(later.idle, earlier.idle)) / whole
        self.stolen = Double(later.stolen - min(later.stolen, earlier.stolen)) / whole
    }
}
