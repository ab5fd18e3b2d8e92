import Timing
import TunnelWire

extension Registry {
    /// A peer's message. What it says of this server's own entries is never applied.
    /// - Parameter peers: who is told if own entries have to be published anew (see `outrun`).
    package mutating func received(
        _ message: RegistryMessage, from peer: ServerName, peers: [ServerName], now: Moment
    ) -> [RegistryAction] {
        guard peer != self.own else { return [] }
        switch message {
        case .digest(let digest): return self.outrun(digest, peers: peers, now: now) + self.answer(digest, to: peer, now: now)
        case .delta(let delta): return self.apply(delta, from: peer, now: now)
        }
    }

    /// What is known here, sorted by owner.
    func digest(wantsDigest: Bool, asksForOwn: Bool) -> RegistryDigest {
        var owners = [Self.progress(self.own, self.mine)]
        for (name, entries) in self.others { owners.append(self.known(name, entries)) }
        for (name, gone) in self.forgotten {
            owners.append(
                RegistryDigest.Owner(
                    name: name, generation: gone.known.generation, version: gone.known.version, collected: 0, isForgotten: true))
        }
        return RegistryDigest(owners: owners.sorted { $0.name < $1.name }, wantsDigest: wantsDigest, asksForOwn: asksForOwn)
    }

    /// Of an owner of which only an earlier life is known, nothing but the later one is wanted: what came before counts as
    /// forgotten.
    private func known(_ name: ServerName, _ entries: OwnerEntries) -> RegistryDigest.Owner {
        guard let life = self.lives[name] else { return Self.progress(name, entries) }
        return RegistryDigest.Owner(name: name, generation: life - 1, version: 0, collected: 0, isForgotten: true)
    }

    private static func progress(_ name: ServerName, _ entries: OwnerEntries) -> RegistryDigest.Owner {
        RegistryDigest.Owner(
            name: name, generation: entries.generation, version: entries.version, asOf: entries.asOf,
            collected: entries.collected)
    }

    // MARK: - A digest came

    /// Somebody knows more of this very generation than was ever published in it: its number was used before, the state
    /// directory is an older copy. The own entries are published anew above that, which sweeps out what is not among them.
    private mutating func outrun(_ digest: RegistryDigest, peers: [ServerName], now: Moment) -> [RegistryAction] {
        guard let claim = digest.owners.first(where: { $0.name == self.own }), claim.generation == self.mine.generation,
            claim.asOf > self.mine.version, claim.asOf < RegistryLimits.number / 2
        else { return [] }
        return self.republish(generation: claim.generation, above: claim.asOf + 1, peers: peers, now: now)
    }

    private mutating func answer(_ digest: RegistryDigest, to peer: ServerName, now: Moment) -> [RegistryAction] {
        var known: [ServerName: RegistryDigest.Owner] = [:]
        for owner in digest.owners { known[owner.name] = owner }
        for owner in digest.owners where !owner.isForgotten && self.others[owner.name]?.generation == owner.generation {
            self.others[owner.name]?.collect(upTo: owner.collected)
        }
        var batch = self.newBatch()
        for owner in [self.own] + (digest.asksForOwn ? [] : self.others.keys.sorted()) where owner != peer {
            guard let entries = self.entries(of: owner), let base = self.shortfall(of: owner, entries, known[owner]) else {
                continue
            }
            batch.add(owner, entries, above: base)
        }
        var actions = batch.finished().map { RegistryAction.send(.delta($0), to: peer) }
        let isAsked = self.asked[peer].map { now - $0.at < self.configuration.exchangeInterval } ?? false
        let isNews =
            digest.owners.contains { ($0.name == peer || !digest.asksForOwn) && self.lacks($0) }
            || self.knowsMore(of: peer, than: known[peer])
        if digest.wantsDigest, !isAsked, isNews {
            actions.append(self.ask(peer, wantsDigest: false, forOwn: digest.asksForOwn, now: now))
        }
        return actions
    }

    /// From which version on a peer has to be told of an owner; nil: it lacks nothing that could be told.
    private func shortfall(of owner: ServerName, _ entries: OwnerEntries, _ theirs: RegistryDigest.Owner?) -> UInt64? {
        guard entries.isSettled, !self.isOver(entries.generation, of: owner) else { return nil }
        guard let theirs else {
            // A server that is gone is not made known to those who do not know it: they may just have forgotten it.
            return self.hidden[owner] == nil ? 0 : nil
        }
        guard theirs.generation == entries.generation else { return theirs.generation < entries.generation ? 0 : nil }
        if theirs.isForgotten || theirs.asOf > entries.version { return nil }
        if theirs.asOf < entries.collected { return 0 }
        return theirs.version < entries.version ? theirs.version : nil
    }

