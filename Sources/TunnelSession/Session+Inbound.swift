import NIOCore
import Timing
import TunnelWire

/// Bytes of the link, turned into events.
extension Session {
    /// Hands over bytes of the link. Call `nextEvent` until it returns nil before feeding more.
    package mutating func feed(_ bytes: ByteBuffer, now: Moment) {
        self.heartbeat.heard(now: now)
        self.decoder.feed(bytes)
    }

    /// The next thing that the bytes mean. A thrown error is the peer's violation: close the link, end the session.
    package mutating func nextEvent(now: Moment) throws(WireError) -> SessionEvent? {
        while let decoded = try self.decoder.next() {
            self.acks.received(self.decoder.received, now: now)
            let event =
                switch decoded {
                case .data(let stream, let bytes): try self.onData(stream, bytes)
                case .frame(let header, let payload): try self.onFrame(header, payload, now: now)
                }
            if let event { return event }
        }
        self.acks.received(self.decoder.received, now: now)
        try self.checkControlFlood()
        return nil
    }

    private mutating func onFrame(_ header: FrameHeader, _ payload: ByteBuffer, now: Moment) throws(WireError) -> SessionEvent? {
        var payload = payload
        let id = header.stream
        switch header.type {
        case .open: return try self.onOpen(id, Open(reading: &payload))
        case .accepted: return try self.onAccepted(id)
        case .opened: return try self.onOpened(id)
        case .refused: return try self.onRefused(id, Refusal(reading: &payload))
        case .credit: return try self.onCredit(id, payload.readWire(UInt32.self, "credit"))
        case .fin: return try self.onFin(id)
        case .reset: return try self.onReset(id, Reset(reading: &payload))
        case .ack:
            try self.onAck(payload.readWire(UInt64.self, "count"))
        case .ping:
            self.pongMark = try payload.readWire(UInt64.self, "mark")
        case .pong:
            self.heartbeat.pongReceived(mark: try payload.readWire(UInt64.self, "mark"), now: now)
        case .close:
            return .closed(try Close(reading: &payload))
        case .hello, .proof, .welcome:
            throw WireError(.unexpected, "a handshake frame inside a session")
        default:
            return try self.onControl(header.type, payload)
        }
        return nil
    }

    private mutating func onControl(_ type: FrameType, _ payload: ByteBuffer) throws(WireError) -> SessionEvent? {
        guard let message = try ControlMessage(type, payload: payload) else { return nil }
        switch message {
        case .goAway(let goAway): self.isPeerDraining = !goAway.isCalledOff
        // Only who dials knows how long it will look for a link; a server's wish is none of a client's business.
        case .resumeWindow(let window) where self.side == .acceptor:
            self.announcedWindow = min(.milliseconds(Int64(window.milliseconds)), .seconds(3600))
        default: break
        }
        return .control(message)
    }

    private mutating func onAck(_ count: UInt64) throws(WireError) {
        var released: [ByteBuffer] = []
        swap(&released, &self.released)
        defer { swap(&released, &self.released) }
        try self.replay.acknowledge(count) { frame in
            if released.count < 64, frame.storageCapacity >= 16_384 { released.append(frame) }
        }
    }

    // MARK: Streams

    private mutating func onData(_ id: StreamID, _ bytes: ByteBuffer) throws(WireError) -> SessionEvent? {
        guard let index = try self.liveStream(id) else { return nil }
        guard self.streams.values[index].phase == .open, !self.streams.values[index].isRemoteFinished else {
            throw WireError(.unexpected, "data on stream \(id), which is not open")
        }
        guard self.streams.values[index].incoming.receive(bytes.readableBytes) else {
            throw WireError(.creditExceeded, "\(bytes.readableBytes) bytes on stream \(id)")
        }
        self.outstanding += bytes.readableBytes
        return .data(id, bytes)
    }

