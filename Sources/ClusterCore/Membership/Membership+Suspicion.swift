import Timing
import TunnelWire

/// What silence and broken links say of a member, and what speaks for it.
extension Membership {
    /// A member did not answer, directly or through others.
    mutating func failed(_ name: ServerName, _ now: Moment) {
        guard let before = self.records[name], self.isInQuestion(name, now) else { return }
        var record = before
        if record.state != .suspect {
            record.state = .suspect
            record.until = nil
            record.suspecters = [self.me.name]
        } else if !record.suspect(by: [self.me.name]) {
            return
        }
        self.replace(before, with: record, now)
        self.spread(name)
        self.broadcast(record.update(now: now), now)
    }

    /// A member's link broke, or it was dialled in vain: the others are asked at once.
    mutating func gatherEvidence(of name: ServerName, _ now: Moment) {
        guard self.inquiries[name]?.evidence == nil else { return }
        // An answer to an earlier request would say nothing of now.
        self.inquiries[name]?.probe = nil
        self.failed(name, now)
        if self.inquiries[name]?.probe == nil { self.beginProbe(of: name, now) }
        guard let probe = self.inquiries[name]?.probe else { return }
        self.inquiries[name]?.evidence = Evidence(
            sequence: probe.sequence, windowEnd: now + self.configuration.evidenceWindow, helpers: probe.helpers)
        self.actions.append(.dial(name))
    }

    mutating func weighEvidence(of name: ServerName, _ now: Moment) {
        guard self.inquiries[name]?.evidence?.isProof == true else { return }
        self.convict(name, now)
    }

    private mutating func convict(_ name: ServerName, _ now: Moment) {
        guard let before = self.records[name], !before.isGone else { return }
        var record = before
        record.state = .dead
        record.suspecters = []
        record.until = now + self.configuration.memory
        self.replace(before, with: record, now)
        self.spread(name)
        self.broadcast(record.update(now: now), now)
        if self.links.contains(name) { self.tell(name, now) }
    }

    // MARK: Life

    /// A member said something itself: it is there.
    mutating func signOfLife(of name: ServerName, _ now: Moment) {
        self.reached(name, now)
        self.records[name]?.heardAt = now
        guard let record = self.records[name], record.state == .suspect || record.isGone else { return }
        // Others suspect it, or take it for dead: it has to contradict.
        self.tell(name, now)
    }

    /// A member was reached, directly or through another.
    mutating func reached(_ name: ServerName, _ now: Moment) {
        guard let inquiry = self.inquiries[name] else { return }
        if inquiry.probe != nil { self.health.improve() }
        self.inquiries[name]?.probe = nil
        self.inquiries[name]?.evidence = nil
        // What others suspect, the member has to contradict; until then it has time again.
        self.inquiries[name]?.suspicion?.restart(now: now)
        if inquiry.suspicion?.isOwn == true, let before = self.records[name], before.state == .suspect {
            self.tell(name, now)
            var record = before
            record.state = .alive
            record.suspecters = []
            self.replace(before, with: record, now)
            // What this server said is not repeated by it.
            self.news.remove(name)
        }
        self.dropIfIdle(name)
    }

    // MARK: Time

    /// A suspected member has not contradicted in time.
    mutating func endSuspicion(_ suspicion: Suspicion, of name: ServerName, _ now: Moment) {
        let late = now - suspicion.deadline
        guard late <= self.configuration.convictionTolerance || suspicion.postponements >= self.configuration.postponements else {
            // This server slept; the contradiction may be waiting to be read.
            self.inquiries[name]?.suspicion?.postponements += 1
            self.inquiries[name]?.suspicion?.postpone(by: late + max(late, self.configuration.readingGrace))
            return
        }
        self.convict(name, now)
    }

    /// How long the suspected members have, by how many share the suspicion and how many there are that could.
    mutating func measureSuspicions(_ now: Moment) {
        guard self.inquiries.values.contains(where: { $0.suspicion != nil }) else { return }
        let others = self.records.values.reduce(0) { $0 + ($1.state == .alive ? 1 : 0) }
        let expected = min(self.configuration.confirmations, others)
        for (name, inquiry) in self.inquiries {
            guard let suspicion = inquiry.suspicion, let record = self.records[name] else { continue }
            let span = Suspicion.span(
                confirmations: max(0, record.suspecters.count - 1), expected: expected, configuration: self.configuration)
            let deadline = suspicion.begun + span * suspicion.multiplier + suspicion.postponement
            // What became due by others' word is due now, not late.
            self.inquiries[name]?.suspicion?.deadline = max(deadline, now)
        }
    }

    /// A timer that fires late tells that this server stood still or starves. What it could not hear meanwhile is not held
    /// against anybody: running probes and suspicions get that time back, after a long sleep all of it.
    mutating func noticeLateness(_ now: Moment) {
        guard let planned = self.deadline, now - planned > self.configuration.latenessTolerance else { return }
        let late = now - planned
        self.worsenHealth(now)
        self.nextTick = max(self.nextTick, now)
        for index in self.errands.indices { self.errands[index].deadline = self.errands[index].deadline + late }
        for name in self.inquiries.keys { self.giveTimeBack(to: name, late, now) }
    }

    private mutating func giveTimeBack(to name: ServerName, _ late: Duration, _ now: Moment) {
        guard var inquiry = self.inquiries[name] else { return }
        let isLong = late > self.configuration.probeInterval
        if var probe = inquiry.probe {
            probe.indirectAt = probe.indirectAt.map { max($0, now + self.configuration.indirectAfter) }
            probe.deadline = isLong ? now + self.configuration.probeTimeout * self.multiplier : probe.deadline + late
            inquiry.probe = probe
        }
        if let end = inquiry.evidence?.windowEnd {
            inquiry.evidence?.windowEnd = isLong ? now + self.configuration.evidenceWindow : end + late
        }
        if var suspicion = inquiry.suspicion, suspicion.postponements < self.configuration.postponements {
            suspicion.postponements += 1
            if isLong { suspicion.restart(now: now) } else { suspicion.postpone(by: late) }
            inquiry.suspicion = suspicion
        }
        self.inquiries[name] = inquiry
    }
}
