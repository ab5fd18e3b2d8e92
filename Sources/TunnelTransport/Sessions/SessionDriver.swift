import DequeModule
import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// What a session asks of its process.
package protocol SessionDelegate: AnyObject {
    /// The peer wants a stream: dial, then call `serve` or `refuse`.
    func session(_ session: SessionDriver, asks id: StreamID, for open: Open)
    func session(_ session: SessionDriver, received message: ControlMessage)
    /// The link is gone; the session waits for another.
    func session(_ session: SessionDriver, lostLink cause: LinkLoss)
    func session(_ session: SessionDriver, ended end: SessionEnd)
    /// The round trip was measured, or heartbeats go unanswered, or no longer.
    func session(_ session: SessionDriver, heartbeat: HeartbeatReport)
}

extension SessionDelegate {
    package func session(_ session: SessionDriver, heartbeat: HeartbeatReport) {}
}

/// What the heartbeat of a session's link says.
package struct HeartbeatReport: Equatable, Sendable {
    /// Smoothed; nil until measured.
    package var roundTrip: Duration?
    /// Two heartbeats went unanswered.
    package var isLate: Bool
    /// When the last PING that was answered had been sent.
    package var answeredPing: Moment?

    package init(roundTrip: Duration?, isLate: Bool, answeredPing: Moment?) {
        self.roundTrip = roundTrip
        self.isLate = isLate
        self.answeredPing = answeredPing
    }
}

/// What all sessions of an event loop share.
package struct TransportEnvironment {
    package let eventLoop: any EventLoop
    package let pool: BufferPool
    package let budget: MemoryBudget
    package let metrics: TransportMetrics
    /// See ``HedgedOpener``.
    let isHedging: Bool
    let sizing = ReadSizing()

    package init(eventLoop: any EventLoop, budget: MemoryBudget, metrics: TransportMetrics, isHedging: Bool = true) {
        self.eventLoop = eventLoop
        self.isHedging = isHedging
        self.pool = BufferPool()
        self.budget = budget
        self.metrics = metrics
    }
}

