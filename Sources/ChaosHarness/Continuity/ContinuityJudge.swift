/// What a rehearsal saw, in figures, and whether its promises held. Times in milliseconds.
package struct Judgement: Sendable, Equatable, Codable {
    package var requests = 0
    package var failed = 0
    /// Why the first ones failed.
    package var failures: [String] = []
    /// Begun before the fault and not over by then; counted apart where the fault takes their server away.
    package var underWay = 0
    package var underWayFailed = 0
    package var median = 0.0
    package var p99 = 0.0
    package var slowest = 0.0
    package var controlSlowest = 0.0
    /// What the slowest was allowed; nil: anything.
    package var allowed: Double?
    package var streams = 0
    /// How the streams on the struck server ended, and those on the others.
    package var struck: [String: Int] = [:]
    package var others: [String: Int] = [:]
    /// When the last stream on the struck server was reset, after the fault.
    package var lastReset: Double?
    /// The longest time without a byte on any stream that survived.
    package var longestGap = 0.0
    /// The promises that were broken, one line each.
    package var broken: [String] = []
    /// The machine was too slow to judge by.
    package var isVoid = false

    package var held: Bool { self.broken.isEmpty }

    enum CodingKeys: String, CodingKey {
        case requests, failed, failures, median, p99, slowest, allowed, streams, struck, others, broken
        case underWay = "under_way"
        case underWayFailed = "under_way_failed"
        case controlSlowest = "control_slowest"
        case lastReset = "last_reset"
        case longestGap = "longest_gap"
        case isVoid = "is_void"
    }
}

