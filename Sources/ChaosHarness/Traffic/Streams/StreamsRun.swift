import NIOCore

/// One run of ``StreamTraffic``, bound to its event loop.
final class StreamsRun {
    private let plan: StreamsPlan
    private let loop: any EventLoop
    private let report: EventLoopPromise<StreamsReport>
    private let started: NIODeadline
    private var onOpened: ((Int) -> Void)?
    private var streams: [PatternStream] = []
    private var stalls = StallRecord()
    private var isFinishing = false
    private var isOver = false

    /// - Parameters:
    ///   - onOpened: called once, with the number of streams that opened.
    ///   - report: completed once, after ``begin()`` was called.
    init(
        _ plan: StreamsPlan, loop: any EventLoop, onOpened: @escaping (Int) -> Void, report: EventLoopPromise<StreamsReport>
    ) {
        self.plan = plan
        self.loop = loop
        self.onOpened = onOpened
        self.report = report
        self.started = .now()
    }

    func begin() {
        streams = (0..<plan.count).map { index in
            PatternStream(
                id: index + 1, plan: plan, loop: loop, onGap: { self.stalls.note($0, at: $1 - self.started) },
                onChange: { self.streamChanged() })
        }
        let run = NIOLoopBound(self, eventLoop: loop)
        for index in streams.indices {
            loop.scheduleTask(deadline: started + StreamsPlan.dialSpacing * index) { run.value.dial(index) }
        }
        loop.scheduleTask(deadline: started + plan.duration) { run.value.stop() }
        streamChanged()
    }

    func stop() {
        guard !isOver, !isFinishing else { return }
        guard plan.finishesAtEnd else { return conclude() }
        isFinishing = true
        for stream in streams { stream.finish() }
        let run = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: StreamsPlan.finishLimit) { run.value.conclude() }
        streamChanged()
    }

    private func conclude() {
        guard !isOver else { return }
        isOver = true
        announce()
        let now = NIODeadline.now()
        let results = streams.map { $0.result(started: started, now: now) }
        for stream in streams { stream.abandon() }
        report.succeed(
            StreamsReport(
                startedAtMs: TrafficClock.milliseconds(started), streams: results, stallsMs: stalls.milliseconds))
    }

    private func dial(_ index: Int) { if !isOver, !isFinishing { streams[index].dial() } }

    private func streamChanged() {
        guard !isOver else { return }
        if streams.allSatisfy({ $0.hasOpened || $0.hasEnded }) { announce() }
        if streams.allSatisfy(\.hasEnded) { conclude() }
    }

    private func announce() {
        guard let onOpened else { return }
        self.onOpened = nil
        onOpened(streams.count { $0.hasOpened })
    }
}

/// The longest gaps of a run's streams, by the second in which they ended.
struct StallRecord {
    /// Gaps that end later count for the last.
    static let secondLimit = 100_000

    private var longest: [TimeAmount] = []

    /// - Parameter moment: when it ended, after the start.
    mutating func note(_ gap: TimeAmount, at moment: TimeAmount) {
        let second = min(Int(max(moment.nanoseconds, 0) / 1_000_000_000), Self.secondLimit - 1)
        if second >= longest.count { longest += Array(repeating: .zero, count: second + 1 - longest.count) }
        longest[second] = max(longest[second], gap)
    }

    var milliseconds: [Double] { longest.map { TrafficClock.milliseconds($0) } }
}
