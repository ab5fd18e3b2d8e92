import ClusterCore
import TunnelWire

/// When a place dials a peer next.
struct DialState: Sendable {
    var nextAt: Int64?
    var backoff: Int64 = Self.shortest
    /// A link is being made, in either direction.
    var settingUpUntil: Int64 = 0

    static let shortest: Int64 = 100_000_000
    static let longest: Int64 = 1_000_000_000
}

/// How links come to be and end.
extension World {
    func slot(_ place: Int, _ peer: Int) -> Int { self.ends[place * self.count + peer] }

    func reference(_ place: Int, _ peer: Int) -> LinkReference? {
        let slot = self.slot(place, peer)
        guard slot >= 0, let link = self.links[slot] else { return nil }
        return LinkReference(slot: slot, serial: link.serial)
    }

    func link(_ reference: LinkReference) -> Link? {
        guard let link = self.links[reference.slot], link.serial == reference.serial else { return nil }
        return link
    }

    mutating func delay(_ from: Int, _ to: Int) -> Int64 { self.paths.delay(from, to, &self.networkRandom) }

    // MARK: Dialling

    mutating func planDial(_ from: Int, _ to: Int, after span: Int64) {
        guard from != to else { return }
        let at = self.now + max(1_000, span)
        self.dials[from * self.count + to].nextAt = at
        self.queue.push(.dial(from: from, to: to, at: at), at: at)
    }

    /// Again after the backoff, which doubles.
    mutating func planRedial(_ from: Int, _ to: Int, after span: Int64 = 0) {
        let index = from * self.count + to
        let backoff = self.dials[index].backoff
        self.dials[index].backoff = min(backoff * 2, DialState.longest)
        self.planDial(from, to, after: span + backoff * 3 / 4 + Int64(self.networkRandom.below(Int(backoff / 2))))
    }

    mutating func dial(_ from: Int, _ to: Int, _ at: Int64) {
        let index = from * self.count + to
        guard self.dials[index].nextAt == at, self.places[from].isRunning else { return }
        self.dials[index].nextAt = nil
        guard self.ends[index] < 0 else { return }
        if self.dials[index].settingUpUntil > self.now {
            return self.planDial(from, to, after: self.dials[index].settingUpUntil - self.now)
        }
        guard self.places[to].isMachineUp, self.paths.isOpenBothWays(from, to) else {
            return self.planRedial(from, to, after: 1_000_000_000)
        }
        let trip = self.delay(from, to) + self.delay(to, from)
        guard self.places[to].isRunning else {
            self.plan(.refused(from: from, life: self.places[from].life, by: to), after: trip)
            return self.planRedial(from, to, after: trip)
        }
        let reference = self.newLink(from, to)
        // One round trip for TCP, one for TLS; the dialler proves first.
        let handshake = trip * 2 + self.delay(from, to)
        self.dials[index].settingUpUntil = self.now + handshake * 2
        self.dials[to * self.count + from].settingUpUntil = self.now + handshake * 2
        self.plan(.linkUp(link: reference, at: to), after: handshake)
        self.planRedial(from, to, after: handshake * 2 + 100_000_000)
    }

    private mutating func newLink(_ from: Int, _ to: Int) -> LinkReference {
        self.linkSerial += 1
        let link = Link(
            serial: self.linkSerial, dialler: Link.End(place: from, life: self.places[from].life, heardAt: self.now),
            acceptor: Link.End(place: to, life: self.places[to].life, heardAt: self.now))
        if let slot = self.freeLinks.popLast() {
            self.links[slot] = link
            return LinkReference(slot: slot, serial: link.serial)
        }
        self.links.append(link)
        return LinkReference(slot: self.links.count - 1, serial: link.serial)
    }

    // MARK: Up

    mutating func linkUp(_ reference: LinkReference, _ place: Int) {
        guard let link = self.link(reference), !link[end: place].isClosed, self.isAlive(place, link[end: place].life) else {
            return
        }
        let peer = link.other(place)
        guard self.paths.isOpenBothWays(place, peer), !link[end: peer].isClosed else {
            self.close(reference, place)
            if link.isDialler(place) { self.planRedial(place, peer) }
            return
        }
        let isSilent = self.replace(place, peer, with: link)
        guard self.link(reference) != nil else { return }
        self.ends[place * self.count + peer] = reference.slot
        self.links[reference.slot]?[end: place].isUp = true
        self.links[reference.slot]?[end: place].heardAt = self.now
        if link.isDialler(place) {
            self.dials[place * self.count + peer].backoff = DialState.shortest
            self.dials[peer * self.count + place].backoff = DialState.shortest
        } else {
            let trip = self.delay(place, peer)
            for lane in [ClusterLane.control, .data] {
                self.links[reference.slot]?[from: place, lane].lastArrival = self.now + trip
            }
            self.plan(.linkUp(link: reference, at: peer), after: trip)
        }
        guard !isSilent else { return }
        self.coverage.links += 1
        let identity = PeerIdentity(
            name: self.places[peer].name, id: self.places[peer].disk.id, instance: self.places[peer].instance)
        self.feed(.linked(identity), to: place)
    }

