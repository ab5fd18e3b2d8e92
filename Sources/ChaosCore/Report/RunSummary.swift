/// The figures of a run, for people. Times in seconds.
package struct RunSummary: Codable, Sendable, Equatable {
    /// One kind of request, through the tunnel and past it.
    package struct Row: Codable, Sendable, Equatable {
        package var kind: Observation.Kind
        package var done: Int
        package var failed: Int
        package var p50: Double?
        package var p99: Double?
        package var slowest: Double?
        package var controlP99: Double?
        package var controlSlowest: Double?
    }

    /// One kind of long stream.
    package struct StreamRow: Codable, Sendable, Equatable {
        package var kind: Observation.Kind
        package var opened: Int
        package var broken: Int
        /// Events or blocks.
        package var pieces: Int
        package var latest: Double?
    }

    /// What the traffic noticed of a fault.
    package struct Effect: Codable, Sendable, Equatable {
        package var at: Double
        package var action: String
        package var victims: [String]
        package var lasted: Double?
        /// Short requests that failed, and long streams that broke, from its beginning until 5 s after its end.
        package var failed: Int
        package var broken: Int
        /// The slowest short request meanwhile.
        package var slowest: Double?
    }

    package var requests: [Row] = []
    package var streams: [StreamRow] = []
    package var effects: [Effect] = []
    package var leaders: Int
    /// The share of the seconds in which no short request failed.
    package var cleanSeconds: Double

    private static let aftermath = 5.0

    package init(_ scenario: Scenario, _ evidence: Evidence) {
        let all = evidence.observations.filter { $0.t >= evidence.began }
        let control = evidence.control.filter { $0.t >= evidence.began }
        for kind in Observation.Kind.allCases {
            let own = all.filter { $0.kind == kind && $0.isRequest }
            guard !own.isEmpty else { continue }
            let times = Quantiles(own.filter { $0.what == .done }.compactMap(\.took))
            let past = Quantiles(control.filter { $0.kind == kind && $0.what == .done }.compactMap(\.took))
            self.requests.append(
                Row(
                    kind: kind, done: own.count { $0.what == .done }, failed: own.count { $0.what == .failed },
                    p50: times.value(0.5), p99: times.value(0.99), slowest: times.max, controlP99: past.value(0.99),
                    controlSlowest: past.max))
        }
        for kind in [Observation.Kind.watch, .exec] {
            let own = evidence.observations.filter { $0.kind == kind }
            let flows = own.filter { $0.what == .flow && $0.t >= evidence.began }
            guard !own.isEmpty else { continue }
            self.streams.append(
                StreamRow(
                    kind: kind, opened: own.count { $0.what == .opened },
                    broken: own.count { $0.what == .ended && $0.t >= evidence.began },
                    pieces: flows.reduce(0) { $0 + ($1.count ?? 0) }, latest: flows.compactMap(\.took).max()))
        }
        let short = all.filter { ($0.kind == .new || $0.kind == .get) && $0.isRequest }
        self.effects = evidence.faults.map { fault in
            let span = fault.began...max(fault.began, (fault.ended ?? fault.there) + Self.aftermath)
            let met = short.filter { span.contains($0.t) }
            return Effect(
                at: fault.began - evidence.began, action: fault.action, victims: fault.victims,
                lasted: fault.ended.map { $0 - fault.there }, failed: met.count { $0.what == .failed },
                broken: all.count { ($0.kind == .watch || $0.kind == .exec) && $0.what == .ended && span.contains($0.t) },
                slowest: met.compactMap(\.took).max())
        }
        let bad = Set(short.filter { $0.what == .failed }.map { Int($0.t) })
        let seconds = Set(short.map { Int($0.t) })
        self.cleanSeconds = seconds.isEmpty ? 0 : Double(seconds.count - bad.count) / Double(seconds.count)
        self.leaders = Set(evidence.claims.filter { $0.t >= evidence.began }.map(\.term)).count
    }
}
