import NIOCore
import TunnelWire

/// What the local side does with streams.
extension Session {
    /// Asks the peer for a stream. Its fate arrives as an event: accepted, then opened or refused.
    package mutating func open(_ open: Open) throws(Refusal) -> StreamID {
        guard !self.isPeerDraining else { throw Refusal(.draining, "the other end is draining") }
        guard self.pressure == .none else { throw Refusal(.busy, "the memory budget is nearly used up") }
        guard self.streams.count < self.configuration.streams else {
            throw Refusal(.busy, "the session has its \(self.configuration.streams) streams already")
        }
        guard self.controlBytes <= self.configuration.controlBytes / 2 else {
            // While a link is away, programs may try again and again; that alone must not end the session.
            throw Refusal(.busy, "too many requests wait for the other end")
        }
        while self.nextStream == 0 || self.streams[self.nextStream] != nil { self.nextStream &+= 2 }
        let id = self.nextStream
        self.nextStream &+= 2
        let frame = open.frame(stream: id)
        self.streams[id] = StreamState(phase: .opening, unsentOpen: frame.readableBytes)
        self.enqueueControl(frame)
        return id
    }

    /// The local side of a stream that the peer opened is connected.
    package mutating func opened(_ id: StreamID) {
        guard let index = self.streams.index(forKey: id), self.streams.values[index].phase == .answering else { return }
        self.streams.values[index].phase = .open
        self.enqueueControl(StreamFrames.empty(.opened, stream: id))
        self.schedule(id, at: index)
        self.markHungry(id, at: index)
        self.finishIfDrained(id, at: index)
    }

    /// A stream that the peer opened cannot be served.
    package mutating func refuse(_ id: StreamID, _ refusal: Refusal) {
        guard let stream = self.streams[id], stream.phase == .answering else { return }
        self.forget(id)
        self.enqueueControl(refusal.frame(stream: id))
    }

    /// Whether the session still knows the stream.
    package func isLive(_ id: StreamID) -> Bool { self.streams[id] != nil }

    /// Bytes read from the local program, before its `finish`. A buffer that is mostly empty is copied, so that it pins
    /// nothing.
    package mutating func send(_ id: StreamID, _ bytes: consuming ByteBuffer) {
        guard bytes.readableBytes > 0, let index = self.streams.index(forKey: id) else { return }
        guard !self.streams.values[index].isLocalFinished else { return }
        if bytes.readableBytes * 4 < bytes.storageCapacity {
            bytes = bytes.copied(headroom: Limits.frameHeader)
        }
        self.queuedFootprint += bytes.storageCapacity
        self.streams.values[index].outbound.append(bytes)
        self.schedule(id, at: index)
    }

    /// The local program will send no more on this stream.
    package mutating func finish(_ id: StreamID) {
        guard let index = self.streams.index(forKey: id), !self.streams.values[index].isLocalFinished else { return }
        self.streams.values[index].isLocalFinished = true
        self.finishIfDrained(id, at: index)
    }

    /// Ends the stream at once and tells the peer.
    package mutating func reset(_ id: StreamID, _ code: ResetCode) {
        guard let stream = self.streams[id] else { return }
        self.forget(id)
        // A stream whose both ends are finished is over for the peer; only bytes on their way out were left here.
        guard !(stream.isFinSent && stream.isRemoteFinished) else { return }
        guard stream.unsentOpen == 0 else { return self.withdrawOpen(id, bytes: stream.unsentOpen) }
        self.enqueueControl(Reset(code).frame(stream: id))
    }

    /// Takes back an OPEN that has not been sent yet: the peer never hears of the stream. The frame stays in the queue until
    /// most of what waits there is of that kind, because looking for each would take longer the more there are.
    private mutating func withdrawOpen(_ id: StreamID, bytes: Int) {
        self.controlQueued -= bytes
        self.withdrawn.insert(id)
        guard self.withdrawn.count * 2 >= self.control.count else { return }
        self.dropWithdrawn()
    }

