import Timing

/// Watches one link for silence and measures its round trip.
///
/// Any received byte is liveness. After an idle interval a PING is due; when one stays without any byte in answer
/// for the rest of the timeout, the link is silent.
struct Heartbeat: Sendable {
    enum Verdict: Equatable, Sendable {
        case fine
        /// Two intervals without an answer: no new streams there.
        case suspect
        /// The whole timeout without an answer: the link is to be closed.
        case silent
    }

    private let interval: Duration
    private let idleInterval: Duration
    private let timeout: Duration
    private var lastHeard: Moment
    private var unansweredSince: Moment?
    private var lastPing: Moment?
    /// A PING became due and waits for the link to take bytes.
    private var isPingOwed = false
    /// The smoothed round trip (RFC 6298's weights), nil until the first PONG.
    private(set) var roundTrip: Duration?
    /// The last measurement, until somebody takes it.
    var sample: Duration?
    /// When the last PING that was answered had been sent.
    private(set) var answeredPing: Moment?

    init(_ configuration: SessionConfiguration, now: Moment) {
        // A timeout below four intervals would leave no time to probe; probe more often then.
        let interval = min(configuration.heartbeatInterval, configuration.heartbeatTimeout / 4)
        self.interval = interval
        self.idleInterval = max(interval, configuration.idleHeartbeatInterval)
        self.timeout = configuration.heartbeatTimeout
        self.lastHeard = now
    }

    mutating func linkAttached(now: Moment) {
        self.lastHeard = now
        self.unansweredSince = nil
        self.lastPing = nil
        self.isPingOwed = false
    }

    mutating func heard(now: Moment) {
        self.lastHeard = now
        self.unansweredSince = nil
    }

    /// Whether a PING should go out: at once on a new link, then whenever an interval passed since the last one
    /// and the link was quiet, and at each interval under load, to follow the round trip.
    func isPingDue(now: Moment, hasStreams: Bool) -> Bool { self.isPingOwed || now >= self.nextPing(hasStreams: hasStreams) }

    /// A PING that is due counts from now on even if the link takes no bytes: one that is full because nobody reads
    /// at its other end is as silent as one that answers nothing.
    mutating func timePassed(now: Moment, hasStreams: Bool) {
        guard now >= self.nextPing(hasStreams: hasStreams) else { return }
        self.pingSent(now: now)
        self.isPingOwed = true
    }

    mutating func pingSent(now: Moment) {
        self.lastPing = now
        self.isPingOwed = false
        if self.unansweredSince == nil { self.unansweredSince = now }
    }

    /// A PING is due now: somebody wants to know whether the other end still answers.
    mutating func probe() { self.isPingOwed = true }

    mutating func pongReceived(mark: UInt64, now: Moment) {
        // The mark comes from outside; any 64 bits may be in it.
        let (nanoseconds, overflow) = now.nanoseconds.subtractingReportingOverflow(Int64(bitPattern: mark))
        let sample = Duration.nanoseconds(nanoseconds)
        guard !overflow, sample >= .zero, sample < .seconds(600) else { return }
        self.sample = sample
        self.answeredPing = Moment(nanoseconds: Int64(bitPattern: mark))
        self.roundTrip = self.roundTrip.map { ($0 * 7 + sample) / 8 } ?? sample
    }

    func verdict(now: Moment) -> Verdict {
        guard let since = self.unansweredSince else { return .fine }
        if now >= since + (self.timeout - self.interval) { return .silent }
        return now >= since + self.interval * 2 ? .suspect : .fine
    }

    /// When something here may change.
    func deadline(hasStreams: Bool) -> Moment {
        let next = self.nextPing(hasStreams: hasStreams)
        guard let since = self.unansweredSince else { return next }
        return min(next, since + (self.timeout - self.interval))
    }

    private func nextPing(hasStreams: Bool) -> Moment {
        guard let lastPing = self.lastPing else { return self.lastHeard }
        return lastPing + (hasStreams || self.unansweredSince != nil ? self.interval : self.idleInterval)
    }
}
