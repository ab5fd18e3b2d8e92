import DequeModule
import HeapModule
import Timing
import TunnelWire

/// Opens streams by the best of several sessions, and by a second one where the first does not answer in time (Dean
/// and Barroso, "The Tail at Scale", 2013). Sans-IO.
///
/// Hand it what happened, then pull `nextAction` until it has no more. Application data waits for `win`, so an attempt
/// that loses leaves no trace but a connection that was dialled in vain.
///
/// ```
///          ┌── no session ──→ held ── a link comes ──┐
/// open ────┤                                         ├──→ asked ── OPENED ──→ win (the others are cancelled)
///          └─────────────────────────────────────────┘      │
///                       no ACCEPTED in time: asked elsewhere too
///                       REFUSED, link lost: asked elsewhere at once; nowhere left ──→ fail
/// ```
package struct HedgedOpener: Sendable {
    package enum Action: Equatable, Sendable {
        /// Send OPEN by this path. Report `accepted`, `opened`, `refused`.
        case open(OpeningID, PathID, AttemptReason)
        /// Withdraw what was sent by this path: RESET(cancelled).
        case cancel(OpeningID, PathID)
        /// The local connection becomes the stream that was opened by this path. The last that is said of an opening.
        case win(OpeningID, PathID)
        /// There will be no stream for the local connection. The last that is said of an opening.
        case fail(OpeningID, Refusal)
        /// Find out whether the other end of this path still answers: send a PING now.
        case probe(PathID)
    }

    /// An entry of the queue of times; it may be out of date.
    private struct Due: Comparable, Sendable {
        var at: Moment
        var opening: OpeningID

        static func < (left: Due, right: Due) -> Bool { (left.at, left.opening) < (right.at, right.opening) }
    }

    package internal(set) var choice = PathChoice()
    /// Until then a new session may come that is worth waiting for.
    package var expectsSessionUntil: Moment?
    private var openings: [OpeningID: Opening] = [:]
    private var actions: Deque<Action> = []
    private var timers = Heap<Due>()
    private var budget = DialHedgeBudget()
    private var dialTimes: [Destination: Duration] = [:]
    private var lastID: UInt64 = 0
    private var heldCount = 0

    /// How many connections may wait for a session at a time.
    package static let holdCount = 1_024

    /// Whether a second path is asked when the first one does not answer in time; tests switch it off.
    private let isHedging: Bool

    package init(isHedging: Bool = true) { self.isHedging = isHedging }

    package mutating func nextAction() -> Action? { self.actions.popFirst() }

    /// How many connections wait for a session.
    package var held: Int { self.heldCount }

    /// Whether the other end of a path may not answer.
    package func isSuspect(_ path: PathID) -> Bool { self.choice[path]?.isSuspect ?? false }

    /// Openings that are neither won nor failed.
    package var pending: Int { self.openings.count }

    // MARK: The local side

    /// A local connection wants a stream.
    package mutating func open(_ destination: Destination, now: Moment) -> OpeningID {
        self.lastID += 1
        let id = OpeningID(rawValue: self.lastID)
        self.openings[id] = Opening(destination: destination, since: now)
        self.budget.opened(destination)
        self.proceed(id, now)
        return id
    }

    /// The local connection is gone.
    package mutating func abandon(_ id: OpeningID) {
        guard let opening = self.take(id) else { return }
        for attempt in opening.attempts { self.actions.append(.cancel(id, attempt.path)) }
    }

    // MARK: Answers

    /// The other end has the OPEN and dials.
    package mutating func accepted(_ id: OpeningID, by path: PathID, now: Moment) {
        guard let index = self.attempt(id, path), let attempt = self.openings[id]?.attempts[index],
            attempt.phase == .opening, let destination = self.openings[id]?.destination
        else { return }
        self.choice.update(path) { $0.accepted(after: attempt.wasInterrupted ? nil : now - attempt.since) }
        var patience: Duration?
        if self.choice[path]?.mayHedgeDial(destination) == true {
            patience = Patience.after(self.dialTimes[destination], unknown: .seconds(1))
        }
        self.openings[id]?.wantsHedge = false
        self.openings[id]?.attempts[index].phase = .accepted(at: now)
        self.openings[id]?.attempts[index].patienceEnds = patience.map { now + $0 }
        if patience != nil { self.plan(id) }
    }

    /// The stream is open there: the first to say so wins.
    package mutating func opened(_ id: OpeningID, by path: PathID, now: Moment) {
        guard let index = self.attempt(id, path), let opening = self.take(id) else {
            return self.actions.append(.cancel(id, path))
        }
        let attempt = opening.attempts[index]
        for other in opening.attempts where other.path != path { self.actions.append(.cancel(id, other.path)) }
        self.actions.append(.win(id, path))
        if case .accepted(let at) = attempt.phase, !attempt.wasInterrupted,
            self.choice[path]?.mayHedgeDial(opening.destination) == true
        {
            self.dialTimes[opening.destination] = Patience.smoothed(self.dialTimes[opening.destination], now - at)
        }
        if attempt.reason == .acceptHedge || attempt.reason == .failover {
            self.choice.failedOver(opening.destination, to: path)
        }
    }

    /// The attempt came to nothing: REFUSED, RESET, or the session is over.
    /// - Parameter isAnswer: whether the other end said so; then it is not silent.
    package mutating func refused(
        _ id: OpeningID, by path: PathID, _ refusal: Refusal, isAnswer: Bool = true, now: Moment
    ) {
        guard let index = self.attempt(id, path) else { return }
        self.openings[id]?.attempts.remove(at: index)
        self.openings[id]?.note(refusal)
        if isAnswer { self.choice.update(path) { $0.accepted(after: nil) } }
        self.proceed(id, now)
    }

    // MARK: Time

    /// When `onTimer` should be called next.
    package var nextTimer: Moment? { self.timers.min?.at }

    package mutating func onTimer(now: Moment) {
        while let first = self.timers.min, first.at <= now {
            self.timers.removeMin()
            guard let opening = self.openings[first.opening] else { continue }
            if opening.due <= now { self.timePassed(first.opening, opening, now) }
            if self.openings[first.opening] != nil { self.plan(first.opening) }
        }
    }

    private mutating func timePassed(_ id: OpeningID, _ opening: Opening, _ now: Moment) {
        if now >= opening.deadline {
            return self.fail(id, Refusal(.timedOut, "no answer to OPEN within \(Int(Opening.limit.inSeconds)) s"))
        }
        if let held = opening.heldSince, now >= held + Opening.holdLimit {
            let seconds = Int(Opening.holdLimit.inSeconds)
            return self.fail(id, opening.refusal ?? Refusal(.unreachable, "no server could be reached for \(seconds) s"))
        }
        for attempt in opening.attempts where attempt.patienceEnds.map({ $0 <= now }) == true {
            self.patienceEnded(id, attempt, now)
        }
    }

    private mutating func patienceEnded(_ id: OpeningID, _ attempt: Attempt, _ now: Moment) {
        if let index = self.attempt(id, attempt.path) { self.openings[id]?.attempts[index].patienceEnds = nil }
        guard self.isHedging else { return }
        guard attempt.phase == .opening else { return self.hedgeDial(id, now) }
        self.openings[id]?.wantsHedge = true
        var becameSuspect = false
        self.choice.update(attempt.path) { becameSuspect = $0.missed(now: now) }
        self.hedge(id, now)
        guard becameSuspect else { return }
        self.actions.append(.probe(attempt.path))
        // The others that wait there have no reason to be more patient.
        for other in self.openings.keys.sorted() {
            guard let index = self.attempt(other, attempt.path), self.openings[other]?.attempts[index].phase == .opening,
                self.openings[other]?.attempts[index].patienceEnds != nil
            else { continue }
            self.openings[other]?.attempts[index].patienceEnds = nil
            self.openings[other]?.wantsHedge = true
            self.hedge(other, now)
        }
    }

    /// Asks elsewhere for what was not accepted in time, as soon as there is an elsewhere.
    private mutating func hedge(_ id: OpeningID, _ now: Moment) {
        guard let opening = self.openings[id], opening.wantsHedge,
            let path = self.choice.next(for: opening.destination, besides: opening.tried, onlyFit: true)
        else { return }
        self.openings[id]?.wantsHedge = false
        self.begin(id, path, .acceptHedge, now)
    }

    private mutating func hedgeDial(_ id: OpeningID, _ now: Moment) {
        guard let opening = self.openings[id],
            let path = self.choice.next(for: opening.destination, besides: opening.tried, onlyFit: true),
            self.choice[path]?.isSuspect == false, self.budget.take(opening.destination)
        else { return }
        self.begin(id, path, .dialHedge, now)
    }

    // MARK: Going on

    private mutating func begin(_ id: OpeningID, _ path: PathID, _ reason: AttemptReason, _ now: Moment) {
        self.release(id)
        var attempt = Attempt(path: path, reason: reason, since: now)
        attempt.patienceEnds = now + (self.choice[path]?.acceptPatience ?? .milliseconds(50))
        self.openings[id]?.attempts.append(attempt)
        self.openings[id]?.tried.append(path)
        self.actions.append(.open(id, path, reason))
        self.plan(id)
    }

    /// Sees to it that an opening is asked for somewhere, waits, or fails.
    mutating func proceed(_ id: OpeningID, _ now: Moment) {
        guard let opening = self.openings[id] else { return }
        guard !opening.attempts.contains(where: { self.choice[$0.path]?.isLinked == true }) else { return self.hedge(id, now) }
        if opening.tried.isEmpty, let path = self.choice.first(for: opening.destination) {
            return self.begin(id, path, opening.heldSince == nil ? .first : .held, now)
        }
        if let path = self.choice.next(for: opening.destination, besides: opening.tried) {
            return self.begin(id, path, .failover, now)
        }
        if let refusal = self.reasonNotToWait(opening, now) { return self.fail(id, refusal) }
        self.hold(id, now)
    }

    /// Nil while a link may come that can still serve the opening.
    private func reasonNotToWait(_ opening: Opening, _ now: Moment) -> Refusal? {
        let comesSoon = self.choice.hasUnlinked || self.expectsSessionUntil.map { now < $0 } == true
        if comesSoon || self.choice.paths.isEmpty { return nil }
        // Whoever is looked for was there a moment ago, and may be on its way to another server.
        if opening.refusal?.code == .notHere { return nil }
        if let refusal = opening.refusal { return refusal }
        return self.choice.hasUsable ? nil : Refusal(.draining, "the servers are draining")
    }

    private mutating func hold(_ id: OpeningID, _ now: Moment) {
        guard self.openings[id]?.heldSince == nil else { return }
        guard self.heldCount < Self.holdCount else {
            return self.fail(id, Refusal(.busy, "\(Self.holdCount) connections wait for a session already"))
        }
        self.heldCount += 1
        self.openings[id]?.heldSince = now
        self.plan(id)
    }

    private mutating func release(_ id: OpeningID) {
        guard self.openings[id]?.heldSince != nil else { return }
        self.heldCount -= 1
        self.openings[id]?.heldSince = nil
    }

    private mutating func fail(_ id: OpeningID, _ refusal: Refusal) {
        guard let opening = self.take(id) else { return }
        for attempt in opening.attempts { self.actions.append(.cancel(id, attempt.path)) }
        self.actions.append(.fail(id, refusal))
    }

    private mutating func take(_ id: OpeningID) -> Opening? {
        self.release(id)
        return self.openings.removeValue(forKey: id)
    }

    private func attempt(_ id: OpeningID, _ path: PathID) -> Int? {
        self.openings[id]?.attempts.firstIndex { $0.path == path }
    }

    private mutating func plan(_ id: OpeningID) {
        guard let opening = self.openings[id] else { return }
        self.timers.insert(Due(at: opening.due, opening: id))
    }
}

