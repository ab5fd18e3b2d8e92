import NIOCore
import Timing
import TunnelWire

/// Turns a frozen session into records of a handoff, one at a time, so that never more than one of them is a copy.
///
/// ```
/// session      side u8 · flags u8 · received, sent, acknowledged u64 · next stream, highest of the peer's u32
///              · announced window, own window (ns) u64 · resumes, replayed bytes u64
///              · header of the incomplete frame u64 · bytes it lacks u32 · bytes gathered u32 · those
/// replay       frames, each behind its own header                                       (any number of records)
/// control      the same                                                                 (any number)
/// streams      length of the entry u16 · id u32 · phase u8 · flags u8 · send credit, window, remaining, outstanding u32   (any)
/// queued       stream id u32 · length u32 · bytes, again and again                      (any)
/// session end  numbers of unacknowledged frames, control frames, streams and queued bytes, u64 each
/// ```
/// Bytes behind the last known field of a fixed record or of a stream's entry are ignored, so that a later version may add
/// fields at the end. Records are filled up to about 256 KiB.
package struct FrozenSessionEncoder: Sequence, IteratorProtocol, Sendable {
    private enum Part { case session, replay, control, streams, queued, end, over }

    private let frozen: FrozenSession
    private var part = Part.session
    /// The next frame or stream of the present part.
    private var place = 0
    /// The next buffer of the stream at `place`, and how much of that is written.
    private var buffer = 0
    private var written = 0
    private var queuedBytes: UInt64 = 0

    private static let recordBytes = 256 << 10

    package init(_ frozen: FrozenSession) { self.frozen = frozen }

    /// The next record, nil behind the last one.
    package mutating func next() -> HandoffRecord? {
        switch self.part {
        case .session:
            self.part = .replay
            return HandoffRecord(.session, self.frozen.encodedCounts())
        case .replay: return self.frames(.replay, self.frozen.replay, then: .control)
        case .control: return self.frames(.control, self.frozen.control, then: .streams)
        case .streams: return self.streams()
        case .queued: return self.queued()
        case .end:
            self.part = .over
            return HandoffRecord(.sessionEnd, self.encodedNumbers())
        case .over: return nil
        }
    }

    private mutating func goOn(with part: Part) -> HandoffRecord? {
        self.part = part
        self.place = 0
        return self.next()
    }

    private mutating func frames(_ kind: HandoffKind, _ frames: [ByteBuffer], then part: Part) -> HandoffRecord? {
        guard self.place < frames.count else { return self.goOn(with: part) }
        let first = self.place
        var bytes = 0
        // A frame is at most 64 KiB and a header, so this stays far below the bound of a record.
        while self.place < frames.count, bytes < Self.recordBytes {
            bytes += frames[self.place].readableBytes
            self.place += 1
        }
        var payload = ByteBufferAllocator().buffer(capacity: bytes)
        for frame in frames[first..<self.place] { payload.writeImmutableBuffer(frame) }
        return HandoffRecord(kind, payload)
    }

    private mutating func streams() -> HandoffRecord? {
        guard self.place < self.frozen.streams.count else { return self.goOn(with: .queued) }
        var payload = ByteBuffer()
        while self.place < self.frozen.streams.count, payload.readableBytes < Self.recordBytes {
            self.frozen.streams[self.place].write(into: &payload)
            self.place += 1
        }
        return HandoffRecord(.streams, payload)
    }

    private mutating func queued() -> HandoffRecord? {
        var payload = ByteBuffer()
        while self.place < self.frozen.streams.count, payload.readableBytes < Self.recordBytes {
            let stream = self.frozen.streams[self.place]
            guard self.buffer < stream.queued.count else {
                self.place += 1
                self.buffer = 0
                continue
            }
            self.writePiece(of: stream.queued[self.buffer], stream: stream.id, into: &payload)
        }
        guard payload.readableBytes > 0 else { return self.goOn(with: .end) }
        return HandoffRecord(.queued, payload)
    }

    /// What is left of a buffer, at most a record's worth of it.
    private mutating func writePiece(of buffer: ByteBuffer, stream: StreamID, into payload: inout ByteBuffer) {
        let count = Swift.min(buffer.readableBytes - self.written, Self.recordBytes)
        if count > 0, let piece = buffer.getSlice(at: buffer.readerIndex + self.written, length: count) {
            payload.writeInteger(stream)
            payload.writeInteger(UInt32(count))
            payload.writeImmutableBuffer(piece)
            self.written += count
            self.queuedBytes += UInt64(count)
        }
        guard self.written >= buffer.readableBytes else { return }
        self.written = 0
        self.buffer += 1
    }

    private func encodedNumbers() -> ByteBuffer {
        var payload = ByteBuffer()
        for count in [self.frozen.replay.count, self.frozen.control.count, self.frozen.streams.count] {
            payload.writeInteger(UInt64(count))
        }
        payload.writeInteger(self.queuedBytes)
        return payload
    }
}

