import NIOCore
import Timing
import TunnelWire

@testable import TunnelSession

/// Something that must never happen did; the text says what.
struct Broken: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// What the programs at one end know of a stream. It is kept after the stream's end, to judge what still happens.
final class SimulatedStream {
    enum Phase { case opening, accepted, answering, open, over }

    let id: StreamID
    let open: Open
    let isOpenedHere: Bool
    var phase: Phase
    /// When the target here will have been dialled.
    var answerAt: Moment
    let toSend: Int
    /// Resets the stream as soon as this many bytes went either way.
    let resetAfter: Int?
    /// Its reader takes nothing before all other streams are over.
    let isStalled: Bool

    var wasOpened = false
    var refusal: Refusal?
    var resetCode: ResetCode?
    var sent = 0
    var isFinished = false
    var isReadPending = false
    /// Once only, so that a stream that is never asked to read stands still.
    var mayReadUnasked = true
    var received = 0
    var unconsumed = 0
    var sawFinish = false

    init(
        id: StreamID, open: Open, isOpenedHere: Bool, phase: Phase, answerAt: Moment, toSend: Int, resetAfter: Int?,
        isStalled: Bool
    ) {
        self.id = id
        self.open = open
        self.isOpenedHere = isOpenedHere
        self.phase = phase
        self.answerAt = answerAt
        self.toSend = toSend
        self.resetAfter = resetAfter
        self.isStalled = isStalled
    }

    var isOver: Bool { self.phase == .over || (self.isFinished && self.sawFinish && self.unconsumed == 0) }
}

/// One end of the pair: a session and the programs behind it. Reads sources only when the session asks, takes bytes at its
/// own pace, answers, finishes and resets as its random numbers say.
final class SimulatedEnd {
    let side: SessionSide
    var session: Session
    var streams: [StreamID: SimulatedStream] = [:]
    /// Streams that are not over, in the order in which they came up.
    var live: [SimulatedStream] = []
    var opensLeft: Int
    var plan: SimulationPlan
    var random: SplitMix64
    var nextVersion: UInt64 = 1
    var expectedVersion: UInt64 = 1
    /// A second owner of buffers, as a socket's list of pending writes is one.
    var kept: [ByteBuffer] = []
    private var pool: [ByteBuffer] = []

    init(side: SessionSide, plan: SimulationPlan, opens: Int, random: SplitMix64) {
        self.side = side
        self.plan = plan
        self.opensLeft = opens
        self.random = random
        self.session = Session(side: side, configuration: plan.configuration, now: Moment(nanoseconds: 0))
    }

    var isQuiet: Bool { self.opensLeft == 0 && self.live.isEmpty }

    // MARK: What the programs do

    func act(peer: SimulatedEnd, now: Moment) throws {
        if self.opensLeft > 0, self.random.chance(5) { self.openOne(now: now) }
        if self.nextVersion < 30, self.random.chance(2) { self.sendControl() }
        if self.random.chance(20) { self.kept.removeAll() }
        if self.random.chance(60) { try self.takeReleased() }
        let onlyStalledLeft = self.hasOnlyStalled(peer: peer) && peer.hasOnlyStalled(peer: self)
        for stream in self.live where self.random.chance(40) {
            self.act(on: stream, mayTake: !stream.isStalled || onlyStalledLeft, now: now)
        }
        self.live.removeAll { $0.isOver }
    }

    /// Every stream that is left has a stalled reader at one of its ends, so that it is time for those to read.
    private func hasOnlyStalled(peer: SimulatedEnd) -> Bool {
        self.opensLeft == 0 && self.live.allSatisfy { $0.isStalled || peer.streams[$0.id]?.isStalled == true }
    }

    private func openOne(now: Moment) {
        self.opensLeft -= 1
        let open = Open(
            destination: .service("s\(self.random.int(0...9))"), isRelayed: self.random.chance(50),
            source: "\(self.side) \(self.opensLeft)")
        guard let id = try? self.session.open(open) else { return }
        self.addStream(id, open, phase: .opening, now: now)
    }

    func addStream(_ id: StreamID, _ open: Open, phase: SimulatedStream.Phase, now: Moment) {
        let most = self.plan.largestStream
        let stream = SimulatedStream(
            id: id, open: open, isOpenedHere: phase == .opening, phase: phase,
            answerAt: now + self.random.microseconds(0...5_000),
            toSend: self.random.pick([0, self.random.int(0...50), self.random.int(0...most / 8), self.random.int(0...most)]),
            resetAfter: self.random.chance(10) ? self.random.int(0...most / 2) : nil, isStalled: self.random.chance(10))
        self.streams[id] = stream
        self.live.append(stream)
    }