    private mutating func onOpen(_ id: StreamID, _ open: Open) throws(WireError) -> SessionEvent? {
        guard !self.isOwn(id), self.streams[id] == nil, self.isNewer(id, than: self.highestPeerStream) else {
            throw WireError(.unexpected, "OPEN with stream id \(id)")
        }
        self.highestPeerStream = id
        if let refusal = self.refusalForNewStream() {
            self.enqueueControl(refusal.frame(stream: id))
            return nil
        }
        self.streams[id] = StreamState(phase: .answering)
        self.enqueueControl(StreamFrames.empty(.accepted, stream: id))
        return .open(id, open)
    }

    private func refusalForNewStream() -> Refusal? {
        if self.isDraining { return Refusal(.draining, "this process is draining") }
        if self.pressure != .none { return Refusal(.busy, "the memory budget is nearly used up") }
        if self.streams.count >= self.configuration.streams {
            return Refusal(.busy, "the session has its \(self.configuration.streams) streams already")
        }
        return nil
    }

    private mutating func onAccepted(_ id: StreamID) throws(WireError) -> SessionEvent? {
        guard let index = try self.liveStream(id) else { return nil }
        guard self.streams.values[index].phase == .opening else { throw WireError(.unexpected, "ACCEPTED on stream \(id)") }
        self.streams.values[index].phase = .accepted
        return .accepted(id)
    }

    private mutating func onOpened(_ id: StreamID) throws(WireError) -> SessionEvent? {
        guard let index = try self.liveStream(id) else { return nil }
        let phase = self.streams.values[index].phase
        guard phase == .opening || phase == .accepted else { throw WireError(.unexpected, "OPENED on stream \(id)") }
        self.streams.values[index].phase = .open
        self.schedule(id, at: index)
        self.markHungry(id, at: index)
        self.finishIfDrained(id, at: index)
        return .opened(id)
    }

    private mutating func onRefused(_ id: StreamID, _ refusal: Refusal) throws(WireError) -> SessionEvent? {
        guard let index = try self.liveStream(id) else { return nil }
        let phase = self.streams.values[index].phase
        guard phase == .opening || phase == .accepted else { throw WireError(.unexpected, "REFUSED on stream \(id)") }
        self.forget(id)
        return .refused(id, refusal)
    }

    private mutating func onCredit(_ id: StreamID, _ credit: UInt32) throws(WireError) -> SessionEvent? {
        guard let index = try self.liveStream(id) else { return nil }
        let total = self.streams.values[index].sendCredit + Int(credit)
        guard total <= Int(Int32.max) else { throw WireError(.creditExceeded, "credit of \(total) bytes on stream \(id)") }
        self.streams.values[index].sendCredit = total
        self.schedule(id, at: index)
        self.markHungry(id, at: index)
        return nil
    }

    private mutating func onFin(_ id: StreamID) throws(WireError) -> SessionEvent? {
        guard let index = try self.liveStream(id) else { return nil }
        guard self.streams.values[index].phase == .open, !self.streams.values[index].isRemoteFinished else {
            throw WireError(.unexpected, "FIN on stream \(id)")
        }
        self.streams.values[index].isRemoteFinished = true
        self.forgetIfDone(id, at: index)
        return .finished(id)
    }

    private mutating func onReset(_ id: StreamID, _ reset: Reset) throws(WireError) -> SessionEvent? {
        guard try self.liveStream(id) != nil else { return nil }
        self.forget(id)
        return .reset(id, reset.code)
    }

    // MARK: Stream ids

    /// The stream's place; nil when it lived and is gone, which is a legal drop. One that never was is a violation.
    private func liveStream(_ id: StreamID) throws(WireError) -> Dictionary<StreamID, StreamState>.Index? {
        if let index = self.streams.index(forKey: id) { return index }
        let isPast = self.isOwn(id) ? self.isNewer(self.nextStream, than: id) : !self.isNewer(id, than: self.highestPeerStream)
        guard isPast else { throw WireError(.unexpected, "stream \(id) was never opened") }
        return nil
    }

    private func isOwn(_ id: StreamID) -> Bool { (id & 1 == 1) == (self.side == .dialer) }

    /// Serial number arithmetic (RFC 1982): ids may wrap around after two thousand million streams.
    private func isNewer(_ id: StreamID, than other: StreamID) -> Bool { Int32(bitPattern: id &- other) > 0 }
}
