import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// A session that came out of a file, and a script of what happens to it: links, a peer that sends anything, programs, the
/// clock, and further freezes. Nothing in the session need make sense; nothing may trap, and its bounds hold.
struct HandoffPlay {
    private var session: Session
    private var now = Moment(nanoseconds: 1_000_000_000)
    private var streams: [StreamID]
    private var broken: String?

    private static let configuration: SessionConfiguration = {
        var configuration = SessionConfiguration()
        configuration.replayBuffer = 1 << 17
        configuration.streams = 8
        configuration.controlBytes = 1 << 14
        configuration.maximumStreamWindow = 1 << 18
        configuration.windowGrowth = 1 << 18
        return configuration
    }()

    init(_ frozen: FrozenSession) throws(ThawError) {
        self.session = try Session(thawing: frozen, configuration: Self.configuration, now: self.now)
        self.streams = frozen.streams.prefix(64).map(\.id)
    }

    /// - Returns: what is broken, nil when nothing is.
    mutating func run(_ script: ByteBuffer) -> String? {
        // What was taken once is taken again.
        self.handOver(mayBeRefused: false)
        var script = script
        do throws(WireError) {
            while self.broken == nil, let step = script.readInteger(as: UInt8.self) {
                try self.step(step, script.readInteger(as: UInt8.self) ?? 0, &script)
                self.check()
            }
        } catch {
            // The session called its peer a violator, or what came out of the file did not fit together: it is over.
        }
        self.handOver(mayBeRefused: true)
        return self.broken
    }

    private mutating func step(_ step: UInt8, _ argument: UInt8, _ script: inout ByteBuffer) throws(WireError) {
        switch step & 15 {
        case 0, 1: try self.attach(behind: argument)
        case 2: self.session.detach(now: self.now)
        case 3: try self.receive(script.readSlice(length: min(Int(argument), script.readableBytes)) ?? ByteBuffer())
        case 4, 5: try self.receiveFrame(type: step >> 4, stream: argument, &script)
        case 6: for _ in 0...argument where self.session.nextWrite(now: self.now) == nil { break }
        case 7: if let id = try? self.session.open(Open(destination: .service("a"), source: "")) { self.streams.append(id) }
        case 8:
            self.withStream(argument) { $0.send($1, ByteBuffer(repeating: 7, count: 1 + 37 * Int(step >> 4) * Int(argument))) }
        case 9: self.withStream(argument) { $0.finish($1) }
        case 10: self.withStream(argument) { $0.reset($1, .connectionReset) }
        case 11: self.withStream(argument) { $0.consumed($1, 1 << Int(step >> 3)) }
        case 12: self.wait(milliseconds: Int64(argument) * (step & 0x80 == 0 ? 1 : 1_000))
        case 13: self.handOver(mayBeRefused: true)
        case 14: self.withStream(argument) { step & 16 == 0 ? $0.opened($1) : $0.refuse($1, Refusal(.other, "no")) }
        default: self.changeMood(argument)
        }
    }

    /// Everything goes into a file and on from there.
    private mutating func handOver(mayBeRefused: Bool) {
        let frozen = self.session.freeze()
        var decoder = FrozenSessionDecoder()
        do throws(ThawError) {
            for record in FrozenSessionEncoder(frozen) {
                if record.payload.readableBytes > HandoffFormat.recordPayload { self.broken = "a record above its bound" }
                guard let read = try decoder.take(record) else { continue }
                guard read.isSame(as: frozen) else {
                    self.broken = "another session came out than went in"
                    return
                }
                self.session = try Session(thawing: read, configuration: Self.configuration, now: self.now)
            }
            if decoder.isPending { self.broken = "a session without an end" }
        } catch {
            // A peer may have made it senseless, but not the file alone.
            if !mayBeRefused { self.broken = "it is refused the second time: \(error)" }
        }
    }

    // MARK: The peer

    /// A link of a peer that has all, some or too much of what was sent.
    private mutating func attach(behind argument: UInt8) throws(WireError) {
        self.session.detach(now: self.now)
        let frozen = self.session.freeze()
        let count =
            argument & 1 == 0
            ? frozen.acknowledged + UInt64(argument >> 1) : frozen.sent - min(frozen.sent, UInt64(argument >> 1))
        try self.session.attach(peerReceived: count, now: self.now)
    }

    private mutating func receiveFrame(type: UInt8, stream: UInt8, _ script: inout ByteBuffer) throws(WireError) {
        let types: [FrameType] = [
            .open, .accepted, .opened, .refused, .data, .credit, .fin, .reset, .register, .registered, .services, .goAway,
            .resumeWindow, .ack, .ping, .pong,
        ]
        let type = types[Int(type)]
        let length = Int(script.readInteger(as: UInt8.self) ?? 0)
        let payload = script.readSlice(length: min(length, script.readableBytes)) ?? ByteBuffer()
        var frame = ByteBuffer()
        let id = type.belongsToStream ? StreamID(stream) : 0
        frame.writeInteger(FrameHeader(stream: id, type: type, length: payload.readableBytes).packed)
        frame.writeImmutableBuffer(payload)
        try self.receive(frame)
    }

    private mutating func receive(_ bytes: ByteBuffer) throws(WireError) {
        guard self.session.isAttached else { return }
        self.session.feed(bytes, now: self.now)
        while let event = try self.session.nextEvent(now: self.now) {
            switch event {
            case .open(let id, _): self.streams.append(id)
            case .data(_, let bytes): if bytes.readableBytes == 0 { self.broken = "an event with no data" }
            case .refused(let id, _), .reset(let id, _):
                if self.session.isLive(id) { self.broken = "stream \(id) lives on after its end" }
            case .accepted, .opened, .finished, .control, .closed: break
            }
        }
    }

    // MARK: The local side

    private mutating func wait(milliseconds: Int64) {
        self.now = self.now + .milliseconds(milliseconds)
        if self.session.onTimer(now: self.now) == .linkSilent { self.session.detach(now: self.now) }
    }

    private mutating func withStream(_ argument: UInt8, _ body: (inout Session, StreamID) -> Void) {
        guard !self.streams.isEmpty else { return }
        body(&self.session, self.streams[Int(argument) % self.streams.count])
    }

    private mutating func changeMood(_ argument: UInt8) {
        switch argument & 7 {
        case 0: self.session.pressure = .none
        case 1: self.session.pressure = .exhausted
        case 2: self.session.drain(deadline: .seconds(1), reason: "drain")
        case 3: self.session.undrain()
        case 4: self.session.released = []
        case 5: self.session.setResumeWindow(.milliseconds(Int64(argument) * 1_000))
        default: while let id = self.session.nextHungry() { self.session.send(id, ByteBuffer(repeating: 1, count: 1_000)) }
        }
    }

    private mutating func check() {
        let session = self.session
        if session.heldBytes < 0 || session.replayBytes < 0 { self.broken = "a negative number of bytes is held" }
        if session.released.count > 64 { self.broken = "more than 64 released buffers" }
        _ = session.nextTimer
        _ = session.isSuspect(now: self.now)
    }
}

extension FrozenSession {
    /// Whether they are equal but for the buffers in which bytes wait.
    fileprivate func isSame(as other: FrozenSession) -> Bool {
        var one = self
        var two = other
        guard one.streams.count == two.streams.count else { return false }
        for index in one.streams.indices {
            let bytes = one.streams[index].queued.flatMap { Array($0.readableBytesView) }
            guard bytes == two.streams[index].queued.flatMap({ Array($0.readableBytesView) }) else { return false }
            one.streams[index].queued = []
            two.streams[index].queued = []
        }
        return one == two
    }
}
