/// What traffic and processes left behind, to be judged.
package struct UpgradeEvidence: Sendable {
    /// The streams of one generator.
    package struct Generator: Sendable {
        package var report: StreamsReport
        /// Whether its streams always have something to send; the others send now and then.
        package var isBulk: Bool
        /// The server that all of them go through; nil: the one that offers what they reached.
        package var server: String?

        package init(_ report: StreamsReport, isBulk: Bool, through server: String?) {
            self.report = report
            self.isBulk = isBulk
            self.server = server
        }
    }

    package var rounds: [UpgradeReport.Round]
    package var requests: RequestsReport
    package var streams: [Generator]
    /// Of all far ends together.
    package var farEnds: BackendStats

    package init(
        rounds: [UpgradeReport.Round], requests: RequestsReport, streams: [Generator], farEnds: BackendStats
    ) {
        self.rounds = rounds
        self.requests = requests
        self.streams = streams
        self.farEnds = farEnds
    }
}

/// Holds what was seen against what an upgrade promises: nothing is lost, and what cannot be carried is reset and told of.
package struct UpgradeJudge: Sendable {
    private let plan: UpgradePlan

    /// Connections besides the long streams that a carrier may have taken instead of one of them: short ones under way.
    static let others = 100

    package init(_ plan: UpgradePlan) { self.plan = plan }

    package func judge(_ evidence: UpgradeEvidence) -> UpgradeReport {
        let limit = self.plan.limit ?? self.plan.carrier.limit
        var report = UpgradeReport(
            carrier: self.plan.carrier, who: self.plan.who, seed: self.plan.seed, limit: limit, rounds: evidence.rounds,
            farEnds: evidence.farEnds)
        self.count(evidence, into: &report)
        self.attribute(evidence, to: &report.rounds)
        // With room for all, nothing may be reset.
        let room = limit.flatMap { report.streams + Self.others > $0 ? $0 : nil }
        self.judgeRounds(room: room, into: &report)
        self.judgeStreams(room: room, into: &report)
        self.judgeRequests(evidence.requests, room: room, into: &report)
        return report
    }

    // MARK: Counting

    private func count(_ evidence: UpgradeEvidence, into report: inout UpgradeReport) {
        let all = evidence.streams.flatMap(\.report.streams)
        report.streams = all.count
        report.ends = Dictionary(grouping: all, by: \.end.rawValue).mapValues(\.count)
        report.harms = Dictionary(grouping: all.compactMap(\.harm)) { $0 }.mapValues(\.count)
            .merging(evidence.farEnds.harms, uniquingKeysWith: +)
        report.bytes = all.reduce(0) { $0 + $1.bytesUp + $1.bytesDown }
        report.paceMs = Double(self.plan.paceOfMany.interval.nanoseconds) / 1_000_000
        func longest(isBulk: Bool) -> Double {
            evidence.streams.filter { $0.isBulk == isBulk }.flatMap(\.report.streams).map(\.longestGapMs).max() ?? 0
        }
        (report.longestStallMs, report.longestBulkStallMs) = (longest(isBulk: false), longest(isBulk: true))
        let forward = evidence.requests.requests.filter { $0.path == .forward }
        let failed = forward.filter { !$0.ok }
        let times = forward.map(\.tookMs).sorted()
        report.requests = forward.count
        report.failedRequests = failed.count
        report.refusedRequests = failed.count { $0.connectedMs == nil }
        report.failures = failed.prefix(3).map { "at \(Int($0.atMs)) ms: \($0.error ?? "unknown")" }
        report.medianRequestMs = times.isEmpty ? 0 : times[times.count / 2]
        report.slowestRequestMs = times.last ?? 0
        report.slowestControlMs = evidence.requests.requests.filter { $0.path == .control }.map(\.tookMs).max() ?? 0
    }

    /// Says of each round what was seen from its beginning to the next one's.
    private func attribute(_ evidence: UpgradeEvidence, to rounds: inout [UpgradeReport.Round]) {
        for index in rounds.indices {
            let began = rounds[index].beganMs
            let window = began..<(index + 1 < rounds.count ? max(began, rounds[index + 1].beganMs) : .infinity)
            rounds[index].openStreams = evidence.streams.reduce(0) { $0 + self.open(in: $1, at: rounds[index]) }
            rounds[index].longestStallMs = self.stall(in: evidence.streams.filter { !$0.isBulk }, window)
            rounds[index].longestBulkStallMs = self.stall(in: evidence.streams.filter(\.isBulk), window)
            let requests = evidence.requests.requests.filter {
                $0.path == .forward && window.contains(evidence.requests.startedAtMs + $0.atMs + $0.tookMs)
            }
            rounds[index].slowestRequestMs = requests.map(\.tookMs).max() ?? 0
            rounds[index].failedRequests = requests.count { !$0.ok }
        }
    }

    /// Streams that were open when a round began, and concerned by it.
    private func open(in generator: UpgradeEvidence.Generator, at round: UpgradeReport.Round) -> Int {
        let started = generator.report.startedAtMs
        return generator.report.streams.count { stream in
            guard let opened = stream.openedAtMs, started + opened < round.beganMs else { return false }
            guard round.server == nil || (generator.server ?? stream.server) == round.server else { return false }
            return stream.endedAtMs.map { started + $0 >= round.beganMs } ?? true
        }
    }

    private func stall(in generators: [UpgradeEvidence.Generator], _ window: Range<Double>) -> Double {
        let stalls = generators.map(\.report).flatMap { report in
            report.stallsMs.enumerated().filter { window.contains(report.startedAtMs + Double($0.offset + 1) * 1_000) }
        }
        return stalls.map(\.element).max() ?? 0
    }

    // MARK: Judging

    private func judgeRounds(room: Int?, into report: inout UpgradeReport) {
        let wanted = max(1, self.plan.times) * self.plan.who.parts.count
        if report.rounds.count < wanted { report.broken.append("\(report.rounds.count) of \(wanted) rounds took place") }
        guard self.plan.carrier.handsOver else { return }
        for (index, round) in report.rounds.enumerated() {
            func broken(_ text: String) { report.broken.append("round \(index + 1), \(round.who): \(text)") }
            if let problem = round.problem { broken(problem) }
            if !round.isAnother { broken("the same process went on: nothing was rehearsed") }
            if round.openStreams == 0 { broken("no stream was open any more: nothing was rehearsed") }
            let isSameProcess = Set(round.pids).count == 1
            if self.plan.carrier == .exec, !isSameProcess { broken("the process has another id than before") }
            if self.plan.carrier == .restart, isSameProcess { broken("the process has the same id as before") }
            guard let carried = round.carried else {
                broken("nothing was handed over, the process began anew")
                continue
            }
            let least = room.map { min(round.openStreams, $0 - Self.others) } ?? round.openStreams
            if carried < least { broken("\(carried) connections went on, \(round.openStreams) streams were open") }
            if room == nil, round.lost > 0 { broken("\(round.lost) connections were reset") }
        }
    }

    private func judgeStreams(room: Int?, into report: inout UpgradeReport) {
        func count(_ end: StreamResult.End) -> Int { report.ends[end.rawValue, default: 0] }
        if report.streams == 0 { report.broken.append("there were no streams") }
        let kept = count(.finished)
        let least = room.map { min(report.streams, $0 - Self.others) } ?? report.streams
        if kept < least { report.broken.append("\(kept) of \(report.streams) streams got every byte and ended in order") }
        let told = report.rounds.reduce(0) { $0 + $1.lost }
        if room != nil, count(.reset) > told {
            report.broken.append("\(count(.reset)) streams were reset, \(told) connections were told of")
        }
        for (end, what) in [
            (StreamResult.End.open, "never ended, although both ends wanted to"), (.eof, "had an end that nobody had announced"),
            (.corrupt, "had bytes lost, doubled, reordered or changed"), (.timeout, "never opened"),
            (.failed, "got no connection"),
        ] where count(end) > 0 { report.broken.append("\(count(end)) streams \(what)") }
        let far = report.farEnds
        if far.corrupt > 0 { report.broken.append("the far ends found wrong bytes in \(far.corrupt) streams") }
        if far.eof > 0 { report.broken.append("the far ends saw \(far.eof) streams end unannounced") }
        if far.finished != kept {
            report.broken.append("\(kept) streams ended in order at this end, \(far.finished) at the far ends")
        }
        if room == nil, far.reset > 0 { report.broken.append("the far ends saw \(far.reset) streams reset") }
    }

    private func judgeRequests(_ requests: RequestsReport, room: Int?, into report: inout UpgradeReport) {
        if report.refusedRequests > 0 { report.broken.append("\(report.refusedRequests) new connections were refused") }
        let failed = report.failedRequests - report.refusedRequests
        // Where connections are more than the carrier takes, short ones under way may be among those that are reset.
        let told = report.rounds.reduce(0) { $0 + $1.lost } - report.ends[StreamResult.End.reset.rawValue, default: 0]
        let allowed = room == nil ? 0 : max(0, told)
        if failed > allowed { report.broken.append("\(failed) of \(report.requests) new connections failed") }
        let moments = requests.requests.filter { $0.path == .forward }.map { requests.startedAtMs + $0.atMs }
        guard let first = moments.first, let last = moments.last else {
            report.broken.append("no new connection was tried")
            return
        }
        if let round = report.rounds.first, first >= round.beganMs {
            report.broken.append("no connection began before the rounds")
        }
        if let round = report.rounds.last, last <= round.endedMs {
            report.broken.append("no connection began after the rounds")
        }
    }
}
