import Timing
import TunnelWire

/// What is said of members: heard, merged, passed on.
extension Membership {
    /// Takes in what a peer says of a member.
    mutating func hear(_ update: MemberUpdate, from peer: ServerName, _ now: Moment) {
        guard update.name != self.me.name else { return self.hearOfSelf(update, now) }
        var heard = MemberRecord(update, configuration: self.configuration, now: now)
        guard var record = self.records[update.name] else { return self.meet(heard, now) }
        if self.knowsBetter(than: heard, record, now) {
            // Whoever comes back from where it could reach nobody holds everybody dead. The member is asked, and contradicts.
            (heard.state, heard.until, heard.suspecters) = (.suspect, nil, [peer])
        }
        let before = record
        guard record.merge(heard) else {
            self.records[update.name] = record
            // Of an older life than the one known here: the member may have lost its disk, and has to hear of it.
            if update.name == peer, heard.instance != record.instance { self.tell(peer, now) }
            return
        }
        if update.name == peer, before.incarnation.generation == heard.incarnation.generation, before.instance != heard.instance {
            self.send(.gossip(updates: [before.update(now: now)]), to: peer)
        }
        self.replace(before, with: record, now)
        self.spread(update.name)
    }

    /// Whether a member that another holds dead has just been heard here itself, in this very life of it.
    private func knowsBetter(than heard: MemberRecord, _ record: MemberRecord, _ now: Moment) -> Bool {
        guard heard.state == .dead, record.state == .alive, self.links.contains(record.name),
            heard.incarnation == record.incarnation, heard.instance == record.instance, let last = record.heardAt
        else { return false }
        return now - last <= self.configuration.probeInterval * 2
    }

    /// A member that was not known.
    private mutating func meet(_ record: MemberRecord, _ now: Moment) {
        guard self.records.count + 1 < Limits.clusterMembers else { return }
        if record.isGone, let until = record.until, until <= now { return }
        let place = self.names.firstIndex { record.name < $0 } ?? self.names.endIndex
        self.names.insert(record.name, at: place)
        self.records[record.name] = record
        self.actions.append(.changed(record.view))
        self.mustMeasure = true
        self.follow(record, now)
        self.spread(record.name)
    }

    /// Puts a member's new record in its place, and does what follows from it.
    mutating func replace(_ before: MemberRecord, with record: MemberRecord, _ now: Moment) {
        self.records[record.name] = record
        self.mustMeasure = true
        if before.view != record.view { self.actions.append(.changed(record.view)) }
        if before.incarnation != record.incarnation { self.inquiries[record.name]?.suspicion = nil }
        self.follow(record, now)
    }

    private mutating func follow(_ record: MemberRecord, _ now: Moment) {
        let name = record.name
        switch record.state {
        case .dead, .left, .restarting:
            self.inquiries[name] = nil
        case .alive:
            self.inquiries[name]?.suspicion = nil
            self.inquiries[name]?.evidence = nil
            self.dropIfIdle(name)
        case .suspect:
            guard self.inquiries[name]?.suspicion == nil else { return }
            self.inquiries[name, default: Inquiry()].suspicion = Suspicion(
                begun: now, isOwn: record.suspecters == [self.me.name], multiplier: self.multiplier)
            // Whether it is silent here too decides how long it has.
            if self.inquiries[name]?.probe == nil { self.beginProbe(of: name, now) }
        }
    }

    func isInQuestion(_ name: ServerName, _ now: Moment) -> Bool {
        guard let record = self.records[name] else { return false }
        return !record.isGone && !record.isExcused(now: now)
    }

    mutating func dropIfIdle(_ name: ServerName) {
        if self.inquiries[name]?.isEmpty == true { self.inquiries[name] = nil }
    }

    // MARK: Of this server itself