// MARK: - What happens to the paths

extension HedgedOpener {
    /// A session stands, with a link. `rank` is random.
    package mutating func pathBegan(
        _ path: PathID, rank: UInt64, preference: PathPreference = .first, now: Moment
    ) {
        self.choice.add(path, rank: rank, preference: preference)
        self.pathIsBack(path, now)
    }

    /// Another link carries the session.
    package mutating func pathLinked(_ path: PathID, now: Moment) {
        self.choice.update(path) { $0.relinked() }
        for id in self.openings.keys.sorted() {
            guard let index = self.attempt(id, path) else { continue }
            if self.openings[id]?.attempts[index].phase == .opening {
                self.openings[id]?.attempts[index].patienceEnds = self.choice[path].map { now + $0.acceptPatience }
            }
            self.release(id)
            self.plan(id)
        }
        self.pathIsBack(path, now)
    }

    /// The link is gone; what was asked for there is asked for elsewhere too.
    package mutating func pathLost(_ path: PathID, now: Moment) {
        self.choice.update(path) { $0.isLinked = false }
        for id in self.openings.keys.sorted() {
            guard let index = self.attempt(id, path) else { continue }
            self.openings[id]?.attempts[index].wasInterrupted = true
            self.openings[id]?.attempts[index].patienceEnds = nil
            self.proceed(id, now)
        }
    }