    /// Whether a peer could tell something of an owner.
    private func lacks(_ theirs: RegistryDigest.Owner) -> Bool {
        guard theirs.name != self.own, !theirs.isForgotten, theirs.version == theirs.asOf,
            !self.isOver(theirs.generation, of: theirs.name)
        else { return false }
        if let gone = self.forgotten[theirs.name] { return theirs.generation > gone.known.generation }
        guard let entries = self.others[theirs.name] else { return self.hidden[theirs.name] == nil }
        guard theirs.generation == entries.generation else { return theirs.generation > entries.generation }
        return theirs.version > entries.version && theirs.version >= entries.asOf
    }

    /// Whether more is known here of a peer than it says of itself (see `outrun`).
    private func knowsMore(of peer: ServerName, than itself: RegistryDigest.Owner?) -> Bool {
        guard let entries = self.others[peer], let itself, itself.generation == entries.generation else { return false }
        return entries.version > itself.version
    }

    // MARK: - A delta came

    private mutating func apply(_ delta: RegistryDelta, from peer: ServerName, now: Moment) -> [RegistryAction] {
        var actions: [RegistryAction] = []
        var isProgress = false
        for part in delta.parts where part.owner != self.own {
            guard let changes = self.apply(part, now: now) else { continue }
            isProgress = true
            guard self.hidden[part.owner] == nil else { continue }
            actions += changes.map { .changed(owner: part.owner, $0.key, $0.record) }
        }
        // Without progress the same question would get the same answer.
        if delta.hasMore, isProgress {
            self.lastContinued = now
            actions.append(self.ask(peer, wantsDigest: false, forOwn: self.asked[peer]?.forOwn ?? false, now: now))
        }
        return actions
    }

    /// Nil: the part is of no use here, or there is no room for it.
    private mutating func apply(_ part: RegistryDelta.Part, now: Moment) -> [OwnerEntries.Change]? {
        if let gone = self.forgotten[part.owner], part.generation <= gone.known.generation { return nil }
        if self.isOver(part.generation, of: part.owner) { return nil }
        // The entries are changed in place: a second reference to them here would make every change a copy of them all.
        guard let generation = self.others[part.owner]?.generation, generation >= part.generation else {
            return self.begin(part, now: now)
        }
        return self.isUseful(part) ? self.others[part.owner]?.apply(part, now: now) : nil
    }

    private func isUseful(_ part: RegistryDelta.Part) -> Bool {
        guard let entries = self.others[part.owner] else { return false }
        return entries.use(of: part) != .nothing && self.hasRoom(for: part, in: entries)
    }

    /// An owner that was not known, or a later life of it: that takes the place of all that the earlier one had.
    private mutating func begin(_ part: RegistryDelta.Part, now: Moment) -> [OwnerEntries.Change]? {
        let earlier = self.others[part.owner]
        guard part.isReset, earlier != nil || self.makeRoomForOwner(besides: part.owner) else { return nil }
        var entries = OwnerEntries(generation: part.generation)
        guard self.hasRoom(for: part, in: entries) else { return nil }
        var changes = entries.apply(part, now: now) ?? []
        if let earlier {
            changes.removeAll { earlier.record($0.key) == $0.record }
            changes += earlier.sortedKeys().filter { entries.record($0) == nil }
                .map { OwnerEntries.Change(key: $0, record: nil) }
        }
        self.others[part.owner] = entries
        self.forgotten[part.owner] = nil
        self.lives[part.owner] = nil
        // It has lived since: the time until it is forgotten begins anew.
        if self.hidden[part.owner] != nil { self.hidden[part.owner] = now }
        return changes
    }

    private func hasRoom(for part: RegistryDelta.Part, in entries: OwnerEntries) -> Bool {
        let held = self.heldCount
        guard held + part.entries.count > self.configuration.entries else { return true }
        return held + part.entries.count { entries.entries[$0.key] == nil } <= self.configuration.entries
    }

    /// Whether there may be one more owner; if need be, the server that was forgotten first makes room.
    private mutating func makeRoomForOwner(besides owner: ServerName) -> Bool {
        guard self.forgotten[owner] == nil, 1 + self.others.count + self.forgotten.count >= self.configuration.owners else {
            return true
        }
        let oldest = self.forgotten.min { ($0.value.since, $0.key) < ($1.value.since, $1.key) }
        guard let oldest else { return false }
        self.forgotten[oldest.key] = nil
        return true
    }
}
