import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// Turns local connections into streams of the best of several sessions: the driver of `HedgedOpener`.
///
/// Everything is on one event loop. Its owner says which sessions there are and what happens to them; what the sessions
/// answer to an OPEN comes here by itself.
package final class StreamOpener {
    /// A local connection that is not a stream yet.
    private struct Pending {
        let socket: StreamSocket
        let open: Open
        /// Told once if there will be no stream.
        let onRefusal: (Refusal) -> Void
        /// What was asked for, by path.
        var streams: [PathID: StreamID] = [:]
        /// Bytes of the socket that are charged to the memory budget until a session charges them.
        var charged = 0
    }

    package private(set) var opener: HedgedOpener
    private let environment: TransportEnvironment
    private var sessions: [PathID: SessionDriver] = [:]
    /// Paths to other servers, which pass the stream on.
    private var relays: Set<PathID> = []
    private var pending: [OpeningID: Pending] = [:]
    private var lastPath: UInt64 = 0
    private var timer: Scheduled<Void>?
    private var timerAt: Moment?
    private var isActing = false
    private var heldBefore = 0
    /// Called when a connection begins to wait because no session is up.
    package var onHold: (() -> Void)?
    /// Called when a server to which a stream was relayed does not hold the client.
    package var onNotHere: ((PathID) -> Void)?

    package init(environment: TransportEnvironment) {
        self.environment = environment
        self.opener = HedgedOpener(isHedging: environment.isHedging)
    }

    // MARK: Connections

    /// Finds a stream for `socket`; if there is none, the connection is reset and `onRefusal` told why.
    package func open(_ open: Open, for socket: StreamSocket, onRefusal: @escaping (Refusal) -> Void) {
        guard self.environment.budget.pressure == .none else {
            socket.abandon()
            return onRefusal(Refusal(.busy, "the memory budget is nearly used up"))
        }
        let id = self.opener.open(open.destination, now: self.environment.now)
        self.pending[id] = Pending(socket: socket, open: open, onRefusal: onRefusal)
        socket.onEarlyEnd = { [weak self] in self?.abandoned(id) }
        socket.onEarlyBytes = { [weak self] in self?.charge($0, to: id) }
        self.act()
    }

    /// A program that sends and finishes at once is read to its end, whether or not there is a stream for it.
    private func charge(_ bytes: Int, to id: OpeningID) {
        guard self.pending[id] != nil else { return }
        self.pending[id]?.charged += bytes
        self.environment.budget.adjust(by: bytes)
    }

    private func take(_ id: OpeningID) -> Pending? {
        guard let pending = self.pending.removeValue(forKey: id) else { return nil }
        pending.socket.onEarlyBytes = nil
        if pending.charged > 0 { self.environment.budget.adjust(by: -pending.charged) }
        return pending
    }

    /// Connections that are not streams yet.
    package var pendingCount: Int { self.pending.count }
    /// Connections that wait for a session.
    package var heldCount: Int { self.opener.held }

    /// Gives up on every connection that is not a stream yet.
    package func close() {
        for id in self.pending.keys.sorted() {
            self.pending[id]?.socket.abandon()
            self.abandoned(id)
        }
        self.timer?.cancel()
    }

    /// Hands over the connections that are not streams yet. What was asked for is withdrawn; the next process asks again.
    package func freeze() -> [FrozenConnection] {
        self.timer?.cancel()
        var frozen: [FrozenConnection] = []
        for id in self.pending.keys.sorted() {
            guard let pending = self.take(id) else { continue }
            for (path, stream) in pending.streams { self.sessions[path]?.cancel(stream) }
            pending.socket.onEarlyEnd = nil
            guard var socket = pending.socket.freeze() else { continue }
            // Nobody was told of the end: it is noticed again.
            socket.sawEnd = false
            frozen.append(
                FrozenConnection(
                    id: 0, open: pending.open, isOpenedHere: true, isOpen: false, age: .zero, socket: socket))
        }
        self.opener = HedgedOpener(isHedging: self.environment.isHedging)
        return frozen
    }

    private func abandoned(_ id: OpeningID) {
        guard let pending = self.take(id) else { return }
        for (path, stream) in pending.streams { self.sessions[path]?.cancel(stream) }
        self.change { opener, _ in opener.abandon(id) }
    }

    // MARK: Sessions

    /// A session with a link; gives the name by which it is spoken of from now on. `rank` is random, or says which of
    /// several sessions to prefer.
    /// - Parameter isRelay: the other end is a server that passes streams on: it is asked where no session of this end's own
    ///   is well, whatever the round trips say.
    package func began(_ session: SessionDriver, rank: UInt64, isRelay: Bool = false) -> PathID {
        self.lastPath += 1
        let path = PathID(self.lastPath)
        self.sessions[path] = session
        if isRelay { self.relays.insert(path) }
        self.change { $0.pathBegan(path, rank: rank, preference: isRelay ? .second : .first, now: $1) }
        return path
    }

    package func linked(_ path: PathID) { self.change { $0.pathLinked(path, now: $1) } }
    package func lost(_ path: PathID) { self.change { $0.pathLost(path, now: $1) } }

    package func ended(_ path: PathID) {
        self.sessions[path] = nil
        self.relays.remove(path)
        self.change { $0.pathEnded(path, now: $1) }
    }

    package func offers(_ path: PathID, _ services: Services) {
        var offers: [Destination: Offer] = [:]
        for service in services.services {
            offers[.service(service.name)] = Offer(isHealthy: service.isHealthy, mayHedgeDial: service.mayHedgeDial)
        }
        self.change { $0.path(path, offers: offers, now: $1) }
    }

    package func drains(_ path: PathID, _ drains: Bool) { self.change { $0.path(path, drains: drains, now: $1) } }

    /// A server that passes streams on is about to stop, or is not any more: it is asked when nobody else is left.
    package func retires(_ relay: PathID, _ retires: Bool) {
        self.change { opener, _ in opener.path(relay, preference: retires ? .last : .second) }
    }

    package func heartbeat(_ path: PathID, _ report: HeartbeatReport) {
        self.change {
            $0.path(
                path, roundTrip: report.roundTrip, isLate: report.isLate, answeredPing: report.answeredPing, now: $1)
        }
    }

    /// New streams go there from now on.
    package func prefer(_ path: PathID) { self.change { opener, _ in opener.prefer(path) } }

    /// Whether all new streams go there, as far as it serves them.
    package func isPreferred(_ path: PathID) -> Bool { self.opener.choice.isPreferred(path) }

    /// For so long a new session is worth waiting for.
    package func expectSession(for span: Duration) {
        self.change { opener, now in opener.expectsSessionUntil = now + span }
    }

    /// Whether new streams go there at present.
    package func isActive(_ path: PathID) -> Bool { self.opener.choice.isActive(path) }
    /// Whether it is not known to answer.
    package func isSuspect(_ path: PathID) -> Bool { self.opener.isSuspect(path) }

    private func change(_ body: (inout HedgedOpener, Moment) -> Void) {
        body(&self.opener, self.environment.now)
        self.act()
    }

    // MARK: Actions

    private func act() {
        // What an action brings about may come back here; the loop below goes on with it.
        guard !self.isActing else { return }
        self.isActing = true
        defer { self.announceHeld() }
        while let action = self.opener.nextAction() { self.perform(action) }
        self.isActing = false
        self.planTimer()
    }

    private func announceHeld() {
        let held = self.opener.held
        defer { self.heldBefore = held }
        if held > self.heldBefore { self.onHold?() }
    }

    private func perform(_ action: HedgedOpener.Action) {
        switch action {
        case .open(let id, let path, let reason): self.request(id, path, reason)
        case .cancel(let id, let path):
            if let stream = self.pending[id]?.streams.removeValue(forKey: path) { self.sessions[path]?.cancel(stream) }
        case .win(let id, let path):
            guard let pending = self.take(id) else { return }
            guard let stream = pending.streams[path], let session = self.sessions[path] else { return pending.socket.abandon() }
            session.adopt(stream, pending.socket)
        case .fail(let id, let refusal):
            guard let pending = self.take(id) else { return }
            pending.socket.abandon()
            pending.onRefusal(refusal)
        case .probe(let path): self.sessions[path]?.probe()
        }
    }

    private func request(_ id: OpeningID, _ path: PathID, _ reason: AttemptReason) {
        guard let pending = self.pending[id], let session = self.sessions[path] else {
            return self.opener.refused(
                id, by: path, Refusal(.unreachable, "the session has ended"), isAnswer: false, now: self.environment.now)
        }
        self.environment.metrics.attempted(reason)
        do throws(Refusal) {
            var open = pending.open
            open.isRelayed = self.relays.contains(path)
            let stream = try session.request(open) { [weak self] in self?.heard($0, id, path) }
            self.pending[id]?.streams[path] = stream
        } catch {
            self.opener.refused(id, by: path, error, isAnswer: false, now: self.environment.now)
        }
    }

    private func heard(_ progress: OpenProgress, _ id: OpeningID, _ path: PathID) {
        let now = self.environment.now
        switch progress {
        case .accepted: self.opener.accepted(id, by: path, now: now)
        case .ended(.opened): self.opener.opened(id, by: path, now: now)
        case .ended(.refused(let refusal)):
            self.pending[id]?.streams[path] = nil
            // This end's own patience with a silent session is no answer.
            self.opener.refused(id, by: path, refusal, isAnswer: refusal.code != .timedOut, now: now)
            if refusal.code == .notHere { self.onNotHere?(path) }
        case .ended(.reset(let code)):
            self.pending[id]?.streams[path] = nil
            // The end of a session is told by itself in a moment, when it is known whether another may come.
            if self.sessions[path]?.isEnded == true { return }
            self.opener.refused(
                id, by: path, Refusal(.unreachable, "the stream was reset (\(code.label))"), isAnswer: true, now: now)
        }
        self.act()
    }

    // MARK: Time

    private func planTimer() {
        guard let wanted = self.opener.nextTimer else { return }
        if let timerAt = self.timerAt, timerAt <= wanted { return }
        self.timer?.cancel()
        self.timerAt = wanted
        let wait = max(0, wanted.nanoseconds - self.environment.now.nanoseconds)
        self.timer = self.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) { [weak self] in
            guard let self else { return }
            self.timerAt = nil
            self.change { $0.onTimer(now: $1) }
        }
    }
}