    /// The session is over. Each attempt by it is reported as refused as well, before or after this.
    package mutating func pathEnded(_ path: PathID, now: Moment) {
        self.choice.remove(path)
        for id in self.openings.keys.sorted() where self.attempt(id, path) != nil {
            self.refused(id, by: path, Refusal(.unreachable, "the session has ended"), isAnswer: false, now: now)
        }
    }

    /// What the other end serves; it replaces what it said before.
    package mutating func path(_ path: PathID, offers: [Destination: Offer], now: Moment) {
        self.choice.update(path) { $0.offers = offers }
    }

    /// The other end takes no new streams, or does so again.
    package mutating func path(_ path: PathID, drains: Bool, now: Moment) {
        self.choice.update(path) { $0.isDraining = drains }
        if !drains { self.pathIsBack(path, now) }
    }

    /// How gladly new streams go there.
    package mutating func path(_ path: PathID, preference: PathPreference) {
        self.choice.update(path) { $0.preference = preference }
    }

    /// What the heartbeat says. `answeredPing`: when the last PING that was answered had been sent.
    package mutating func path(
        _ path: PathID, roundTrip: Duration?, isLate: Bool, answeredPing: Moment?, now: Moment
    ) {
        self.choice.update(path) { state in
            state.roundTrip = roundTrip
            state.isHeartbeatLate = isLate
            if let answeredPing { state.answeredPing(sentAt: answeredPing) }
        }
        self.choice.reconsider(now: now)
    }

    /// New streams go there from now on, as far as it serves them.
    package mutating func prefer(_ path: PathID) {
        if self.choice[path] != nil { self.choice.prefer(path) }
    }

    /// Serves those who wait for a path.
    private mutating func pathIsBack(_ path: PathID, _ now: Moment) {
        guard self.choice[path]?.isUsable == true else { return }
        for id in self.openings.keys.sorted() {
            guard let opening = self.openings[id] else { continue }
            if opening.heldSince != nil { self.proceed(id, now) } else if opening.wantsHedge { self.hedge(id, now) }
        }
    }
}
