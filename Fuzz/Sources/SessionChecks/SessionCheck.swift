import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// Plays a script against a session: a hostile or honest peer, the local programs, the clock, and links that break.
package enum SessionCheck {
    /// The body of the fuzz target. The input is read as a list of steps, each one byte with its arguments behind it.
    ///
    /// - Returns: what is broken, nil when the session kept its promises or ended with an error of the peer's making.
    package static func run(_ input: [UInt8]) -> String? {
        var script = ByteBuffer(bytes: input)
        var play = Play(side: (script.readInteger(as: UInt8.self) ?? 0) & 1 == 0 ? .dialer : .acceptor)
        do throws(WireError) {
            while let step = script.readInteger(as: UInt8.self) {
                try play.step(step, &script)
                if let broken = play.broken { return broken }
            }
            return try play.end()
        } catch {
            // The session called the peer a violator. It is over then, and must have said so of a real violation.
            return play.broken
        }
    }
}

/// One session and what surrounds it.
private struct Play {
    private var session: Session
    private var now = Moment(nanoseconds: 1_000_000_000)
    /// What the peer makes of the bytes it is sent; it outlives links as the session's own does.
    private var peer = FrameDecoder()
    private var streams: [StreamID] = []
    /// Whether the local programs answer and take data at once.
    private var isObliging = true
    private(set) var broken: String?

    private static let types: [FrameType] = [
        .open, .accepted, .opened, .refused, .data, .credit, .fin, .reset, .register, .registered, .services, .goAway,
        .resumeWindow,
        .ack, .ping, .pong,
    ]

    init(side: SessionSide) {
        var configuration = SessionConfiguration()
        configuration.replayBuffer = 1 << 17
        configuration.streams = 8
        configuration.controlBytes = 1 << 14
        configuration.maximumStreamWindow = 1 << 18
        configuration.windowGrowth = 1 << 18
        self.session = Session(side: side, configuration: configuration, now: self.now)
        // The first count of a first link is always zero, which no session refuses.
        try? self.session.attach(peerReceived: 0, now: self.now)
    }

    mutating func step(_ step: UInt8, _ script: inout ByteBuffer) throws(WireError) {
        let argument = script.readInteger(as: UInt8.self) ?? 0
        switch step & 15 {
        case 0: try self.receive(script.readSlice(length: min(Int(argument), script.readableBytes)) ?? ByteBuffer())
        case 1...3: try self.receiveFrame(type: step >> 4, stream: argument, &script)
        case 4: try self.receiveHonestAck(behind: argument)
        case 5, 6: self.write(frames: Int(argument) + 1)
        case 7: if let id = try? self.session.open(Open(destination: .service("a"), source: "")) { self.streams.append(id) }
        case 8:
            self.withStream(argument) { $0.send($1, ByteBuffer(repeating: 7, count: 1 + 37 * Int(step >> 4) * Int(argument))) }
        case 9: self.withStream(argument) { $0.finish($1) }
        case 10: self.withStream(argument) { $0.reset($1, .connectionReset) }
        case 11: self.withStream(argument) { $0.consumed($1, 1 << Int(step >> 4)) }
        case 12: self.wait(milliseconds: Int64(argument) * (step & 0x80 == 0 ? 1 : 100))
        case 13: try self.replaceLink(drop: step >> 4)
        case 14: self.isObliging = argument & 1 == 0
        default: self.changeMood(argument)
        }
        self.check()
    }

    /// Everything is reset and acknowledged at the end: nothing may be held for it any more.
    mutating func end() throws(WireError) -> String? {
        for id in self.streams { self.session.reset(id, .cancelled) }
        self.session.pressure = .none
        try self.replaceLink(drop: 0)
        self.write(frames: 100_000)
        try self.replaceLink(drop: 0)
        self.check()
        guard self.session.replayBytes == 0 else { return "\(self.session.replayBytes) bytes kept of what was acknowledged" }
        guard self.session.streamCount == 0 || !self.isKnown else { return "\(self.session.streamCount) streams left over" }
        guard self.session.heldBytes <= Limits.framePayload else { return "\(self.session.heldBytes) bytes held for nothing" }
        return self.broken
    }

