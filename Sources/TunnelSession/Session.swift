import DequeModule
import NIOCore
import Timing
import TunnelWire

/// One end of a resumable, multiplexed conversation between two processes; it outlives the links that carry it.
///
/// A sans-IO state machine that is pulled: hand it bytes with `feed` and ask `nextEvent` until it has no more; ask
/// `nextWrite` for frames as long as the link is writable. A frame gets its place in the sequence only then, so what a
/// new link must repeat is only what was under way when the old one broke.
package struct Session: Sendable {
    package let configuration: SessionConfiguration
    package let side: SessionSide

    var decoder = FrameDecoder()
    var replay = ReplayLog()
    var acks: AckSchedule
    var heartbeat: Heartbeat
    var streams: [StreamID: StreamState] = [:]
    /// Streams with something to send, in the order of their turns.
    var ring: Deque<StreamID> = []
    /// Control frames that are not sequenced yet.
    var control: Deque<ByteBuffer> = []
    var controlQueued = 0
    /// Streams whose OPEN is among the control frames but is not to be sent.
    var withdrawn: Set<StreamID> = []
    var creditDue: Deque<StreamID> = []
    var hungry: Deque<StreamID> = []
    var pongMark: UInt64?
    var nextStream: StreamID
    var highestPeerStream: StreamID
    var detachedAt: Moment?
    var windowGrowth = 0
    var queuedFootprint = 0
    var outstanding = 0
    /// What the peer said last of its resume window, and what was said to it.
    var announcedWindow: Duration?
    var ownWindow: Duration?
    var isWindowUnsaid = false
    var sendRate: RateLimit?
    /// Bounds what arrives by bounding the credit that is given.
    var creditRate: RateLimit?

    /// Whether a link carries the session now.
    package internal(set) var isAttached = false
    /// No new streams from the peer: this process drains.
    package internal(set) var isDraining = false
    /// No new streams to the peer: it drains.
    package internal(set) var isPeerDraining = false
    /// How full the process's memory is; set by the driver before it calls anything else.
    package var pressure = MemoryPressure.none
    /// Buffers that are no longer needed, for the driver's pool. Emptied by the driver, never longer than 64.
    package var released: [ByteBuffer] = []
    /// How many links have carried the session after the first.
    package internal(set) var resumes = 0
    /// Bytes that were sent a second time, over all resumes.
    package internal(set) var replayedBytes: UInt64 = 0

    package init(side: SessionSide, configuration: SessionConfiguration, now: Moment) {
        self.side = side
        self.configuration = configuration
        self.acks = AckSchedule(bytes: configuration.acknowledgementBytes, delay: configuration.acknowledgementDelay)
        self.heartbeat = Heartbeat(configuration, now: now)
        self.nextStream = side == .dialer ? 1 : 2
        self.highestPeerStream = 0
        if configuration.bandwidth > 0 {
            self.sendRate = RateLimit(bytesPerSecond: configuration.bandwidth, now: now)
            self.creditRate = self.sendRate
        }
    }

    // MARK: What it holds

    /// Bytes of sequenced frames received: what a resume tells the peer.
    package var received: UInt64 { self.decoder.received }

    /// Bytes of sequenced frames sent, repeats not counted.
    package var sent: UInt64 { self.replay.sent }

    /// Memory held for this session in bytes: unacknowledged frames, queued frames and data, data not yet taken.
    package var heldBytes: Int {
        self.replay.footprint + self.controlQueued + self.queuedFootprint + self.outstanding + self.decoder.heldBytes
    }

    /// Memory pinned by frames that the peer has not acknowledged, in bytes.
    package var replayBytes: Int { self.replay.footprint }

    package var streamCount: Int { self.streams.count }

    /// The smoothed round trip of the link, nil until it is known.
    package var roundTrip: Duration? { self.heartbeat.roundTrip }

    /// The last measured round trip, once, for metrics.
    package mutating func takeRoundTripSample() -> Duration? {
        defer { self.heartbeat.sample = nil }
        return self.heartbeat.sample
    }

    /// When the last PING that was answered had been sent, nil before the first.
    package var answeredPing: Moment? { self.heartbeat.answeredPing }

    /// Sends a PING at once: somebody doubts that the other end still answers.
    package mutating func probe() {
        if self.isAttached { self.heartbeat.probe() }
    }

    /// Whether two heartbeats went unanswered.
    package func isSuspect(now: Moment) -> Bool { self.isAttached && self.heartbeat.verdict(now: now) != .fine }

    /// How long the session waits for a new link: what the peer announced last, else the configured window.
    package var resumeWindow: Duration { self.announcedWindow ?? self.ownWindow ?? self.configuration.resumeWindow }

    /// How long this end will look for a new link from now on. The peer is told once a link carries the session.
    package mutating func setResumeWindow(_ window: Duration) {
        guard self.isAttached else {
            self.ownWindow = window
            self.isWindowUnsaid = true
            return
        }
        guard window != self.ownWindow || self.isWindowUnsaid else { return }
        self.ownWindow = window
        self.sayResumeWindow()
    }

    private mutating func sayResumeWindow() {
        guard let window = self.ownWindow else { return }
        self.isWindowUnsaid = false
        self.send(.resumeWindow(ResumeWindow(milliseconds: UInt32(clamping: window.wholeMilliseconds))))
    }

    // MARK: Links

    /// A link carries the session from now on. `peerReceived` is the peer's count from the handshake.
    package mutating func attach(peerReceived: UInt64, now: Moment) throws(WireError) {
        let isResume = self.detachedAt != nil
        try self.replay.rewind(to: isResume ? self.believed(peerReceived) : peerReceived)
        if isResume {
            self.resumes += 1
            self.replayedBytes += self.replay.unacknowledged
        }
        self.isAttached = true
        self.detachedAt = nil
        self.acks.linkAttached(self.received)
        self.heartbeat.linkAttached(now: now)
        if self.isWindowUnsaid { self.sayResumeWindow() }
    }

    /// What the peer has received, as far as this build tells the truth.
    private func believed(_ peerReceived: UInt64) -> UInt64 {
        #if FAULTS
        let error = self.configuration.resumeError
        if error > 0 { return min(peerReceived + UInt64(error), self.replay.sent) }
        if error < 0 { return max(peerReceived - min(peerReceived, UInt64(-error)), self.replay.acknowledged) }
        #endif
        return peerReceived
    }

    /// The link is gone; streams stay.
    package mutating func detach(now: Moment) {
        guard self.isAttached else { return }
        self.isAttached = false
        self.detachedAt = now
        self.decoder.linkLost()
        self.replay.stopReplay()
        self.pongMark = nil
    }

    // MARK: Time

    /// When `onTimer` should be called next. After it was called this lies in the future, unless it said that something is over.
    package var nextTimer: Moment? {
        if let detachedAt = self.detachedAt { return detachedAt + self.resumeWindow }
        guard self.isAttached else { return nil }
        let beat = self.heartbeat.deadline(hasStreams: !self.streams.isEmpty)
        let sending = self.ring.isEmpty ? nil : self.sendRate?.opensAt
        let crediting = self.creditDue.isEmpty ? nil : self.creditRate?.opensAt
        return Moment.earlier(beat, Moment.earlier(self.acks.deadline, Moment.earlier(sending, crediting)))
    }

    /// Time has passed. Afterwards `nextWrite` may have something.
    package mutating func onTimer(now: Moment) -> TimerEvent? {
        if let detachedAt = self.detachedAt {
            return now >= detachedAt + self.resumeWindow ? .resumeExpired : nil
        }
        guard self.isAttached else { return nil }
        self.acks.timePassed(self.received, now: now)
        self.sendRate?.fill(now: now)
        self.creditRate?.fill(now: now)
        self.heartbeat.timePassed(now: now, hasStreams: !self.streams.isEmpty)
        return self.heartbeat.verdict(now: now) == .silent ? .linkSilent : nil
    }

    // MARK: Control

    /// Queues a message about the session itself.
    package mutating func send(_ message: ControlMessage) {
        self.enqueueControl(message.frame())
    }

    /// Tells the peer to open no more streams here, and refuses those it still opens.
    package mutating func drain(deadline: Duration, reason: String) {
        self.isDraining = true
        let milliseconds = UInt32(clamping: deadline.wholeMilliseconds)
        self.send(.goAway(GoAway(deadlineMilliseconds: max(1, milliseconds), reason: reason)))
    }

    /// The drain was called off: the peer may open streams again.
    package mutating func undrain() {
        guard self.isDraining else { return }
        self.isDraining = false
        self.send(.goAway(GoAway(deadlineMilliseconds: 0, reason: "the drain was called off")))
    }

    mutating func enqueueControl(_ frame: ByteBuffer) {
        self.control.append(frame)
        self.controlQueued += frame.readableBytes
    }

    /// Ends a session whose peer makes it queue control frames without end and acknowledges none.
    func checkControlFlood() throws(WireError) {
        guard self.controlBytes <= self.configuration.controlBytes else {
            throw WireError(.controlFlood, "\(self.controlBytes) bytes of control frames are unacknowledged")
        }
    }

    /// Bytes of control frames that are queued or not acknowledged.
    var controlBytes: Int { self.controlQueued + self.replay.controlBytes }
}
