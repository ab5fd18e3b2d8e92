/// The figures of a run, for people. Times in seconds.
package struct RunSummary: Codable, Sendable, Equatable {
    /// One kind of request, through the tunnel and past it.
    package struct Row: Codable, Sendable, Equatable {
        package var kind: Observation.Kind
        package var done: Int
        package var failed: Int
        /// Of those that were answered.
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
        /// The slowest short request meanwhile, answered or not.
        package var slowest: Double?
        /// From its end until the last short request that failed or was slow began; nil: another fault was at work then.
        package var normalAfter: Double?
    }

    package var requests: [Row] = []
    package var streams: [StreamRow] = []
    package var effects: [Effect] = []
    /// Terms that somebody led.
    package var leaders: Int
    /// The share of the short requests that were answered; nil: there were none.
    package var answered: Double?
    /// The share of the seconds in which no short request failed; nil: there were none.
    package var cleanSeconds: Double?
    /// The longest time in which a client got no answer.
    package var longestSilence: Double?

    private static let aftermath = 5.0

    package init(_ scenario: Scenario, _ evidence: Evidence) {
        let run = JudgedRun(scenario, evidence)
        self.requests = Observation.Kind.allCases.compactMap { Self.row($0, run) }
        self.streams = [.watch, .exec].compactMap { Self.streamRow($0, run) }
        let broken = run.brokenStreams
        self.effects = evidence.faults.map { Self.effect($0, broken, run) }
        self.leaders = Set(evidence.claims.filter { $0.t >= evidence.began }.map(\.term)).count
        let short = run.shortRequests
        guard !short.isEmpty else { return }
        let failed = short.filter { $0.what == .failed }
        self.answered = Double(short.count - failed.count) / Double(short.count)
        let (bad, seconds) = (Set(failed.map { Int($0.t) }), Set(short.map { Int($0.t) }))
        self.cleanSeconds = Double(seconds.count - bad.count) / Double(seconds.count)
        self.longestSilence = run.clients.map { run.longestSilence(of: $0).seconds }.max()
    }

    private static func row(_ kind: Observation.Kind, _ run: JudgedRun) -> Row? {
        let all = run.requests(kind)
        guard !all.isEmpty else { return nil }
        let times = Quantiles(all.filter { $0.what == .done }.compactMap(\.took))
        let past = Quantiles(run.controls(kind).filter { $0.what == .done }.compactMap(\.took))
        return Row(
            kind: kind, done: all.count { $0.what == .done }, failed: all.count { $0.what == .failed }, p50: times.value(0.5),
            p99: times.value(0.99), slowest: times.max, controlP99: past.value(0.99), controlSlowest: past.max)
    }

    private static func streamRow(_ kind: Observation.Kind, _ run: JudgedRun) -> StreamRow? {
        let own = run.evidence.observations.filter { $0.kind == kind }
        guard !own.isEmpty else { return nil }
        let flows = own.filter { $0.what == .flow && $0.t >= run.evidence.began }
        return StreamRow(
            kind: kind, opened: own.count { $0.what == .opened }, broken: run.brokenStreams.count { $0.kind == kind },
            pieces: flows.reduce(0) { $0 + ($1.count ?? 0) }, latest: flows.compactMap(\.took).max())
    }

    private static func effect(_ fault: FaultRecord, _ broken: [Observation], _ run: JudgedRun) -> Effect {
        let span = fault.began...max(fault.began, fault.over + Self.aftermath)
        let met = run.shortRequests(from: span.lowerBound, to: span.upperBound)
        let bad = run.lastBad(after: fault, control: run.controlSlowestShort)
        return Effect(
            at: fault.began - run.evidence.began, action: fault.action, victims: fault.victims,
            lasted: fault.ended.map { $0 - fault.began }, failed: met.count { $0.what == .failed },
            broken: broken.count { span.contains($0.t) }, slowest: met.compactMap(\.took).max(),
            normalAfter: run.overlaps(fault) ? nil : bad.map { $0.t - fault.over } ?? 0)
    }
}