/// Holds what was seen against what was promised.
package struct ContinuityJudge: Sendable {
    package var promise: ContinuityPromise
    /// The server that was struck, nil if none was.
    package var struck: String?
    /// From when the fault was asked for until it was there, on CLOCK_MONOTONIC.
    package var fault: ClosedRange<Double>

    /// A control that is slower than this says that the machine was busy with something else.
    package static let controlLimit = 100.0

    package init(_ promise: ContinuityPromise, struck: String?, fault: ClosedRange<Double>) {
        self.promise = promise
        self.struck = struck
        self.fault = fault
    }

    /// - Parameter corrupt: streams in which backends found wrong bytes.
    package func judge(_ requests: RequestsReport, _ streams: [StreamsReport], corrupt: Int) -> Judgement {
        var judgement = Judgement()
        self.judge(requests, into: &judgement)
        for report in streams { self.count(report, into: &judgement) }
        self.judgeEffect(on: requests, into: &judgement)
        if corrupt > 0 { judgement.broken.append("\(corrupt) streams with wrong bytes, found by the backends") }
        return judgement
    }

    // MARK: Requests

    private func judge(_ report: RequestsReport, into judgement: inout Judgement) {
        let isUnderWay: (RequestResult) -> Bool = { request in
            let start = report.startedAtMs + request.atMs
            return start < self.fault.upperBound && start + request.tookMs >= self.fault.lowerBound
        }
        let controls = report.requests.filter { $0.path == .control }
        judgement.controlSlowest = controls.map(\.tookMs).max() ?? 0
        // Where no time is promised, a busy machine is no reason to judge nothing.
        let isTimed = self.promise.slowest != .anything
        judgement.isVoid = isTimed && judgement.controlSlowest > Self.controlLimit || controls.contains { !$0.ok }
        let all = report.requests.filter { $0.path == .forward }
        let underWay = all.filter(isUnderWay)
        judgement.underWay = underWay.count
        judgement.underWayFailed = underWay.count { !$0.ok }
        let counted = self.promise.countsRequestsUnderWay ? all : all.filter { !isUnderWay($0) }
        judgement.requests = counted.count
        judgement.failed = counted.count { !$0.ok }
        judgement.failures = counted.filter { !$0.ok }.prefix(3).map { "at \(Int($0.atMs)) ms: \($0.error ?? "unknown")" }
        if judgement.failed > 0 { judgement.broken.append("\(judgement.failed) new connections failed") }
        if counted.isEmpty { judgement.broken.append("no request was made") }
        let times = counted.filter(\.ok).map(\.tookMs).sorted()
        guard let slowest = times.last else { return }
        judgement.slowest = slowest
        judgement.median = times[times.count / 2]
        judgement.p99 = times[min(times.count - 1, times.count * 99 / 100)]
        self.judgeSlowest(into: &judgement)
    }

    private func judgeSlowest(into judgement: inout Judgement) {
        let limit: Double
        switch self.promise.slowest {
        case .anything: return
        case .overMedian(let more): limit = judgement.median + more
        case .absolute(let most): limit = most
        }
        let allowed = limit + judgement.controlSlowest
        judgement.allowed = allowed
        if judgement.slowest > allowed {
            judgement.broken.append(
                "the slowest new connection took \(Int(judgement.slowest)) ms, allowed are \(Int(allowed)) ms")
        }
    }

    /// Whether the fault struck anything: a rehearsal that nothing could notice proves nothing.
    private func judgeEffect(on report: RequestsReport, into judgement: inout Judgement) {
        let (began, there) = (self.fault.lowerBound - report.startedAtMs, self.fault.upperBound - report.startedAtMs)
        let all = report.requests.filter { $0.path == .forward }
        if !all.isEmpty, !all.contains(where: { $0.atMs > there }) {
            judgement.broken.append("no request was made after the fault")
        }
        guard self.promise.streams != .none, let struck, judgement.streams > 0 else { return }
        if !all.isEmpty, !all.contains(where: { $0.server == struck && $0.atMs + $0.tookMs < began }) {
            judgement.broken.append("\(struck) answered no request before the fault: nothing was rehearsed")
        }
        if judgement.struck.isEmpty { judgement.broken.append("no long stream was on \(struck): nothing was rehearsed") }
        if judgement.others.isEmpty { judgement.broken.append("all long streams were on \(struck): nothing was rehearsed") }
    }

    // MARK: Streams

    private func count(_ report: StreamsReport, into judgement: inout Judgement) {
        let fault = self.fault.lowerBound - report.startedAtMs
        judgement.streams += report.streams.count
        for stream in report.streams {
            let isStruck = stream.server == self.struck
            if isStruck {
                judgement.struck[stream.end.rawValue, default: 0] += 1
            } else {
                judgement.others[stream.end.rawValue, default: 0] += 1
            }
            if stream.end == .open || stream.end == .finished {
                judgement.longestGap = max(judgement.longestGap, stream.longestGapMs)
            }
            if isStruck, stream.end == .reset, let ended = stream.endedAtMs {
                judgement.lastReset = max(judgement.lastReset ?? 0, ended - fault)
            }
            if let fault = self.fault(with: stream, endedAfter: stream.endedAtMs.map { $0 - fault }, isStruck: isStruck) {
                judgement.broken.append("stream \(stream.id) on \(stream.server ?? "no server"): \(fault)")
            }
        }
    }

    /// What is wrong with how a stream ended; nil when nothing is.
    private func fault(with stream: StreamResult, endedAfter: Double?, isStruck: Bool) -> String? {
        switch stream.end {
        case .open, .finished: break
        case .corrupt: return "wrong bytes: \(stream.error ?? "unknown")"
        case .eof where !self.mayEnd(isStruck): return "ended without an announcement"
        case .timeout, .failed: return "never opened: \(stream.error ?? "unknown")"
        case .reset, .eof:
            guard isStruck else { return "was \(stream.end.rawValue), but its server was not struck" }
        }
        guard isStruck else { return nil }
        let isAlive = stream.end == .open || stream.end == .finished
        let after = endedAfter ?? 0
        switch self.promise.streams {
        case .none, .anything: return nil
        case .allSurvive: return isAlive ? nil : "did not survive"
        case .resetWithin(let limit), .endWithin(let limit):
            if isAlive { return "goes on, although what it led to is gone" }
            if after < 0 { return "was reset \(Int(-after)) ms before the fault" }
            return after <= limit ? nil : "was reset \(Int(after)) ms after the fault, not within \(Int(limit)) ms"
        case .surviveOrEndWithin(let limit):
            return isAlive || (0...limit).contains(after)
                ? nil : "was reset \(Int(after)) ms after the fault, not within \(Int(limit)) ms"
        case .finishOrMeetDeadline(let deadline):
            return isAlive || after >= deadline ? nil : "was reset \(Int(after)) ms after the drain began, before its deadline"
        }
    }

    /// A backend that dies may end its connections in any way.
    private func mayEnd(_ isStruck: Bool) -> Bool {
        guard isStruck, case .endWithin = self.promise.streams else { return false }
        return true
    }
}