/// Runs one `Session`: moves bytes between its link and its streams' sockets, and keeps its timers.
///
/// Holds no protocol decisions: it hands over what happened and does what the session says. Everything is on one event
/// loop, so nothing here waits or hops.
package final class SessionDriver {
    package let environment: TransportEnvironment
    package weak var delegate: (any SessionDelegate)?
    var session: Session
    var link: LinkHandler?
    var locals: [StreamID: LocalStream] = [:]
    private var dirty: [StreamSocket] = []
    var chargedBytes = 0
    var countedStreams = 0
    var countedReplay = 0
    /// Streams that the peer asked for in the batch of bytes being read.
    var wanted: [(id: StreamID, open: Open)] = []
    private var lastHeartbeat: HeartbeatReport?
    /// Streams opened here that are not answered yet, the oldest first.
    var openings: Deque<(id: StreamID, deadline: Moment)> = []
    var timer: Scheduled<Void>?
    var timerAt: Moment?
    var isPumping = false
    var isPumpPlanned = false
    package private(set) var isEnded = false
    #if FAULTS
    /// How often the timer went off, for tests.
    var timerFirings = 0
    #endif

    /// Bytes put on the link before they are pushed out together.
    static let batch = 65_536
    /// How long an OPEN may stay unanswered, a broken link included; then the local connection is reset.
    static let openTimeout = Duration.seconds(10)
    /// How often a session looks again whether memory has become free.
    static let pressurePoll = Duration.milliseconds(100)

    package init(side: SessionSide, configuration: SessionConfiguration, environment: TransportEnvironment) {
        self.environment = environment
        self.session = Session(side: side, configuration: configuration, now: environment.now)
    }

    /// Goes on with a session of another process.
    init(_ session: Session, environment: TransportEnvironment) {
        self.environment = environment
        self.session = session
    }

    /// Nothing that happens from now on counts: the session goes on elsewhere.
    func retire() {
        self.isEnded = true
        self.timer?.cancel()
        self.dirty = []
        self.wanted = []
        self.openings = []
        self.locals = [:]
        self.environment.budget.adjust(by: -self.chargedBytes)
        self.chargedBytes = 0
        self.count(streams: 0, replay: 0)
    }

    // MARK: Links

    /// Bytes of sequenced frames received, for a resume.
    package var received: UInt64 { self.session.received }
    package var isAttached: Bool { self.session.isAttached }
    /// Whether there is a link that takes nothing at present.
    var isLinkBlocked: Bool { self.link.map { !$0.isWritable } ?? false }
    package var resumeWindow: Duration { self.session.resumeWindow }

    /// The link, if there is one, carries nothing any more. Called before counts are exchanged for a new one.
    package func detachLink() {
        guard let link = self.link else { return }
        self.link = nil
        self.environment.metrics.links.decrement()
        link.abandon()
        self.askForWanted()
        self.flushSockets()
        self.session.detach(now: self.environment.now)
        self.planTimer()
    }

    /// The same, and the other end is told why first.
    func detachLink(saying farewell: Close, _ link: LinkHandler) {
        self.link = nil
        self.environment.metrics.links.decrement()
        link.close(farewell)
        self.askForWanted()
        self.flushSockets()
    }

    /// A link carries the session from now on; `unread` are bytes that came behind the handshake.
    func attach(_ link: LinkHandler, peerReceived: UInt64, unread: ByteBuffer) throws(WireError) {
        guard !self.isEnded else { return link.close(Close(.unknownSession, "the session has ended")) }
        self.detachLink()
        let replayedBefore = self.session.replayedBytes
        let resumesBefore = self.session.resumes
        try self.session.attach(peerReceived: peerReceived, now: self.environment.now)
        if self.session.resumes > resumesBefore {
            self.environment.metrics.resumes.increment()
            self.environment.metrics.resumedBytes.increment(by: Int64(self.session.replayedBytes - replayedBefore))
            self.environment.metrics.totals.resumed(bytes: self.session.replayedBytes - replayedBefore)
        }
        self.link = link
        self.environment.metrics.links.increment()
        link.setOwner(self)
        if unread.readableBytes > 0 { self.link(link, received: unread) }
        self.linkReadCompleted(link)
    }

    /// Ends the session: every stream is reset, the peer is told if there is a link.
    package func end(_ reason: SessionEnd) {
        guard !self.isEnded else { return }
        self.isEnded = true
        self.timer?.cancel()
        self.dirty = []
        self.wanted = []
        self.openings = []
        let link = self.link
        self.link = nil
        if link != nil { self.environment.metrics.links.decrement() }
        if let farewell = reason.farewell { link?.close(farewell) } else { link?.abandon() }
        self.resetAllStreams()
        self.environment.budget.adjust(by: -self.chargedBytes)
        self.chargedBytes = 0
        self.count(streams: 0, replay: 0)
        self.delegate?.session(self, ended: reason)
    }

    private func resetAllStreams() {
        let streams = self.locals
        self.locals = [:]
        for id in streams.keys.sorted() {
            guard let stream = streams[id] else { continue }
            self.environment.metrics.reset(.sessionEnded)
            stream.socket?.abort()
            stream.report?(.ended(.reset(.sessionEnded)))
        }
    }

    // MARK: Control and status

    package func send(_ message: ControlMessage) {
        self.session.send(message)
        self.planPump()
    }

    /// How long this end will look for a new link when this one breaks; the peer is told.
    package func setResumeWindow(_ window: Duration) {
        guard !self.isEnded else { return }
        self.session.setResumeWindow(window)
        self.planTimer()
        self.planPump()
    }

    /// Finds out whether the other end still answers.
    package func probe() {
        self.session.probe()
        self.planPump()
    }

    /// No new streams from the peer; it is told how long the old ones have.
    package func drain(deadline: Duration, reason: String) {
        self.session.drain(deadline: deadline, reason: reason)
        self.planPump()
    }

    /// The drain was called off.
    package func undrain() {
        self.session.undrain()
        self.planPump()
    }

    package var streamCount: Int { self.locals.count }

    package func snapshot() -> SessionSnapshot {
        let now = self.environment.now
        return SessionSnapshot(
            isAttached: self.session.isAttached, isSuspect: self.session.isSuspect(now: now),
            isPeerDraining: self.session.isPeerDraining, roundTrip: self.session.roundTrip,
            streams: self.locals.count, replayBytes: self.session.replayBytes, heldBytes: self.session.heldBytes,
            resumes: self.session.resumes, replayedBytes: self.session.replayedBytes,
            bytesReceived: self.session.received, bytesSent: self.session.sent)
    }

    package func streamSnapshots() -> [StreamSnapshot] {
        let now = self.environment.now
        return self.locals.keys.sorted().compactMap { id in
            guard let stream = self.locals[id] else { return nil }
            return StreamSnapshot(
                id: id, destination: stream.destination, source: stream.source, isOpenedHere: stream.isOpenedHere,
                isOpen: stream.isOpen, age: now - stream.since, bytesFromLocal: stream.socket?.bytesRead ?? 0,
                bytesToLocal: stream.socket?.bytesWritten ?? 0)
        }
    }

    // MARK: Streams

    /// Opens a stream for a local connection. `report` is called once, possibly before this returns; unless the stream
    /// was opened, the connection has been reset by then.
    package func open(_ open: Open, for socket: StreamSocket, report: @escaping (OpenOutcome) -> Void) {
        do throws(Refusal) {
            let id = try self.request(open) { progress in
                if case .ended(let outcome) = progress { report(outcome) }
            }
            self.locals[id]?.socket = socket
            socket.attach(to: self, as: id)
        } catch {
            socket.abort()
            report(.refused(error))
        }
    }

    /// Asks for a stream that has no local connection yet. `report` is told of `accepted` and, last, how it ended; never
    /// before this returns. On `opened` it must call `adopt`, or the stream is withdrawn.
    package func request(_ open: Open, report: @escaping (OpenProgress) -> Void) throws(Refusal) -> StreamID {
        let id: StreamID
        do throws(Refusal) {
            guard !self.isEnded else { throw Refusal(.unreachable, "the session has ended") }
            self.session.pressure = self.environment.budget.pressure
            id = try self.session.open(open)
        } catch {
            self.environment.metrics.refused(error.code)
            throw error
        }
        self.environment.metrics.streamsOpenedLocally.increment()
        let now = self.environment.now
        self.locals[id] = LocalStream(report: report, open: open, isOpenedHere: true, since: now)
        self.openings.append((id, now + Self.openTimeout))
        self.planPump()
        return id
    }

    /// The local connection of a stream that was asked for with `request`.
    package func adopt(_ id: StreamID, _ socket: StreamSocket) {
        guard self.locals[id] != nil else { return socket.abort() }
        self.locals[id]?.socket = socket
        socket.attach(to: self, as: id)
        self.planPump()
    }

    /// Withdraws what was asked for with `request`; `report` is not called any more.
    package func cancel(_ id: StreamID) {
        guard self.locals.removeValue(forKey: id) != nil else { return }
        self.environment.metrics.reset(.cancelled)
        self.session.reset(id, .cancelled)
        self.planPump()
    }

    /// The local side of a stream that the peer opened is connected.
    package func serve(_ id: StreamID, with socket: StreamSocket) {
        guard !self.isEnded, self.session.isLive(id), self.locals[id] != nil else { return socket.abort() }
        self.locals[id]?.socket = socket
        self.locals[id]?.isOpen = true
        self.session.opened(id)
        socket.attach(to: self, as: id)
        self.planPump()
    }

    /// A stream that the peer opened cannot be served.
    package func refuse(_ id: StreamID, _ refusal: Refusal) {
        guard self.locals.removeValue(forKey: id) != nil else { return }
        self.environment.metrics.refused(refusal.code)
        self.session.refuse(id, refusal)
        self.planPump()
    }

    /// Ends the streams that `isAffected` picks: what they lead to is no longer allowed, or a drain is over.
    package func resetStreams(_ code: ResetCode, where isAffected: (Destination) -> Bool = { _ in true }) {
        for id in self.locals.keys.sorted() where self.locals[id].map({ isAffected($0.destination) }) == true {
            guard let stream = self.locals.removeValue(forKey: id) else { continue }
            self.environment.metrics.reset(code)
            self.session.reset(id, code)
            stream.socket?.abort()
            stream.report?(.ended(.reset(code)))
        }
        self.planPump()
    }
}

