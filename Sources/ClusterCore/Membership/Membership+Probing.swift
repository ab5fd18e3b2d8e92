import Timing
import TunnelWire

/// Asking members whether they are there, directly and through others.
extension Membership {
    /// Every probe interval.
    mutating func tick(_ now: Moment, _ rng: inout some RandomNumberGenerator) {
        self.nextTick = now + self.configuration.probeInterval * self.multiplier
        if self.me.state == .restarting, let until = self.me.until, until <= now { self.resume(now) }
        for name in self.links.subtracting(self.synced).sorted() { self.sendTable(to: name, wantsAnswer: true, now) }
        if now >= self.nextSync {
            self.nextSync = now + self.configuration.syncInterval
            self.forget(now)
            if let peer = self.synced.sorted().randomElement(using: &rng) { self.sendTable(to: peer, wantsAnswer: true, now) }
        }
        self.probeNext(now, &rng)
    }

    /// The announced restart did not take place.
    private mutating func resume(_ now: Moment) {
        self.me.state = .alive
        self.me.until = nil
        self.me.incarnation.counter += 1
        self.announce(now)
    }

    private mutating func forget(_ now: Moment) {
        let forgotten = self.names.filter { name in
            guard let record = self.records[name], record.isGone, let until = record.until else { return false }
            return until <= now && !self.links.contains(name)
        }
        guard !forgotten.isEmpty else { return }
        for name in forgotten {
            self.records[name] = nil
            self.inquiries[name] = nil
            self.news.remove(name)
        }
        self.names.removeAll { self.records[$0] == nil }
    }

    private mutating func probeNext(_ now: Moment, _ rng: inout some RandomNumberGenerator) {
        guard !self.names.isEmpty else { return }
        var wanted = max(1, min(self.names.count, self.configuration.probeBudget / self.names.count))
        var looked = 0
        // Who is met twice, at the end of one round and in the next, is probed once.
        while wanted > 0, looked < 2 * self.names.count {
            if self.round.isEmpty { self.round = self.names.shuffled(using: &rng) }
            looked += 1
            guard let name = self.round.popLast(), self.mayBeProbed(name, now) else { continue }
            self.beginProbe(of: name, now)
            wanted -= 1
        }
    }

    private func mayBeProbed(_ name: ServerName, _ now: Moment) -> Bool {
        guard let record = self.records[name], self.inquiries[name]?.probe == nil else { return false }
        // A dead one that has a link may have come back without having heard that it is thought dead.
        if record.isGone { return record.state == .dead && self.links.contains(name) }
        return !record.isExcused(now: now)
    }

    mutating func beginProbe(of name: ServerName, _ now: Moment) {
        self.lastSequence += 1
        let hasLink = self.links.contains(name)
        let probe = Probe(
            sequence: self.lastSequence,
            indirectAt: hasLink ? now + self.configuration.indirectAfter * self.multiplier : now,
            deadline: now + self.configuration.probeTimeout * self.multiplier)
        self.inquiries[name, default: Inquiry()].probe = probe
        if hasLink {
            self.send(.ping(sequence: probe.sequence, updates: self.newsFor(name, now)), to: name)
        } else {
            self.askHelpers(about: name, now)
        }
    }

    /// Does what is due for one member.
    mutating func pursue(_ name: ServerName, _ now: Moment) {
        if let end = self.inquiries[name]?.evidence?.windowEnd, end <= now {
            self.inquiries[name]?.evidence?.windowEnd = nil
            self.weighEvidence(of: name, now)
        }
        if let suspicion = self.inquiries[name]?.suspicion, suspicion.deadline <= now {
            self.endSuspicion(suspicion, of: name, now)
        }
        if let at = self.inquiries[name]?.probe?.indirectAt, at <= now { self.askHelpers(about: name, now) }
        if let probe = self.inquiries[name]?.probe, probe.deadline <= now {
            if self.isLate(probe) { self.hasMissedNacks = true }
            self.inquiries[name]?.probe = nil
            self.failed(name, now)
            self.dropIfIdle(name)
        }
    }

    /// None of the helpers said in time that it had no answer either, although one of them talks to this server: what is
    /// heard here is heard late. Helpers that say nothing at all may be gone themselves.
    private func isLate(_ probe: Probe) -> Bool {
        guard probe.nacks.isEmpty, let asked = probe.askedAt else { return false }
        return probe.helpers.contains { name in
            guard let heard = self.records[name]?.heardAt else { return false }
            return heard > asked
        }
    }

