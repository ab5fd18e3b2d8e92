import Timing

/// What came of many runs, for people.
package struct SimulationSummary {
    private let from: UInt64
    private let wanted: UInt64
    private var runs = 0
    private var coverage = Coverage()
    private var events: UInt64 = 0
    private var simulated = Duration.zero
    private var serverSeconds = 0.0
    /// Of all digests; the order of the seeds does not matter.
    private var digest: UInt64 = 0
    private var converged: [Duration] = []
    package private(set) var violated: [UInt64: [Violation]] = [:]

    package init(from: UInt64, wanted: UInt64) {
        self.from = from
        self.wanted = wanted
    }

    package var held: Bool { self.violated.isEmpty }

    package mutating func add(_ report: SimulationReport) {
        self.runs += 1
        self.coverage.add(report.coverage)
        self.events += report.events
        self.simulated += report.simulated
        self.serverSeconds += report.simulated.inSeconds * Double(report.nodes)
        self.digest &+= report.digest
        if let took = report.converged { self.converged.append(took) }
        if !report.violations.isEmpty { self.violated[report.seed] = report.violations }
    }

    package func text(took: Duration) -> String {
        let seconds = max(took.inSeconds, 0.001)
        var lines = [
            "\(self.runs) of \(self.wanted) seeds, from \(self.from): \(Self.short(Double(self.runs) / seconds)) seeds/s"
        ]
        lines.append(
            """
            \(Self.short(self.simulated.inSeconds / 3_600)) simulated hours in \(Self.short(seconds)) s \
            (\(Self.short(self.simulated.inSeconds / seconds)) simulated s/s), \(self.events) events, \
            digest \(String(self.digest, radix: 16))
            """)
        if !self.converged.isEmpty {
            let sorted = self.converged.sorted().map(\.inSeconds)
            lines.append(
                "agreement after healing: \(Self.short(sorted[sorted.count / 2])) s in half of the runs, \(Self.short(sorted.last ?? 0)) s at most"
            )
        }
        lines.append("faults:")
        lines += FaultKind.allCases.map { Self.row($0.rawValue, self.coverage.faults[$0] ?? 0) }
        lines.append("reached:")
        lines += self.coverage.lines.map { Self.row($0.name, $0.count) }
        lines.append(self.held ? "violations: none" : "violations: \(self.violated.count) seeds")
        for (seed, violations) in self.violated.sorted(by: { $0.key < $1.key }) {
            for violation in violations {
                lines.append("  seed \(seed) at \(Self.short(Double(violation.at) / 1e9)) s: \(violation.invariant.rawValue)")
                lines.append("    \(violation.text)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func row(_ name: String, _ count: Int) -> String {
        let digits = String(count)
        return "  " + String(repeating: " ", count: max(0, 12 - digits.count)) + digits + "  " + name
    }

    private static func short(_ number: Double) -> String {
        let scaled = (number * 100).rounded() / 100
        return scaled >= 100 ? String(Int(scaled)) : String(scaled)
    }
}