// MARK: - What the link says

extension SessionDriver: LinkOwner {
    func link(_ link: LinkHandler, received bytes: ByteBuffer) {
        guard self.link === link else { return }
        let now = self.environment.now
        self.environment.metrics.bytesIn.increment(by: Int64(bytes.readableBytes))
        self.session.pressure = self.environment.budget.pressure
        self.session.feed(bytes, now: now)
        do {
            while !self.isEnded, let event = try self.session.nextEvent(now: now) { try self.handle(event) }
        } catch {
            self.environment.metrics.violation(error.kind)
            self.end(.violation(error))
        }
    }

    func linkReadCompleted(_ link: LinkHandler) {
        guard self.link === link, !self.isEnded else { return }
        if let sample = self.session.takeRoundTripSample() { self.environment.metrics.roundTripSeconds.record(sample.inSeconds) }
        self.askForWanted()
        self.reportHeartbeat()
        self.flushSockets()
        self.pump()
    }

    func linkBecameWritable(_ link: LinkHandler) {
        if self.link === link { self.pump() }
    }

    func linkClosed(_ link: LinkHandler, cause: LinkLoss) {
        guard self.link === link, !self.isEnded else { return }
        self.link = nil
        // What arrived behind the last complete batch counts as received, and will not come again.
        self.askForWanted()
        self.flushSockets()
        self.environment.metrics.links.decrement()
        self.environment.metrics.linksLost.increment()
        if case .closedByPeer(let close) = cause, !close.code.keepsSession { return self.end(.closedByPeer(close)) }
        self.session.detach(now: self.environment.now)
        self.planTimer()
        self.delegate?.session(self, lostLink: cause)
    }