/// The bits of a session's flags.
struct FrozenSessionFlags: OptionSet {
    var rawValue: UInt8

    static let isDraining = FrozenSessionFlags(rawValue: 1)
    static let isPeerDraining = FrozenSessionFlags(rawValue: 2)
    static let isWindowUnsaid = FrozenSessionFlags(rawValue: 4)
    static let hasAnnouncedWindow = FrozenSessionFlags(rawValue: 8)
    static let hasOwnWindow = FrozenSessionFlags(rawValue: 16)
    static let hasIncomplete = FrozenSessionFlags(rawValue: 32)
}

/// The bits of a stream's flags.
struct FrozenStreamFlags: OptionSet {
    var rawValue: UInt8

    static let isLocalFinished = FrozenStreamFlags(rawValue: 1)
    static let isFinSent = FrozenStreamFlags(rawValue: 2)
    static let isRemoteFinished = FrozenStreamFlags(rawValue: 4)
}

extension FrozenSession {
    fileprivate var flags: FrozenSessionFlags {
        var flags: FrozenSessionFlags = []
        if self.isDraining { flags.insert(.isDraining) }
        if self.isPeerDraining { flags.insert(.isPeerDraining) }
        if self.isWindowUnsaid { flags.insert(.isWindowUnsaid) }
        if self.announcedWindow != nil { flags.insert(.hasAnnouncedWindow) }
        if self.ownWindow != nil { flags.insert(.hasOwnWindow) }
        if self.incomplete != nil { flags.insert(.hasIncomplete) }
        return flags
    }

    fileprivate func encodedCounts() -> ByteBuffer {
        var payload = ByteBuffer()
        payload.writeInteger(UInt8(self.side == .dialer ? 1 : 2))
        payload.writeInteger(self.flags.rawValue)
        for count in [self.received, self.sent, self.acknowledged] { payload.writeInteger(count) }
        payload.writeInteger(self.nextStream)
        payload.writeInteger(self.highestPeerStream)
        for window in [self.announcedWindow, self.ownWindow] {
            payload.writeInteger(UInt64(clamping: (window ?? .zero).wholeNanoseconds))
        }
        payload.writeInteger(UInt64(clamping: self.resumes))
        payload.writeInteger(self.replayedBytes)
        payload.writeInteger(self.incomplete?.header.packed ?? 0)
        payload.writeInteger(UInt32(clamping: self.incomplete?.missing ?? 0))
        let gathered = self.incomplete?.gathered ?? ByteBuffer()
        payload.writeInteger(UInt32(clamping: gathered.readableBytes))
        payload.writeImmutableBuffer(gathered)
        return payload
    }
}

extension FrozenSession.Stream {
    /// Bytes of an entry, without its length.
    static let entryBytes = 22

    fileprivate func write(into payload: inout ByteBuffer) {
        var flags: FrozenStreamFlags = []
        if self.isLocalFinished { flags.insert(.isLocalFinished) }
        if self.isFinSent { flags.insert(.isFinSent) }
        if self.isRemoteFinished { flags.insert(.isRemoteFinished) }
        payload.writeInteger(UInt16(Self.entryBytes))
        payload.writeInteger(self.id)
        payload.writeInteger(self.phase.rawValue)
        payload.writeInteger(flags.rawValue)
        for bytes in [self.sendCredit, self.window, self.remaining, self.outstanding] {
            payload.writeInteger(UInt32(clamping: bytes))
        }
    }
}
