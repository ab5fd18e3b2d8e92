import ClusterCore
import TunnelWire

/// How messages travel.
extension World {
    mutating func transmit(_ message: ClusterMessage, from place: Int, to peer: Int) {
        if self.recordsMessages { self.messages.append(SentMessage(at: self.now, from: place, to: peer, message: message)) }
        guard let reference = self.reference(place, peer) else { return }
        let lane = message.lane
        let after = self.delay(place, peer)
        guard let last = self.links[reference.slot]?[from: place, lane].lastArrival else { return }
        let arrival = max(last + 1, self.now + after)
        self.links[reference.slot]?[from: place, lane].lastArrival = arrival
        self.queue.push(.arrival(link: reference, from: place, lane, .message(message)), at: arrival)
    }

    mutating func arrive(_ reference: LinkReference, _ from: Int, _ lane: ClusterLane, _ parcel: Parcel) {
        guard let link = self.link(reference) else { return }
        if link.isReset(from: from), case .message = parcel {
            self.coverage.lostMessages += 1
            return
        }
        guard self.paths.isOpen(from, link.other(from)), link[from: from, lane].held.isEmpty else {
            self.coverage.heldMessages += 1
            self.links[reference.slot]?[from: from, lane].held.append(parcel)
            return
        }
        self.deliver(reference, from, parcel)
    }

    /// The way is open: everything that waited arrives at once, in its order.
    mutating func flush(_ reference: LinkReference, _ from: Int) {
        guard let link = self.link(reference), self.paths.isOpen(from, link.other(from)) else { return }
        for lane in [ClusterLane.control, .data] {
            while let parcel = self.link(reference).flatMap({ $0[from: from, lane].held.first }) {
                self.links[reference.slot]?[from: from, lane].held.removeFirst()
                self.deliver(reference, from, parcel)
            }
        }
    }

    private mutating func deliver(_ reference: LinkReference, _ from: Int, _ parcel: Parcel) {
        guard let link = self.link(reference) else { return }
        let place = link.other(from)
        guard self.places[place].isMachineUp else { return }
        let end = link[end: place]
        guard !end.isClosed, end.isUp else {
            switch parcel {
            case .finish: self.close(reference, place)
            // The machine knows no such connection, and says so.
            case .message where !link[end: from].isClosed && self.paths.isOpen(place, from):
                self.plan(.linkEnd(link: reference, at: from, .broken), after: self.delay(place, from))
            case .message: break
            }
            return
        }
        if self.places[place].isPaused {
            self.places[place].backlog.append(.read(link: reference, from: from, parcel))
        } else {
            self.read(reference, from, parcel)
        }
    }

    mutating func read(_ reference: LinkReference, _ from: Int, _ parcel: Parcel) {
        guard let link = self.link(reference) else { return }
        let place = link.other(from)
        guard link[end: place].isUp, !link[end: place].isClosed else { return }
        switch parcel {
        case .finish(let announced): self.end(reference, place, announced ? .announced : .broken)
        case .message(let message):
            self.coverage.messages += 1
            self.links[reference.slot]?[end: place].heardAt = self.now
            self.feed(.received(message, from: self.places[from].name), to: place)
        }
    }
}