    /// A new link takes the place of one whose end the process has not heard of. True when the process need not know:
    /// between the first link and the last nothing is said.
    private mutating func replace(_ place: Int, _ peer: Int, with link: Link) -> Bool {
        guard let old = self.reference(place, peer), let life = self.link(old)?[end: peer].life else { return false }
        let isSilent = life == link[end: peer].life && self.networkRandom.chance(0.5)
        if isSilent {
            self.coverage.silentReplacements += 1
            self.close(old, place)
        } else {
            self.end(old, place, .broken)
        }
        return isSilent
    }

    // MARK: Over

    /// The process gets to know that its link is gone.
    mutating func end(_ reference: LinkReference, _ place: Int, _ ending: LinkEnding) {
        guard let link = self.link(reference), link[end: place].isUp, !link[end: place].isClosed else { return }
        let peer = link.other(place)
        if ending == .silent { self.finish(reference, place, announced: false, isOrdered: true) }
        self.close(reference, place)
        self.coverage.count(ending)
        self.planRedial(place, peer)
        self.feed(.unlinked(self.places[peer].name, ending), to: place)
    }

    /// This end is closed, and the link forgotten if both are.
    mutating func close(_ reference: LinkReference, _ place: Int) {
        guard let link = self.link(reference), !link[end: place].isClosed else { return }
        let index = place * self.count + link.other(place)
        if self.ends[index] == reference.slot { self.ends[index] = -1 }
        self.links[reference.slot]?[end: place].isClosed = true
        guard self.links[reference.slot]?.isOver == true else { return }
        self.links[reference.slot] = nil
        self.freeLinks.append(reference.slot)
    }

    /// The other end hears of the end: behind all that was sent, or at once while that is lost.
    mutating func finish(_ reference: LinkReference, _ place: Int, announced: Bool, isOrdered: Bool) {
        guard let link = self.link(reference), !link[end: link.other(place)].isClosed else { return }
        let peer = link.other(place)
        var after = self.delay(place, peer)
        if isOrdered {
            after = max(after, link[from: place, .control].lastArrival - self.now + 1)
        } else {
            self.links[reference.slot]?.reset(from: place)
        }
        self.plan(.arrival(link: reference, from: place, .control, .finish(announced: announced)), after: after)
    }

    /// A link breaks on its way: both ends hear of it, or one does and the other finds out.
    mutating func breakLink(_ one: Int, _ other: Int, bothHear: Bool) {
        guard let reference = self.reference(one, other) else { return }
        self.links[reference.slot]?.reset(from: one)
        self.links[reference.slot]?.reset(from: other)
        self.plan(.linkEnd(link: reference, at: one, .broken), after: self.delay(other, one))
        if bothHear { self.plan(.linkEnd(link: reference, at: other, .broken), after: self.delay(one, other)) }
    }

    // MARK: Silence

    /// An end that hears nothing for this long gives its link up.
    static let silence: Int64 = 4_000_000_000

    mutating func watch() {
        self.plan(.watch, after: 500_000_000)
        for slot in self.links.indices {
            guard let link = self.links[slot] else { continue }
            let reference = LinkReference(slot: slot, serial: link.serial)
            self.listen(reference, link.dialler, link.acceptor)
            self.listen(reference, link.acceptor, link.dialler)
        }
    }

    private mutating func listen(_ reference: LinkReference, _ end: Link.End, _ other: Link.End) {
        guard end.isUp, !end.isClosed, !self.places[end.place].isPaused else { return }
        let isHeard =
            other.isUp && !other.isClosed && !self.places[other.place].isPaused && self.paths.isOpen(other.place, end.place)
        if isHeard {
            self.links[reference.slot]?[end: end.place].heardAt = self.now
        } else if self.now - end.heardAt > Self.silence {
            self.end(reference, end.place, .silent)
        }
    }

    mutating func hearEverybody(_ place: Int) {
        for peer in self.places.indices where peer != place {
            guard let reference = self.reference(place, peer) else { continue }
            self.links[reference.slot]?[end: place].heardAt = self.now
        }
    }
}
