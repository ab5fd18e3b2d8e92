import DequeModule
import NIOCore
import Timing
import TunnelSession

/// How a link ends.
enum Cut: CaseIterable {
    /// Both ends lose what is under way, and learn of it soon.
    case reset
    /// What is under way arrives up to some byte, then each end sees the other's end.
    case fin
    /// Bytes vanish in one direction or in both, and nobody says so.
    case silent
}

/// One direction of a simulated link.
struct SimulatedPipe {
    /// How the far end of this direction learns that nothing more will come.
    enum Ending: Equatable {
        case none
        /// Bytes go in and never come out.
        case swallowed
        /// The receiver sees the end once everything has been delivered, not before this moment.
        case ends(Moment)
    }

    private var bytes = ByteBuffer()
    private var arrivals: Deque<(at: Moment, count: Int)> = []
    var ending = Ending.none
    /// Bytes that still pass before the link is cut in this direction.
    var untilCut: Int
    let delay: Duration
    let capacity: Int

    init(delay: Duration, capacity: Int, untilCut: Int) {
        self.delay = delay
        self.capacity = capacity
        self.untilCut = untilCut
    }

    var inFlight: Int { self.bytes.readableBytes }
    var isWritable: Bool { self.inFlight < self.capacity }
    var nextArrival: Moment? { self.ending == .swallowed ? nil : self.arrivals.first?.at }

    /// Whether the receiver sees the end now.
    func isOver(now: Moment) -> Bool {
        if case .ends(let moment) = self.ending { self.inFlight == 0 && now >= moment } else { false }
    }

    mutating func write(_ frame: ByteBuffer, now: Moment) {
        if case .ends = self.ending { return }
        self.bytes.writeImmutableBuffer(frame)
        self.arrivals.append((now + self.delay, frame.readableBytes))
    }

    /// Up to `most` bytes that have arrived, in storage of their own, as from a socket.
    mutating func read(most: Int, now: Moment) -> ByteBuffer? {
        guard self.ending != .swallowed else { return nil }
        var count = 0
        let limit = min(most, self.untilCut)
        while count < limit, let first = self.arrivals.first, first.at <= now {
            let part = min(first.count, limit - count)
            count += part
            if part == first.count { self.arrivals.removeFirst() } else { self.arrivals[0].count -= part }
        }
        guard count > 0, let slice = self.bytes.readSlice(length: count) else { return nil }
        self.untilCut -= count
        self.bytes.discardReadBytes()
        var copy = ByteBufferAllocator().buffer(capacity: count)
        copy.writeImmutableBuffer(slice)
        return copy
    }

    /// Everything but the next `count` bytes is lost; those arrive at once.
    mutating func truncate(to count: Int, now: Moment) {
        let kept = min(count, self.inFlight)
        self.bytes = self.bytes.getSlice(at: self.bytes.readerIndex, length: kept) ?? ByteBuffer()
        self.arrivals = kept > 0 ? [(now, kept)] : []
        self.untilCut = .max
    }
}

/// A link between the two ends: two pipes, and how it is going to be cut.
struct SimulatedLink {
    /// Bytes from the dialer to the acceptor.
    var up: SimulatedPipe
    /// Bytes from the acceptor to the dialer.
    var down: SimulatedPipe
    let cut: Cut
    /// The link is cut now, if no pipe has come to its byte before.
    let cutAt: Moment?
    /// The first bytes arrive in small pieces, the others in pieces of at most so many bytes.
    let pieces: Int
    let slowBytes: Int
    var isCut = false
    var delivered = 0

    /// - Parameter mayBreak: false for a link that is to hold.
    init(random: inout SplitMix64, now: Moment, mayBreak: Bool) {
        let delay = random.microseconds(0...4_000)
        let capacity = random.pick([300, 3_000, 40_000, 200_000])
        func untilCut(_ random: inout SplitMix64) -> Int {
            guard mayBreak else { return .max }
            return random.pick([random.int(0...40), random.int(0...600), random.int(0...20_000), random.int(0...200_000), .max])
        }
        self.up = SimulatedPipe(delay: delay, capacity: capacity, untilCut: untilCut(&random))
        self.down = SimulatedPipe(delay: delay, capacity: capacity, untilCut: untilCut(&random))
        self.cut = random.pick([.reset, .reset, .reset, .reset, .fin, .fin, .fin, .silent])
        self.cutAt = mayBreak ? now + random.microseconds(0...random.pick([300, 2_000, 10_000, 40_000])) : nil
        self.pieces = random.pick([300, 3_000, 20_000, 70_000])
        self.slowBytes = random.pick([0, 0, 30, 200])
    }

    /// The next bytes for one end, in pieces of any size.
    mutating func read(to side: SessionSide, random: inout SplitMix64, now: Moment) -> ByteBuffer? {
        let most = self.delivered < self.slowBytes ? random.int(1...9) : random.int(1...self.pieces)
        let bytes = side == .acceptor ? self.up.read(most: most, now: now) : self.down.read(most: most, now: now)
        self.delivered += bytes?.readableBytes ?? 0
        return bytes
    }

    mutating func write(_ frame: ByteBuffer, by side: SessionSide, now: Moment) {
        if side == .dialer { self.up.write(frame, now: now) } else { self.down.write(frame, now: now) }
    }

    func isWritable(by side: SessionSide) -> Bool { side == .dialer ? self.up.isWritable : self.down.isWritable }

    func isOver(for side: SessionSide, now: Moment) -> Bool {
        side == .acceptor ? self.up.isOver(now: now) : self.down.isOver(now: now)
    }

    /// Whether it is time to cut: a pipe has come to its byte, or the clock to its moment.
    func isCutDue(now: Moment) -> Bool {
        !self.isCut && (self.up.untilCut == 0 || self.down.untilCut == 0 || self.cutAt.map { now >= $0 } == true)
    }

    mutating func makeCut(random: inout SplitMix64, now: Moment) {
        self.isCut = true
        switch self.cut {
        case .reset:
            // What has reached a host may still be read there, up to any byte.
            self.up.truncate(to: random.chance(50) ? 0 : random.int(0...self.up.inFlight), now: now)
            self.down.truncate(to: random.chance(50) ? 0 : random.int(0...self.down.inFlight), now: now)
            self.up.ending = .ends(now + random.microseconds(0...3_000))
            self.down.ending = .ends(now + random.microseconds(0...3_000))
        case .fin:
            if random.chance(50) { self.up.truncate(to: random.int(0...self.up.inFlight), now: now) }
            if random.chance(50) { self.down.truncate(to: random.int(0...self.down.inFlight), now: now) }
            self.up.untilCut = .max
            self.down.untilCut = .max
            self.up.ending = .ends(now + random.microseconds(0...3_000))
            self.down.ending = .ends(now + random.microseconds(0...30_000))
        case .silent:
            let which = random.int(1...3)
            if which & 1 != 0 { self.up.ending = .swallowed }
            if which & 2 != 0 { self.down.ending = .swallowed }
            self.up.untilCut = .max
            self.down.untilCut = .max
        }
    }

    /// One end has closed the link: the other sees it, unless nothing reaches it any more.
    mutating func close(by side: SessionSide, random: inout SplitMix64, now: Moment) {
        self.isCut = true
        self.up.untilCut = .max
        self.down.untilCut = .max
        let end = SimulatedPipe.Ending.ends(now + random.microseconds(0...3_000))
        switch side {
        case .dialer where self.up.ending == .none: self.up.ending = end
        case .acceptor where self.down.ending == .none: self.down.ending = end
        default: break
        }
    }
}