    private func sendControl() {
        self.session.send(.register(Register(version: self.nextVersion, exposures: [])))
        self.nextVersion += 1
    }

    private func act(on stream: SimulatedStream, mayTake: Bool, now: Moment) {
        if stream.phase == .answering, now >= stream.answerAt { self.answer(stream) }
        guard stream.phase != .over else { return }
        if let after = stream.resetAfter, stream.received + stream.sent >= after, self.random.chance(30) {
            return self.reset(stream)
        }
        if stream.isReadPending { self.readSource(stream) }
        // A socket that is closing is read to its end, whether the session asks or not.
        if stream.phase == .open, stream.mayReadUnasked, self.random.chance(2) {
            stream.mayReadUnasked = false
            for _ in 0..<3 { self.readSource(stream) }
        }
        if stream.sent == stream.toSend, !stream.isFinished, self.random.chance(50), stream.phase != .answering {
            stream.isFinished = true
            self.session.finish(stream.id)
        }
        if mayTake, stream.unconsumed > 0 {
            let count = self.random.chance(40) ? stream.unconsumed : self.random.int(1...stream.unconsumed)
            stream.unconsumed -= count
            self.session.consumed(stream.id, count)
        }
    }

    private func answer(_ stream: SimulatedStream) {
        if self.random.chance(12) {
            stream.refusal = Refusal(self.random.pick(RefusalCode.allCases), "no \(stream.id)")
            stream.phase = .over
            self.session.refuse(stream.id, stream.refusal ?? Refusal(.other, ""))
        } else {
            stream.phase = .open
            stream.wasOpened = true
            self.session.opened(stream.id)
        }
    }

    private func reset(_ stream: SimulatedStream) {
        stream.resetCode = self.random.pick(ResetCode.allCases)
        stream.phase = .over
        self.session.reset(stream.id, stream.resetCode ?? .other)
    }

    private func readSource(_ stream: SimulatedStream) {
        let count = min(stream.toSend - stream.sent, self.random.int(1...self.plan.largestRead))
        guard count > 0, !stream.isFinished else { return }
        stream.isReadPending = false
        let bytes = Pattern.bytes(stream: stream.id, sender: self.side, offset: stream.sent, count: count)
        stream.sent += count
        self.session.send(stream.id, self.dressed(bytes))
    }

    /// The same bytes in a buffer as a source may hand it over: with and without room for a header, alone or shared, much
    /// too large, or used before.
    private func dressed(_ bytes: ByteBuffer) -> ByteBuffer {
        switch self.random.int(0...6) {
        case 0: return bytes
        case 1: return bytes.copied()
        case 2: return bytes.copied(headroom: self.random.int(1...20))
        case 3:
            self.kept.append(bytes.copied(headroom: 8))
            return self.kept[self.kept.count - 1]
        case 4:
            var large = ByteBufferAllocator().buffer(capacity: bytes.readableBytes * 6 + 8)
            large.moveWriterIndex(to: 8)
            large.moveReaderIndex(to: 8)
            large.writeImmutableBuffer(bytes)
            return large
        default:
            guard var used = self.pool.popLast() else { return bytes.copied(headroom: 8) }
            used.clear()
            used.moveWriterIndex(to: 8)
            used.moveReaderIndex(to: 8)
            used.writeImmutableBuffer(bytes)
            return used
        }
    }

    /// Takes the buffers that are no longer needed and spoils them: nothing that is still to be sent may change.
    private func takeReleased() throws {
        guard self.session.released.count <= 64 else { throw Broken("\(self.session.released.count) released buffers") }
        while var buffer = self.session.released.popLast() {
            let isOnlyOwner: Void? = buffer.modifyIfUniquelyOwned { buffer in
                buffer.clear()
                buffer.writeRepeatingByte(0xEE, count: min(buffer.capacity, 70_000))
            }
            if isOnlyOwner != nil, self.pool.count < 8 { self.pool.append(buffer) }
        }
    }
}

extension SimulatedStream: CustomStringConvertible {
    var description: String {
        "stream \(self.id) \(self.phase), sent \(self.sent) of \(self.toSend)\(self.isFinished ? " finished" : "")"
            + ", received \(self.received)\(self.sawFinish ? " finished" : ""), \(self.unconsumed) not taken"
    }
}
