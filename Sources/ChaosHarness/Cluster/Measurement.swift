import Foundation

/// One repetition of something that was promised to be fast.
package struct Sample: Sendable, Equatable {
    /// Milliseconds; nil: it had not happened when the trial stopped waiting.
    package var took: Double?
    /// The slowest control in the same time, in milliseconds: what the machine itself cost.
    package var control: Double

    package init(took: Double?, control: Double) {
        self.took = took
        self.control = control
    }
}

/// The repetitions of one promise. A repetition is allowed the promise plus its control; one whose control says that the
/// machine was busy is not judged, but repeated.
package struct Measurement: Sendable, Equatable {
    package var title: String
    /// How many are to be judged.
    package var wanted: Int
    /// Milliseconds; nil: nothing is promised.
    package var limit: Double?
    /// How many may miss it.
    package var allowedMisses: Int
    package private(set) var samples: [Sample] = []

    /// A control that is slower says that the machine was busy with something else, in milliseconds.
    package static let controlLimit = 100.0

    package init(_ title: String, wanted: Int, limit: Double?, allowedMisses: Int = 0) {
        self.title = title
        self.wanted = wanted
        self.limit = limit
        self.allowedMisses = allowedMisses
    }

    package mutating func add(_ sample: Sample) { self.samples.append(sample) }

    /// Where nothing is promised, nothing is void.
    private func isVoid(_ sample: Sample) -> Bool { self.limit != nil && sample.control > Self.controlLimit }

    package var judged: [Sample] { self.samples.filter { !self.isVoid($0) } }
    package var voided: Int { self.samples.count - self.judged.count }

    /// Whether to go on: as long as some are missing, and not as many had to be thrown away as were wanted, or twenty.
    package var needsMore: Bool { self.judged.count < self.wanted && self.voided < max(4, min(20, self.wanted)) }

    /// Those of the judged that took too long.
    package var misses: [Sample] {
        guard let limit else { return [] }
        return self.judged.filter { sample in sample.took.map { $0 > limit + sample.control } ?? true }
    }

    package enum Verdict: String, Sendable, Codable {
        case held, broken
        /// Nothing was promised.
        case told
        /// Too few could be judged.
        case void
    }

    package var verdict: Verdict {
        guard self.limit != nil else { return .told }
        if self.misses.count > self.allowedMisses { return .broken }
        return self.judged.count < self.wanted ? .void : .held
    }

    /// The row that a report keeps.
    package var row: Row {
        let times = self.judged.compactMap(\.took).sorted()
        return Row(
            title: self.title, count: self.judged.count, voided: self.voided, never: self.judged.count { $0.took == nil },
            median: Quantile.of(times, 0.5), p98: Quantile.of(times, 0.98), p99: Quantile.of(times, 0.99),
            slowest: times.last ?? 0, control: self.judged.map(\.control).max() ?? 0, limit: self.limit,
            misses: self.misses.count, allowedMisses: self.allowedMisses, verdict: self.verdict,
            values: self.samples.count <= Row.mostValues ? self.samples.map(\.took) : nil)
    }

    /// The figures of a measurement, times in milliseconds.
    package struct Row: Sendable, Codable, Equatable {
        package var title: String
        package var count: Int
        package var voided: Int
        /// How many had not happened when the trial stopped waiting.
        package var never: Int
        package var median: Double
        package var p98: Double
        package var p99: Double
        package var slowest: Double
        package var control: Double
        package var limit: Double?
        package var misses: Int
        package var allowedMisses: Int
        package var verdict: Verdict
        /// One by one, in their order; left out where they are many.
        package var values: [Double?]?

        static let mostValues = 200

        /// What was broken, in one line.
        package var complaint: String? {
            guard self.verdict == .broken, let limit else { return nil }
            let never = self.never > 0 ? ", \(self.never) of them never" : ""
            return "\(self.misses) of \(self.count) took longer than \(Int(limit)) ms and the control\(never)"
                + " (allowed: \(self.allowedMisses))"
        }
    }
}

/// Quantiles by nearest rank: always a value that was measured.
package enum Quantile {
    /// - Parameter sorted: ascending. 0 when there is none.
    package static func of(_ sorted: [Double], _ share: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(sorted.count, max(1, rank)) - 1]
    }
}
