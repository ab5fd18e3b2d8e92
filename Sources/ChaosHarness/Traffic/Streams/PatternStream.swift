import NIOCore
import NIOPosix

/// The generator's side of one long stream, bound to its event loop.
final class PatternStream: PatternObserver {
    private let id: Int
    private let plan: StreamsPlan
    private let loop: any EventLoop
    private var handler: PatternHandler?
    private let onGap: (TimeAmount, NIODeadline) -> Void
    private var onChange: (() -> Void)?
    private var deadline: Scheduled<Void>?

    private var server: String?
    private var opened: NIODeadline?
    private var ended: NIODeadline?
    private var end = StreamResult.End.open
    private var error: String?
    private var harm: String?
    private var gaps = GapMeter()

    /// - Parameters:
    ///   - onGap: told how long nothing had arrived, when something did or the stream ended, and when that was.
    ///   - onChange: called when the stream has opened and when it has ended.
    init(
        id: Int, plan: StreamsPlan, loop: any EventLoop, onGap: @escaping (TimeAmount, NIODeadline) -> Void,
        onChange: @escaping () -> Void
    ) {
        self.id = id
        self.plan = plan
        self.loop = loop
        self.onGap = onGap
        self.onChange = onChange
    }

    var hasOpened: Bool { opened != nil }
    var hasEnded: Bool { ended != nil }

    /// Connects; what happens then is told by `onChange`.
    func dial() {
        let number = plan.seed &+ UInt64(id)
        let handler = PatternHandler(
            role: .dialer(stream: number, asks: plan.isPaceForBoth ? plan.pace : nil), pace: plan.pace, observer: self)
        self.handler = handler
        let bound = NIOLoopBound(handler, eventLoop: loop)
        let stream = NIOLoopBound(self, eventLoop: loop)
        deadline = loop.scheduleTask(in: plan.openLimit) { stream.value.giveUp() }
        ClientBootstrap(group: loop)
            .connectTimeout(plan.openLimit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
            .connect(to: plan.forward)
            .assumeIsolated()
            .whenFailure { self.finish(.failed, TrafficFailure.text($0)) }
    }

    /// Has the stream finish in order, if it is open.
    func finish() {
        deadline?.cancel()
        if hasOpened { handler?.finish() } else { finish(.timeout, "the run was over before it opened") }
    }

    /// The run is over: closes the stream without a word.
    func abandon() {
        onChange = nil
        deadline?.cancel()
        handler?.abandon()
    }

    /// What there is to say about the stream at `now`.
    func result(started: NIODeadline, now: NIODeadline) -> StreamResult {
        func relative(_ moment: NIODeadline?) -> Double? { moment.map { TrafficClock.milliseconds($0 - started) } }
        var gaps = self.gaps
        if opened != nil, ended == nil { gaps.note(now) }
        return StreamResult(
            id: id, server: server, openedAtMs: relative(opened), endedAtMs: relative(ended), end: end,
            bytesUp: handler?.bytesSent ?? 0, bytesDown: handler?.bytesVerified ?? 0,
            longestGapMs: TrafficClock.milliseconds(gaps.longest), longestGapAtMs: relative(gaps.longestBegan), error: error,
            harm: harm)
    }

    private func giveUp() {
        handler?.abandon()
        finish(.timeout, "nothing came back within \(plan.openLimit.nanoseconds / 1_000_000) ms")
    }

    private func finish(_ end: StreamResult.End, _ error: String?) {
        guard ended == nil else { return }
        let now = NIODeadline.now()
        ended = now
        if opened != nil { note(now) }
        self.end = end
        self.error = error
        deadline?.cancel()
        onChange?()
    }

    // MARK: Observer

    func patternOpened(by other: String) {
        server = other
        let now = NIODeadline.now()
        opened = now
        gaps.note(now)
        deadline?.cancel()
        if let span = plan.finish(id) {
            let stream = NIOLoopBound(self, eventLoop: loop)
            deadline = loop.scheduleTask(in: span) { stream.value.handler?.finish() }
        }
        onChange?()
    }

    func patternArrived() { note(.now()) }

    private func note(_ moment: NIODeadline) {
        if let gap = gaps.note(moment) { onGap(gap, moment) }
    }

    func patternEnded(_ ending: PatternEnding) {
        switch ending {
        case .finished: finish(.finished, nil)
        case .reset(let reason): finish(.reset, reason)
        case .eof: finish(.eof, "an end that was not announced")
        case .corrupt(let fault, let harm):
            self.harm = harm.name
            finish(.corrupt, fault.description)
        }
    }
}

/// Finds the longest time between two of the moments it is told.
struct GapMeter {
    private(set) var longest = TimeAmount.zero
    /// When the longest gap began.
    private(set) var longestBegan: NIODeadline?
    private var last: NIODeadline?

    /// - Parameter moment: not before the one told last.
    /// - Returns: the time since then; nil for the first.
    @discardableResult
    mutating func note(_ moment: NIODeadline) -> TimeAmount? {
        defer { last = moment }
        guard let last else {
            longestBegan = moment
            return nil
        }
        let gap = moment - last
        if gap > longest {
            longest = gap
            longestBegan = last
        }
        return gap
    }
}
