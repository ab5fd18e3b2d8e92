/// A run with what all judges ask of it.
struct JudgedRun {
    /// A control that took longer says that the machine was too busy to judge times by, in seconds.
    static let busy = 0.1

    let scenario: Scenario
    let evidence: Evidence
    /// By kind, in the order of time; those that were due in the time that is judged.
    private let requests: [Observation.Kind: [Observation]]
    private let controls: [Observation.Kind: [Observation]]
    /// Those that people wait for, in the order of time.
    let shortRequests: [Observation]
    /// The slowest of those past the tunnel, in seconds; 0 without a control, which makes promises harder to keep.
    let controlSlowestShort: Double

    init(_ scenario: Scenario, _ evidence: Evidence) {
        self.scenario = scenario
        self.evidence = evidence
        func grouped(_ all: [Observation]) -> [Observation.Kind: [Observation]] {
            let judged = all.filter { $0.isRequest && $0.t >= evidence.began && $0.t < evidence.ended }
            return Dictionary(grouping: judged.sorted { $0.t < $1.t }, by: \.kind)
        }
        let requests = grouped(evidence.observations)
        self.requests = requests
        self.shortRequests = ((requests[.new] ?? []) + (requests[.get] ?? [])).sorted { $0.t < $1.t }
        let controls = grouped(evidence.control)
        self.controls = controls
        self.controlSlowestShort = ((controls[.new] ?? []) + (controls[.get] ?? [])).compactMap(\.took).max() ?? 0
    }

    func requests(_ kind: Observation.Kind) -> [Observation] { self.requests[kind] ?? [] }
    func controls(_ kind: Observation.Kind) -> [Observation] { self.controls[kind] ?? [] }

    /// The short requests that were due in a span of time; found by halving, as a long run has many of both.
    func shortRequests(from begin: Double, to end: Double) -> ArraySlice<Observation> {
        func first(_ t: Double) -> Int {
            var (low, high) = (0, self.shortRequests.count)
            while low < high {
                let middle = (low + high) / 2
                if self.shortRequests[middle].t < t { low = middle + 1 } else { high = middle }
            }
            return low
        }
        let (one, next) = (first(begin), first(end))
        return self.shortRequests[one..<max(one, next)]
    }

    /// The streams that ended before the traffic was told to: what ends then is meant to.
    var brokenStreams: [Observation] {
        self.evidence.observations.filter {
            ($0.kind == .watch || $0.kind == .exec) && $0.what == .ended && self.isJudged($0.t)
        }
    }

    func isJudged(_ t: Double) -> Bool { t >= self.evidence.began && t < self.evidence.ended }

    /// Seconds; nil: nothing was asked past the tunnel.
    func controlSlowest(_ kind: Observation.Kind) -> Double? { self.controls[kind]?.compactMap(\.took).max() }

    func controlQuantile(_ share: Double, _ kind: Observation.Kind) -> Double? {
        Quantiles(self.controls(kind).compactMap(\.took)).value(share)
    }

    /// What is added to a promised time: the control's, but not what only a busy machine takes.
    func allowance(_ control: Double) -> Double { min(control, Self.busy) }

    var clients: [String] { Set(self.shortRequests.map(\.who)).sorted() }

    /// Whether a fault came while this was under way: that which a fault meets, rather than what it leaves behind.
    func wasUnderWay(_ request: Observation) -> Bool {
        let end = request.t + (request.took ?? 0)
        return self.evidence.faults.contains { request.t <= $0.there && end >= $0.began }
    }

    /// Seconds since the beginning, as reports show times.
    func clock(_ t: Double) -> String {
        let tenths = Int((abs(t - self.evidence.began) * 10).rounded())
        let (minutes, seconds) = (tenths / 600, tenths / 10 % 60)
        return "\(t < self.evidence.began ? "-" : "")\(minutes):\(seconds < 10 ? "0" : "")\(seconds).\(tenths % 10)"
    }
}

extension FaultRecord {
    /// Its end, or what comes nearest to one.
    var over: Double { max(self.there, self.ended ?? self.there) }

    /// What it was and whom it met, for people.
    var text: String { "\(self.action) \(self.victims.joined(separator: ", "))" }
}
