import Timing
import TunnelWire

/// Who belongs to the cluster and answers: SWIM with Lifeguard's ideas, as one server sees it.
///
/// `alive(n) < suspect(n) < alive(n+1)`, and `dead(n)` beats both at n: see `MemberRecord`. Members are probed in turn,
/// directly and through others; one that does not answer is suspected, which it may refute, and declared dead when it does
/// not. A broken link with nobody listening behind it is evidence that shortens all this. Sans-IO: an event goes in with the
/// time, actions come out.
package struct Membership: Sendable {
    let configuration: MembershipConfiguration
    /// What this server says of itself.
    var me: MemberRecord
    /// The others.
    var records: [ServerName: MemberRecord] = [:]
    /// Their names, sorted.
    var names: [ServerName] = []
    /// The peers with a control link.
    var links: Set<ServerName> = []
    /// Those of them that have told on their present link whom they know.
    var synced: Set<ServerName> = []

    var inquiries: [ServerName: Inquiry] = [:]
    var errands: [Errand] = []
    var news = NewsQueue()
    var health = LocalHealth()
    /// Who is probed next: taken from the end, shuffled anew when it is empty.
    var round: [ServerName] = []
    var nextTick: Moment
    var nextSync: Moment
    var lastSequence: UInt64 = 0
    /// Chooses among equals in turn; where it begins differs from server to server.
    var turn: Int
    /// A probe failed, and those asked to help said nothing in time.
    var hasMissedNacks = false
    /// Suspicions have to be measured anew: somebody's state changed.
    var mustMeasure = false
    /// What the present event leads to.
    var actions: [MembershipAction] = []

    /// - Parameter incarnation: of this life: its generation is on disk and was never used before.
    package init(
        own name: ServerName, addresses: [PeerAddress], id: WireID, instance: WireID, incarnation: Incarnation,
        configuration: MembershipConfiguration = MembershipConfiguration(), now: Moment
    ) {
        self.configuration = configuration
        self.me = MemberRecord(name: name, addresses: addresses, id: id, instance: instance, incarnation: incarnation)
        self.nextTick = now + configuration.probeInterval
        self.nextSync = now + configuration.syncInterval
        self.turn = Int(instance.low % 1_021)
    }

    /// This server's own incarnation.
    package var own: Incarnation { self.me.incarnation }

    /// All members by name, this server and the dead that are remembered included.
    package var members: [MemberView] {
        var views = self.names.compactMap { self.records[$0]?.view }
        let place = views.firstIndex { self.me.name < $0.name } ?? views.endIndex
        views.insert(self.me.view, at: place)
        return views
    }

    /// Nil for a name that was never heard of.
    package func state(of name: ServerName) -> MemberView.State? {
        name == self.me.name ? self.me.state : self.records[name]?.state
    }

    /// The peer has told on its present link whom it knows.
    package func hasSynced(with name: ServerName) -> Bool { self.synced.contains(name) }

    /// When `onTimer` is due; nil after `leave`.
    package var deadline: Moment? {
        guard self.me.state != .left else { return nil }
        var deadline: Moment? = self.nextTick
        for inquiry in self.inquiries.values { deadline = Moment.earlier(deadline, inquiry.deadline) }
        for errand in self.errands { deadline = Moment.earlier(deadline, errand.deadline) }
        return deadline
    }

    // MARK: Events

    /// The deadline has come.
    package mutating func onTimer(now: Moment, rng: inout some RandomNumberGenerator) -> [MembershipAction] {
        guard self.begin(now) else { return [] }
        self.endErrands(now)
        for name in self.inquiries.keys.sorted() { self.pursue(name, now) }
        if now >= self.nextTick { self.tick(now, &rng) }
        return self.end(now)
    }

    /// A peer has said something on its control link.
    package mutating func received(
        _ message: MembershipMessage, from name: ServerName, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [MembershipAction] {
        guard name != self.me.name else { return [] }
        guard self.begin(now) else { return self.answerAfterGoodBye(message, from: name, now) }
        for update in message.updates { self.hear(update, from: name, now) }
        self.signOfLife(of: name, now)
        self.answer(message, from: name, now)
        return self.end(now)
    }

    /// The first control link with a peer is up.
    package mutating func linked(
        _ peer: PeerIdentity, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [MembershipAction] {
        guard peer.name != self.me.name, self.begin(now) else { return [] }
        self.links.insert(peer.name)
        self.signOfLife(of: peer.name, now)
        self.sendTable(to: peer.name, wantsAnswer: false, now)
        return self.end(now)
    }

    /// The last control link with a peer is gone.
    package mutating func unlinked(
        _ name: ServerName, _ ending: LinkEnding, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [MembershipAction] {
        self.links.remove(name)
        self.synced.remove(name)
        guard self.begin(now) else { return [] }
        self.refuseErrands(to: name, now)
        if self.isInQuestion(name, now) {
            switch ending {
            case .announced: break
            case .broken: self.gatherEvidence(of: name, now)
            case .silent: self.failed(name, now)
            }
        }
        return self.end(now)
    }

    /// A member's address was dialled, and nobody listens there.
    package mutating func dialRefused(
        _ name: ServerName, now: Moment, rng: inout some RandomNumberGenerator
    ) -> [MembershipAction] {
        guard self.begin(now) else { return [] }
        // With a link it is there, whatever its address says.
        if self.isInQuestion(name, now), !self.links.contains(name) {
            if self.inquiries[name]?.evidence == nil {
                self.gatherEvidence(of: name, now)
            } else {
                self.inquiries[name]?.evidence?.isRefused = true
                self.weighEvidence(of: name, now)
            }
        }
        return self.end(now)
    }

    /// This server stops: it says good-bye to all. It probes nobody any more.
    package mutating func leave(now: Moment) -> [MembershipAction] {
        guard self.begin(now) else { return [] }
        self.me.state = .left
        self.me.until = now + self.configuration.memory
        self.inquiries = [:]
        self.errands = []
        return self.tellAll(now)
    }

    /// This server will be back by then: nobody is to suspect it until that moment.
    package mutating func restarting(until: Moment, now: Moment) -> [MembershipAction] {
        guard self.begin(now) else { return [] }
        self.me.state = .restarting
        self.me.until = until
        self.me.incarnation.counter += 1
        return self.tellAll(now)
    }

    // MARK: Around each event

    /// False after `leave`.
    private mutating func begin(_ now: Moment) -> Bool {
        guard self.me.state != .left else { return false }
        self.noticeLateness(now)
        return true
    }

    private mutating func end(_ now: Moment) -> [MembershipAction] {
        if self.mustMeasure { self.measureSuspicions(now) }
        if self.hasMissedNacks { self.worsenHealth(now) }
        self.hasMissedNacks = false
        self.mustMeasure = false
        defer { self.actions = [] }
        return self.actions
    }

    /// Every link's peer hears what this server says of itself: it will not be there to repeat it.
    private mutating func tellAll(_ now: Moment) -> [MembershipAction] {
        self.actions.append(.changed(self.me.view))
        for name in self.links.sorted() { self.send(.gossip(updates: [self.me.update(now: now)]), to: name) }
        return self.end(now)
    }

    private mutating func answerAfterGoodBye(
        _ message: MembershipMessage, from name: ServerName, _ now: Moment
    ) -> [MembershipAction] {
        guard case .ping(let sequence, _) = message else { return [] }
        return [.send(.ack(sequence: sequence, updates: [self.me.update(now: now)]), to: name)]
    }

    mutating func worsenHealth(_ now: Moment) {
        self.health.worsen(now: now, spacing: self.configuration.probeInterval, limit: self.configuration.healthLimit)
    }

    var multiplier: Int { self.health.multiplier(limit: self.configuration.healthLimit) }
}
