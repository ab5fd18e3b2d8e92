import NIOCore
import Timing
import TunnelWire

extension Session {
    /// Takes a picture of the session, to go on with it elsewhere. Buffers are shared, not copied.
    ///
    /// `detach` it first, and use it no more afterwards: there are two of it now. One that still has a link is frozen as if the
    /// link were lost at this moment: bytes that were fed and not decoded are dropped, and the peer sends them again.
    package func freeze() -> FrozenSession {
        var session = self
        session.dropWithdrawn()
        return FrozenSession(
            side: session.side, received: session.received, incomplete: session.decoder.incomplete, sent: session.replay.sent,
            acknowledged: session.replay.acknowledged, replay: session.replay.frames, control: Array(session.control),
            nextStream: session.nextStream, highestPeerStream: session.highestPeerStream, isDraining: session.isDraining,
            isPeerDraining: session.isPeerDraining, announcedWindow: session.announcedWindow,
            ownWindow: session.ownWindow.map { max(.zero, min($0, FrozenSession.longestWindow)) },
            isWindowUnsaid: session.isWindowUnsaid, resumes: session.resumes, replayedBytes: session.replayedBytes,
            streams: session.streams.sorted { $0.key < $1.key }.map { FrozenSession.Stream(id: $0.key, $0.value) })
    }

    /// Goes on with a frozen session. It has no link as of `now`, from which its resume window counts as well.
    ///
    /// Every stream with bytes and credit is scheduled, every stream that wants its source is hungry, credit that was due is
    /// due. Rates begin anew. Bounds of `configuration` that are narrower than what the session holds apply to what comes.
    /// For `outstanding` bytes see ``FrozenSession``.
    package init(thawing frozen: FrozenSession, configuration: SessionConfiguration, now: Moment) throws(ThawError) {
        if let fault = frozen.fault { throw ThawError(fault) }
        self.init(side: frozen.side, configuration: configuration, now: now)
        self.decoder = FrameDecoder(received: frozen.received, incomplete: frozen.incomplete)
        self.replay = ReplayLog(sent: frozen.sent, acknowledged: frozen.acknowledged, frames: frozen.replay)
        self.nextStream = frozen.nextStream
        self.highestPeerStream = frozen.highestPeerStream
        self.isDraining = frozen.isDraining
        self.isPeerDraining = frozen.isPeerDraining
        self.announcedWindow = frozen.announcedWindow
        self.ownWindow = frozen.ownWindow
        self.isWindowUnsaid = frozen.isWindowUnsaid
        self.resumes = frozen.resumes
        self.replayedBytes = frozen.replayedBytes
        self.streams.reserveCapacity(frozen.streams.count)
        for stream in frozen.streams { self.add(stream) }
        for frame in frozen.control { self.queueAgain(frame) }
        for stream in frozen.streams { self.wake(stream.id) }
        self.detachedAt = now
    }

    private mutating func add(_ stream: FrozenSession.Stream) {
        let state = StreamState(thawing: stream)
        self.queuedFootprint += state.outbound.footprint
        self.outstanding += state.incoming.outstanding
        self.windowGrowth += state.incoming.growth
        self.streams[stream.id] = state
    }

    private mutating func queueAgain(_ frame: ByteBuffer) {
        self.enqueueControl(frame)
        guard let header = frame.frameHeader, header.type == .open else { return }
        self.streams[header.stream]?.unsentOpen = frame.readableBytes
    }

    /// Puts the stream into the lists where it belongs.
    private mutating func wake(_ id: StreamID) {
        guard let index = self.streams.index(forKey: id) else { return }
        if self.streams.values[index].incoming.isDue, !self.streams.values[index].isRemoteFinished {
            self.streams.values[index].isCreditDue = true
            self.creditDue.append(id)
        }
        self.schedule(id, at: index)
        self.markHungry(id, at: index)
        self.finishIfDrained(id, at: index)
    }
}

extension StreamState {
    fileprivate init(thawing frozen: FrozenSession.Stream) {
        self.init(phase: Phase(frozen.phase))
        for bytes in frozen.queued where bytes.readableBytes > 0 { self.outbound.append(bytes) }
        self.sendCredit = frozen.sendCredit
        self.incoming = CreditWindow(window: frozen.window, remaining: frozen.remaining, outstanding: frozen.outstanding)
        self.isLocalFinished = frozen.isLocalFinished
        self.isFinSent = frozen.isFinSent
        self.isRemoteFinished = frozen.isRemoteFinished
    }
}

extension StreamState.Phase {
    fileprivate init(_ phase: FrozenSession.Phase) {
        switch phase {
        case .opening: self = .opening
        case .accepted: self = .accepted
        case .answering: self = .answering
        case .open: self = .open
        }
    }
}

extension FrozenSession.Stream {
    fileprivate init(id: StreamID, _ state: StreamState) {
        let phase: FrozenSession.Phase =
            switch state.phase {
            case .opening: .opening
            case .accepted: .accepted
            case .answering: .answering
            case .open: .open
            }
        self.init(id: id, phase: phase)
        self.queued = state.outbound.buffers
        self.sendCredit = state.sendCredit
        self.window = state.incoming.window
        self.remaining = state.incoming.remaining
        self.outstanding = state.incoming.outstanding
        self.isLocalFinished = state.isLocalFinished
        self.isFinSent = state.isFinSent
        self.isRemoteFinished = state.isRemoteFinished
    }
}

extension ByteBuffer {
    /// The header of the frame that begins here, nil when there are not enough bytes for one.
    var frameHeader: FrameHeader? {
        self.getInteger(at: self.readerIndex, as: UInt64.self).map { FrameHeader(packed: $0) }
    }
}