    private func handle(_ event: SessionEvent) throws(WireError) {
        switch event {
        case .data(let id, let bytes): self.deliver(bytes, to: id)
        case .open(let id, let open): self.streamWanted(id, open)
        case .accepted(let id): self.locals[id]?.report?(.accepted)
        case .opened(let id): self.streamOpened(id)
        case .refused(let id, let refusal): self.streamRefused(id, refusal)
        case .finished(let id): self.locals[id]?.socket?.finishOutputAfterFlush()
        case .reset(let id, let code): self.streamReset(id, code)
        case .control(.gossip) where !(self.delegate is any GossipTaker):
            throw WireError(.unexpected, "GOSSIP from an end that is no peer")
        case .control(let message): self.delegate?.session(self, received: message)
        case .closed(let close): self.linkClosedByPeer(close)
        }
    }

    /// The link is done with at once: what is written from now on belongs on another.
    private func linkClosedByPeer(_ close: Close) {
        guard let link = self.link else { return }
        link.close(nil, cause: .closedByPeer(close))
        self.linkClosed(link, cause: .closedByPeer(close))
    }

    private func deliver(_ bytes: ByteBuffer, to id: StreamID) {
        guard let socket = self.locals[id]?.socket else { return }
        socket.deliver(bytes)
        if !socket.isDirty {
            socket.isDirty = true
            self.dirty.append(socket)
        }
    }

    private func streamWanted(_ id: StreamID, _ open: Open) {
        self.environment.metrics.streamsOpenedByPeer.increment()
        self.locals[id] = LocalStream(open: open, isOpenedHere: false, since: self.environment.now)
        self.wanted.append((id, open))
    }

    /// Has the streams dialled that the peer asked for, except those it has withdrawn in the same breath.
    func askForWanted() {
        guard !self.wanted.isEmpty else { return }
        var wanted: [(id: StreamID, open: Open)] = []
        swap(&wanted, &self.wanted)
        for (id, open) in wanted where self.locals[id] != nil {
            guard let delegate = self.delegate else {
                self.refuse(id, Refusal(.unreachable, "nobody serves this session"))
                continue
            }
            delegate.session(self, asks: id, for: open)
        }
        wanted.removeAll(keepingCapacity: true)
        if self.wanted.isEmpty { swap(&wanted, &self.wanted) }
    }

    /// Says what the heartbeat found, when it is news.
    func reportHeartbeat() {
        let answered = self.session.answeredPing
        let isLate = self.session.isSuspect(now: self.environment.now)
        guard answered != self.lastHeartbeat?.answeredPing || isLate != self.lastHeartbeat?.isLate else { return }
        let report = HeartbeatReport(roundTrip: self.session.roundTrip, isLate: isLate, answeredPing: answered)
        self.lastHeartbeat = report
        self.delegate?.session(self, heartbeat: report)
    }

    private func streamOpened(_ id: StreamID) {
        guard let index = self.locals.index(forKey: id) else { return }
        self.environment.metrics.openSeconds.record((self.environment.now - self.locals.values[index].since).inSeconds)
        self.locals.values[index].isOpen = true
        let report = self.locals.values[index].report.take()
        report?(.ended(.opened))
        if let stream = self.locals[id], stream.socket == nil { self.cancel(id) }
    }

    private func streamRefused(_ id: StreamID, _ refusal: Refusal) {
        guard let stream = self.locals.removeValue(forKey: id) else { return }
        self.environment.metrics.refused(refusal.code)
        stream.socket?.abort()
        stream.report?(.ended(.refused(refusal)))
    }

    private func streamReset(_ id: StreamID, _ code: ResetCode) {
        guard let stream = self.locals.removeValue(forKey: id) else { return }
        self.environment.metrics.reset(code)
        stream.socket?.abort()
        stream.report?(.ended(.reset(code)))
    }

    private func flushSockets() {
        // Flushing may close a socket and come back here; it never adds to the list.
        var sockets: [StreamSocket] = []
        swap(&sockets, &self.dirty)
        for socket in sockets { socket.flush() }
        sockets.removeAll(keepingCapacity: true)
        if self.dirty.isEmpty { swap(&sockets, &self.dirty) }
    }
}