    /// What others say of this server. Whatever is wrong it contradicts with a higher incarnation.
    private mutating func hearOfSelf(_ update: MemberUpdate, _ now: Moment) {
        let heard = MemberRecord(update, configuration: self.configuration, now: now)
        guard heard.incarnation.generation >= self.own.generation else { return }
        if heard.incarnation.generation > self.own.generation || heard.instance != self.me.instance || heard.state == .left {
            let highest = min(heard.incarnation.generation, Limits.incarnation - 1)
            self.me.incarnation = Incarnation(generation: highest + 1)
            self.actions.append(.raisedGeneration(highest + 1))
            self.announce(now)
        } else if heard.incarnation.counter > self.own.counter
            || heard.incarnation.counter == self.own.counter
                && MemberRecord.badness(heard.state) > MemberRecord.badness(self.me.state)
        {
            self.me.incarnation.counter = min(heard.incarnation.counter, Limits.incarnation - 1) + 1
            self.announce(now)
        }
    }

    /// Tells everybody what this server says of itself now.
    mutating func announce(_ now: Moment) {
        self.actions.append(.changed(self.me.view))
        self.spread(self.me.name)
        self.broadcast(self.me.update(now: now), now)
    }

    // MARK: Passing on

    mutating func send(_ message: MembershipMessage, to name: ServerName) { self.actions.append(.send(message, to: name)) }

    /// Has news of a member ride along with the next messages.
    mutating func spread(_ name: ServerName) {
        self.news.put(name, times: NewsQueue.repetitions(members: self.names.count + 1))
    }

    /// Tells up to `fanOut` peers at once.
    mutating func broadcast(_ update: MemberUpdate, _ now: Moment) {
        for name in self.someLinked(self.configuration.fanOut, besides: update.name) {
            self.send(.gossip(updates: [update]), to: name)
        }
    }

    /// Tells a member what is said of it, so that it can contradict; not with every message.
    mutating func tell(_ name: ServerName, _ now: Moment) {
        guard let record = self.records[name] else { return }
        if let last = record.toldAt, now < last + self.configuration.probeInterval / 2 { return }
        self.records[name]?.toldAt = now
        self.send(.gossip(updates: [record.update(now: now)]), to: name)
    }

    /// News for a message to this member; first what is said of itself, when it should contradict.
    mutating func newsFor(_ name: ServerName, _ now: Moment) -> [MemberUpdate] {
        var updates: [MemberUpdate] = []
        if let record = self.records[name], record.state == .suspect || record.isGone { updates.append(record.update(now: now)) }
        guard !self.news.isEmpty else { return updates }
        let (me, records) = (self.me, self.records)
        let update = { (member: ServerName) in (member == me.name ? me : records[member])?.update(now: now) }
        let taken = self.news.take(count: Self.newsPerMessage, room: MembershipMessage.updateRoom / 2) {
            update($0)?.encodedLength ?? 0
        }
        // What is said of itself is in front already.
        return updates + taken.filter { $0 != name }.compactMap(update)
    }

    private static var newsPerMessage: Int { 24 }

    /// The whole table, this server first.
    mutating func sendTable(to peer: ServerName, wantsAnswer: Bool, _ now: Moment) {
        var rest = [self.me.update(now: now)] + self.names.compactMap { self.records[$0]?.update(now: now) }
        var wantsAnswer = wantsAnswer
        while !rest.isEmpty {
            // At least one each time: a single update always fits.
            let part = rest.prefix(max(1, MembershipMessage.fitting(rest).count))
            self.send(.sync(members: Array(part), wantsAnswer: wantsAnswer), to: peer)
            wantsAnswer = false
            rest.removeFirst(part.count)
        }
    }

    /// Up to `count` peers with a link, each in its turn.
    mutating func someLinked(
        _ count: Int, besides: ServerName, where isFit: (MemberRecord?) -> Bool = { _ in true }
    ) -> [ServerName] {
        let fit = self.links.filter { $0 != besides && isFit(self.records[$0]) }.sorted()
        guard fit.count > count else { return fit }
        self.turn = (self.turn + count) % (1 << 20)
        return (0..<count).map { fit[(self.turn + $0) % fit.count] }
    }
}