    /// Removes from the queue what was taken back.
    mutating func dropWithdrawn() {
        guard !self.withdrawn.isEmpty else { return }
        let withdrawn = self.withdrawn
        self.control.removeAll { frame in frame.openedStream.map(withdrawn.contains) ?? false }
        self.withdrawn = []
    }

    /// The next control frame that is still wanted.
    mutating func nextControl() -> ByteBuffer? {
        while let frame = self.control.popFirst() {
            guard let id = frame.openedStream else { return frame }
            guard self.withdrawn.remove(id) == nil else { continue }
            self.streams[id]?.unsentOpen = 0
            return frame
        }
        return nil
    }

    /// The local program has taken `bytes` of what `data` events delivered.
    package mutating func consumed(_ id: StreamID, _ bytes: Int) {
        guard let index = self.streams.index(forKey: id) else { return }
        let before = self.streams.values[index].incoming.outstanding
        let isDue = self.streams.values[index].incoming.take(bytes)
        self.outstanding -= before - self.streams.values[index].incoming.outstanding
        if isDue, !self.streams.values[index].isCreditDue, !self.streams.values[index].isRemoteFinished {
            self.streams.values[index].isCreditDue = true
            self.creditDue.append(id)
        }
        self.forgetIfDone(id, at: index)
    }

    /// A stream whose source should be read now; it is read once, then asked for again. Nil while there is no link or
    /// what is unacknowledged fills the replay buffer.
    package mutating func nextHungry() -> StreamID? {
        guard self.mayReadSources else { return nil }
        while let id = self.hungry.popFirst() {
            guard let index = self.streams.index(forKey: id) else { continue }
            self.streams.values[index].isHungry = false
            if self.streams.values[index].wantsSource { return id }
        }
        return nil
    }

    /// Whether more than one stream has bytes to send: reads are then kept to a quantum.
    package var isCompeting: Bool { self.ring.count > 1 }

    private var mayReadSources: Bool {
        self.isAttached && self.replay.footprint < self.configuration.replayBuffer && self.pressure != .exhausted
    }

    // MARK: Bookkeeping

    mutating func schedule(_ id: StreamID, at index: Dictionary<StreamID, StreamState>.Index) {
        guard !self.streams.values[index].isScheduled, self.streams.values[index].isSendable else { return }
        self.streams.values[index].isScheduled = true
        self.ring.append(id)
    }

    mutating func markHungry(_ id: StreamID, at index: Dictionary<StreamID, StreamState>.Index) {
        guard !self.streams.values[index].isHungry, self.streams.values[index].wantsSource else { return }
        self.streams.values[index].isHungry = true
        self.hungry.append(id)
    }

    /// Queues the FIN behind the last byte. It goes with the control frames, because it may not wait for the replay
    /// buffer to become free. The stream may be forgotten, so `index` is not valid any more.
    mutating func finishIfDrained(_ id: StreamID, at index: Dictionary<StreamID, StreamState>.Index) {
        guard self.streams.values[index].isFinReady else { return }
        self.streams.values[index].isFinSent = true
        self.enqueueControl(StreamFrames.empty(.fin, stream: id))
        self.forgetIfDone(id, at: index)
    }

    mutating func forgetIfDone(_ id: StreamID, at index: Dictionary<StreamID, StreamState>.Index) {
        if self.streams.values[index].isDone { self.forget(id) }
    }

    /// The stream is over: gives back all that was counted for it.
    mutating func forget(_ id: StreamID) {
        guard let stream = self.streams.removeValue(forKey: id) else { return }
        self.queuedFootprint -= stream.outbound.footprint
        self.outstanding -= stream.incoming.outstanding
        self.windowGrowth -= stream.incoming.growth
    }
}

extension ByteBuffer {
    /// The stream of a frame that is an OPEN, nil for any other.
    fileprivate var openedStream: StreamID? {
        guard let packed = self.getInteger(at: self.readerIndex, as: UInt64.self) else { return nil }
        let header = FrameHeader(packed: packed)
        return header.type == .open ? header.stream : nil
    }
}
