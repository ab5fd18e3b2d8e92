import NIOCore
import Timing
import TunnelWire

/// What goes onto the link, and in which order.
extension Session {
    /// The next frame for a link that is writable, nil when there is nothing to send.
    ///
    /// The rest of a frame that the last link cut comes first. Then what is not sequenced (ACK, PONG, PING), what must
    /// be sent again, control frames, credit, and at last data, each stream in its turn.
    package mutating func nextWrite(now: Moment) -> ByteBuffer? {
        guard self.isAttached else { return nil }
        if self.replay.mustFinishFrame { return self.replay.nextReplay() }
        if let frame = self.nextUnsequenced(now: now) { return frame }
        if self.replay.isReplaying { return self.replay.nextReplay() }
        if let frame = self.nextControl() {
            self.controlQueued -= frame.readableBytes
            return self.sequence(frame, isControl: true)
        }
        if let frame = self.nextCredit(now: now) { return self.sequence(frame, isControl: true) }
        return self.nextData(now: now)
    }

    private mutating func sequence(_ frame: ByteBuffer, isControl: Bool) -> ByteBuffer {
        self.replay.append(frame, isControl: isControl)
        return frame
    }

    private mutating func nextUnsequenced(now: Moment) -> ByteBuffer? {
        if self.acks.isDue(self.received, now: now) {
            self.acks.sent(self.received)
            return LinkFrames.ack(self.received)
        }
        if let mark = self.pongMark {
            self.pongMark = nil
            return LinkFrames.pong(mark)
        }
        if self.heartbeat.isPingDue(now: now, hasStreams: !self.streams.isEmpty) {
            self.heartbeat.pingSent(now: now)
            return LinkFrames.ping(UInt64(bitPattern: now.nanoseconds))
        }
        return nil
    }

    private mutating func nextCredit(now: Moment) -> ByteBuffer? {
        guard self.pressure != .exhausted, self.creditRate?.isOpen(now: now) ?? true else { return nil }
        while let id = self.creditDue.popFirst() {
            guard let index = self.streams.index(forKey: id) else { continue }
            self.streams.values[index].isCreditDue = false
            guard !self.streams.values[index].isRemoteFinished else { continue }
            let before = self.streams.values[index].incoming.growth
            let credit = self.streams.values[index].incoming.grant(
                now: now, roundTrip: self.roundTrip, maximum: self.configuration.maximumStreamWindow,
                room: max(0, self.configuration.windowGrowth - self.windowGrowth))
            self.windowGrowth += self.streams.values[index].incoming.growth - before
            self.creditRate?.spend(Int(credit))
            if credit > 0 { return StreamFrames.credit(credit, stream: id) }
        }
        return nil
    }

    /// Deficit round robin (Shreedhar and Varghese, 1995) over the streams that have bytes and credit. A stream that
    /// is alone may fill a whole frame.
    private mutating func nextData(now: Moment) -> ByteBuffer? {
        guard self.replay.footprint < self.configuration.replayBuffer, self.sendRate?.isOpen(now: now) ?? true else { return nil }
        while let id = self.ring.popFirst() {
            guard let index = self.streams.index(forKey: id) else { continue }
            self.streams.values[index].isScheduled = false
            guard self.streams.values[index].isSendable else { continue }
            guard let frame = self.dataFrame(id, at: index) else { continue }
            return self.sequence(frame, isControl: false)
        }
        return nil
    }

    private mutating func dataFrame(_ id: StreamID, at index: Dictionary<StreamID, StreamState>.Index) -> ByteBuffer? {
        let isAlone = self.ring.isEmpty
        var limit = self.streams.values[index].sendCredit
        if !isAlone {
            self.streams.values[index].deficit += self.configuration.quantum
            limit = min(limit, self.streams.values[index].deficit)
        }
        let before = self.streams.values[index].outbound.footprint
        guard let frame = self.streams.values[index].outbound.nextFrame(stream: id, limit: limit) else { return nil }
        self.queuedFootprint += self.streams.values[index].outbound.footprint - before
        let length = frame.readableBytes - Limits.frameHeader
        self.streams.values[index].sendCredit -= length
        self.sendRate?.spend(length)
        self.keepTurn(id, at: index, isAlone: isAlone, spent: length)
        self.markHungry(id, at: index)
        self.finishIfDrained(id, at: index)
        return frame
    }

    /// The stream goes to the end of the ring, or stays in front while much of its turn is left.
    private mutating func keepTurn(
        _ id: StreamID, at index: Dictionary<StreamID, StreamState>.Index, isAlone: Bool, spent: Int
    ) {
        guard self.streams.values[index].isSendable else {
            self.streams.values[index].deficit = 0
            return
        }
        let deficit = isAlone ? 0 : max(0, self.streams.values[index].deficit - spent)
        self.streams.values[index].isScheduled = true
        if deficit >= max(1, self.configuration.quantum / 4) {
            // The next visit adds a quantum; take it off here, so that a turn is one quantum in all.
            self.streams.values[index].deficit = deficit - self.configuration.quantum
            self.ring.prepend(id)
        } else {
            self.streams.values[index].deficit = deficit
            self.ring.append(id)
        }
    }
}