    private mutating func askHelpers(about name: ServerName, _ now: Moment) {
        guard let probe = self.inquiries[name]?.probe else { return }
        self.inquiries[name]?.probe?.indirectAt = nil
        guard self.records[name]?.isGone == false else { return }
        let helpers = self.someLinked(self.configuration.indirectProbes, besides: name) { $0?.state == .alive }
        self.inquiries[name]?.probe?.helpers = helpers
        self.inquiries[name]?.probe?.askedAt = now
        for helper in helpers {
            self.send(.pingRequest(sequence: probe.sequence, target: name, updates: self.newsFor(helper, now)), to: helper)
        }
    }

    // MARK: Answers

    mutating func answer(_ message: MembershipMessage, from peer: ServerName, _ now: Moment) {
        switch message {
        case .ping(let sequence, _):
            self.send(.ack(sequence: sequence, updates: self.newsFor(peer, now)), to: peer)
        case .ack(let sequence, _):
            self.finishErrands(to: peer, sequence: sequence, now)
        case .pingRequest(let sequence, let target, _):
            self.runErrand(for: peer, sequence: sequence, target: target, now)
        case .indirectAck(let sequence, let target, _):
            guard let inquiry = self.inquiries[target] else { return }
            guard inquiry.probe?.sequence == sequence || inquiry.evidence?.sequence == sequence else { return }
            self.reached(target, now)
        case .indirectNack(let sequence, let target, _, _):
            if self.inquiries[target]?.probe?.sequence == sequence { self.inquiries[target]?.probe?.nacks.insert(peer) }
            if self.inquiries[target]?.evidence?.sequence == sequence {
                self.inquiries[target]?.evidence?.unreachable.insert(peer)
                self.weighEvidence(of: target, now)
            }
        case .gossip: break
        case .sync(_, let wantsAnswer):
            self.synced.insert(peer)
            if wantsAnswer { self.sendTable(to: peer, wantsAnswer: false, now) }
        }
    }

    // MARK: Errands

    /// So many pings for others at a time.
    private static var errandLimit: Int { 512 }

    private mutating func runErrand(for peer: ServerName, sequence: UInt64, target: ServerName, _ now: Moment) {
        if target == self.me.name {
            return self.send(.indirectAck(sequence: sequence, target: target, updates: self.newsFor(peer, now)), to: peer)
        }
        guard self.links.contains(target), self.errands.count < Self.errandLimit else {
            let hasLink = self.links.contains(target)
            let nack = MembershipMessage.indirectNack(
                sequence: sequence, target: target, hasLink: hasLink, updates: self.newsFor(peer, now))
            return self.send(nack, to: peer)
        }
        self.lastSequence += 1
        self.errands.append(
            Errand(
                requester: peer, requestSequence: sequence, target: target, sequence: self.lastSequence,
                deadline: now + self.configuration.errandTimeout))
        self.send(.ping(sequence: self.lastSequence, updates: self.newsFor(target, now)), to: target)
    }

    private mutating func finishErrands(to target: ServerName, sequence: UInt64, _ now: Moment) {
        let done = self.takeErrands { $0.target == target && $0.sequence == sequence }
        for errand in done {
            let updates = self.newsFor(errand.requester, now)
            self.send(.indirectAck(sequence: errand.requestSequence, target: target, updates: updates), to: errand.requester)
        }
    }

    /// The link to `target` is gone.
    mutating func refuseErrands(to target: ServerName, _ now: Moment) {
        self.takeErrands { $0.requester == target }
        self.giveUp(self.takeErrands { $0.target == target }, hasLink: false, now)
    }

    mutating func endErrands(_ now: Moment) { self.giveUp(self.takeErrands { $0.deadline <= now }, hasLink: true, now) }

    private mutating func giveUp(_ errands: [Errand], hasLink: Bool, _ now: Moment) {
        for errand in errands {
            let nack = MembershipMessage.indirectNack(
                sequence: errand.requestSequence, target: errand.target, hasLink: hasLink,
                updates: self.newsFor(errand.requester, now))
            self.send(nack, to: errand.requester)
        }
    }

    @discardableResult
    private mutating func takeErrands(where isMeant: (Errand) -> Bool) -> [Errand] {
        guard !self.errands.isEmpty else { return [] }
        let taken = self.errands.filter(isMeant)
        if !taken.isEmpty { self.errands.removeAll(where: isMeant) }
        return taken
    }
}