    private var isKnown: Bool { !self.streams.contains(where: self.session.isLive) }

    // MARK: The peer

    private mutating func receiveFrame(type: UInt8, stream: UInt8, _ script: inout ByteBuffer) throws(WireError) {
        let type = Self.types[Int(type)]
        let length = Int(script.readInteger(as: UInt8.self) ?? 0)
        let payload = script.readSlice(length: min(length, script.readableBytes)) ?? ByteBuffer()
        var frame = ByteBuffer()
        let id = type.belongsToStream ? StreamID(stream) : 0
        frame.writeInteger(FrameHeader(stream: id, type: type, length: payload.readableBytes).packed)
        frame.writeImmutableBuffer(payload)
        try self.receive(frame)
    }

    private mutating func receiveHonestAck(behind: UInt8) throws(WireError) {
        try self.receive(LinkFrames.ack(self.peer.received &- UInt64(behind >> 4)))
    }

    private mutating func receive(_ bytes: ByteBuffer) throws(WireError) {
        guard self.session.isAttached else { return }
        self.session.feed(bytes, now: self.now)
        while let event = try self.session.nextEvent(now: self.now) {
            switch event {
            case .open(let id, _):
                self.streams.append(id)
                if self.isObliging { self.session.opened(id) } else { self.session.refuse(id, Refusal(.other, "no")) }
            case .data(let id, let bytes):
                if bytes.readableBytes == 0 { self.broken = "an event with no data" }
                if self.isObliging { self.session.consumed(id, bytes.readableBytes) }
            case .refused(let id, _), .reset(let id, _):
                if self.session.isLive(id) { self.broken = "stream \(id) lives on after its end" }
            case .accepted, .opened, .finished, .control, .closed: break
            }
        }
    }

    // MARK: The link and the clock

    private mutating func write(frames: Int) {
        for _ in 0..<frames {
            guard let bytes = self.session.nextWrite(now: self.now) else { return }
            self.peer.feed(bytes)
            do throws(WireError) {
                while try self.peer.next() != nil {}
            } catch {
                self.broken = "the session sent what its peer refuses: \(error)"
            }
        }
    }

    /// The link breaks, and a new one starts at what the peer has.
    private mutating func replaceLink(drop: UInt8) throws(WireError) {
        self.session.detach(now: self.now)
        self.peer.linkLost()
        if drop & 1 == 1 { return }
        try self.session.attach(peerReceived: self.peer.received, now: self.now)
    }

    private mutating func wait(milliseconds: Int64) {
        self.now = self.now + .milliseconds(milliseconds)
        if self.session.onTimer(now: self.now) == .linkSilent {
            self.session.detach(now: self.now)
            self.peer.linkLost()
        }
    }

    // MARK: The local side

    private mutating func withStream(_ argument: UInt8, _ body: (inout Session, StreamID) -> Void) {
        guard !self.streams.isEmpty else { return }
        body(&self.session, self.streams[Int(argument) % self.streams.count])
    }

    private mutating func changeMood(_ argument: UInt8) {
        switch argument & 7 {
        case 0: self.session.pressure = .none
        case 1: self.session.pressure = .busy
        case 2: self.session.pressure = .exhausted
        case 3: self.session.drain(deadline: .seconds(1), reason: "drain")
        case 4: self.session.undrain()
        case 5: self.session.released = []
        default: while let id = self.session.nextHungry() { self.session.send(id, ByteBuffer(repeating: 1, count: 1_000)) }
        }
    }

    private mutating func check() {
        let session = self.session
        if session.heldBytes < 0 || session.replayBytes < 0 { self.broken = "a negative number of bytes is held" }
        if session.streamCount > 8 { self.broken = "more streams than allowed" }
        if session.released.count > 64 { self.broken = "more than 64 released buffers" }
        if self.peer.received > session.sent { self.broken = "the peer counts more than was sent" }
        _ = session.nextTimer
        _ = session.isSuspect(now: self.now)
    }
}
