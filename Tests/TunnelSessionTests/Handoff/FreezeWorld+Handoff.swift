import NIOCore
import Timing
import TunnelWire

@testable import TunnelSession

/// What is left of an end while its process is replaced.
struct FrozenEnd {
    /// The handoff: all that goes on from here.
    let file: ByteBuffer
    /// What went into it, for comparison.
    let frozen: FrozenSession
    /// Bytes of each stream that the local program has not taken, as the driver keeps them beside the session.
    let tails: [StreamID: Int]
    let until: Moment
}

/// A thaw that is wrong in one way.
struct Sabotage: Sendable, CustomStringConvertible {
    let name: String
    /// Changes a frozen session, whose other end is given; false when there is nothing in it that could be changed so.
    let change: @Sendable (inout FrozenSession, Session) -> Bool

    init(_ name: String, _ change: @escaping @Sendable (inout FrozenSession, Session) -> Bool) {
        self.name = name
        self.change = change
    }

    var description: String { self.name }
}

extension FreezeWorld {
    /// The process of this end stops here: its session goes into a file, its link breaks in one way or another.
    func freeze(_ end: SimulatedEnd) throws {
        self.tally.freezes += 1
        if !self.away.isEmpty { self.tally.together += 1 }
        try self.readPartly(end)
        let wasAttached = end.session.isAttached
        if self.random.chance(60) { end.session.detach(now: self.now) } else if wasAttached { self.tally.attached += 1 }
        let frozen = end.session.freeze()
        end.session.detach(now: self.now)
        if wasAttached {
            if self.link?.isCut == false, self.random.chance(40) { self.link?.makeCut(random: &self.random, now: self.now) }
            self.link?.close(by: end.side, random: &self.random, now: self.now)
        }
        try self.checkOutstanding(of: frozen, at: end)
        var tails: [StreamID: Int] = [:]
        for stream in frozen.streams {
            let least = self.random.chance(50) ? 0 : stream.outstanding
            tails[stream.id] = self.random.int(least...stream.outstanding)
        }
        let file = frozen.file()
        self.count(frozen, file: file)
        let until = self.now + self.random.microseconds(0...self.random.pick([1, 500, 20_000]))
        self.away[end.side] = FrozenEnd(file: file, frozen: frozen, tails: tails, until: until)
    }

    /// Some bytes may have been fed, and some of what they mean not been asked for.
    private func readPartly(_ end: SimulatedEnd) throws {
        guard end.session.isAttached, self.random.chance(50) else { return }
        guard let bytes = self.link?.read(to: end.side, random: &self.random, now: self.now) else { return }
        end.session.feed(bytes, now: self.now)
        for _ in 0..<self.random.int(0...3) {
            guard let event = try end.session.nextEvent(now: self.now) else { return }
            try end.handle(event, peer: self.peer(of: end), now: self.now)
        }
        self.tally.undecoded += 1
    }

    private func count(_ frozen: FrozenSession, file: ByteBuffer) {
        self.tally.incomplete += frozen.incomplete == nil ? 0 : 1
        self.tally.streams += frozen.streams.count
        self.tally.unopened += frozen.streams.count { $0.phase != .open }
        self.tally.replayed += frozen.replay.count
        self.tally.queued += frozen.streams.flatMap(\.queued).reduce(0) { $0 + $1.readableBytes }
        self.tally.files += file.readableBytes
    }

    /// Another process reads the file and goes on. The local programs have not noticed.
    func thaw(_ end: SimulatedEnd, from left: FrozenEnd) throws {
        let least = left.file.readableBytes / 200 + 1
        let read = try FrozenSession.sessions(in: left.file, pieces: self.random.int(least...max(least, 100_000)))
        guard read.count == 1, var frozen = read.first, frozen.normalised == left.frozen.normalised else {
            throw Broken("\(read.count) sessions came out of the file, or another one than went in")
        }
        let isSabotaged = self.sabotage?.change(&frozen, self.peer(of: end).session) ?? false
        if isSabotaged { self.sabotage = nil }
        end.session = try Session(thawing: frozen, configuration: self.plan.configuration, now: self.now)
        guard isSabotaged || end.session.freeze().normalised == frozen.normalised else {
            throw Broken("frozen again at once, the session is another one")
        }
        for stream in frozen.streams {
            let tail = left.tails[stream.id] ?? 0
            end.session.consumed(stream.id, stream.outstanding - tail)
            end.streams[stream.id]?.unconsumed = tail
        }
        // A new process reads a source only when the session asks it to.
        for stream in end.live {
            stream.isReadPending = false
            stream.mayReadUnasked = false
        }
    }

    private func checkOutstanding(of frozen: FrozenSession, at end: SimulatedEnd) throws {
        for stream in frozen.streams {
            guard let known = end.streams[stream.id], known.unconsumed == stream.outstanding else {
                throw Broken("stream \(stream.id) is frozen with \(stream.outstanding) bytes outstanding")
            }
        }
    }
}

// MARK: - What must hold

extension FreezeWorld {
    func checkInvariants() throws {
        for end in self.ends {
            try end.checkInvariants()
            try end.checkCredit(against: self.peer(of: end))
            try self.checkConservation(from: end, to: self.peer(of: end))
            guard end.session.received <= self.peer(of: end).session.sent else {
                throw Broken("\(end.side) counts bytes that were not sent")
            }
        }
    }

    /// No credit is lost and none is made up: what the sender may still send and has sent is what the receiver is ready for
    /// and has received, but for the CREDIT that is on its way.
    private func checkConservation(from sender: SimulatedEnd, to receiver: SimulatedEnd) throws {
        let onItsWay = receiver.session.creditOnItsWay(behind: sender.session.received)
        for stream in sender.live where stream.phase == .open {
            guard let here = sender.session.streams[stream.id], let there = receiver.session.streams[stream.id],
                let received = receiver.streams[stream.id]?.received
            else { continue }
            let known = here.sendCredit + stream.sent - here.outbound.bytes + (onItsWay[stream.id] ?? 0)
            guard known == there.incoming.remaining + received else {
                throw Broken(
                    "stream \(stream.id): credit for \(known) bytes was given for \(there.incoming.remaining + received)")
            }
        }
    }

    func checkNothingIsLeft() throws {
        for end in self.ends {
            let peer = self.peer(of: end)
            try end.checkInvariants()
            try end.checkNothingIsLeft()
            guard end.session.received == peer.session.sent else {
                throw Broken("\(end.side) counts \(end.session.received) bytes of \(peer.session.sent)")
            }
            try end.checkStreams(against: peer)
            guard end.expectedVersion == peer.nextVersion else {
                throw Broken("message \(end.expectedVersion) of \(peer.nextVersion - 1) did not come")
            }
            guard end.session.isPeerDraining == peer.session.isDraining else { throw Broken("a GOAWAY did not come") }
        }
    }
}

extension Session {
    /// Credit that was given in frames which the peer does not have yet, by stream.
    fileprivate func creditOnItsWay(behind received: UInt64) -> [StreamID: Int] {
        var credit: [StreamID: Int] = [:]
        var end = self.sent
        for frame in self.replay.frames.reversed() {
            guard end > received else { break }
            end -= UInt64(frame.readableBytes)
            guard let header = frame.frameHeader, header.type == .credit else { continue }
            let bytes = frame.getInteger(at: frame.readerIndex + Limits.frameHeader, as: UInt32.self) ?? 0
            credit[header.stream, default: 0] += Int(bytes)
        }
        return credit
    }
}
