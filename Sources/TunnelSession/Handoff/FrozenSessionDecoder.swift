import NIOCore
import TunnelWire

/// Puts a frozen session together from records of a handoff. Feed it every record of one session, in order; what it made is
/// only as good as the records say: `Session(thawing:configuration:now:)` judges it.
package struct FrozenSessionDecoder: Sendable {
    private var frozen: FrozenSession?
    /// Where in `frozen.streams` each stream is.
    private var places: [StreamID: Int] = [:]
    private var queuedBytes: UInt64 = 0
    private let mostStreams: Int

    package init() { self.init(mostStreams: FrozenSession.mostStreams) }

    init(mostStreams: Int) { self.mostStreams = mostStreams }

    /// Whether records of a session are still to come.
    package var isPending: Bool { self.frozen != nil }

    /// Takes one record, of a kind in `HandoffKind.ofSession`. Returns the session with its last record; the decoder is ready
    /// for another one then. After an error the rest of that session is to be skipped.
    package mutating func take(_ record: HandoffRecord) throws(ThawError) -> FrozenSession? {
        do throws(WireError) {
            return try self.read(record)
        } catch {
            self = FrozenSessionDecoder(mostStreams: self.mostStreams)
            throw ThawError("its record of kind 0x\(record.kind) is wrong: \(error.detail)")
        }
    }

    private mutating func read(_ record: HandoffRecord) throws(WireError) -> FrozenSession? {
        var payload = record.payload
        if record.kind == .session {
            guard self.frozen == nil else { throw WireError(.unexpected, "it begins inside another session") }
            self.frozen = try FrozenSession(reading: &payload)
            return nil
        }
        // The only owner must be this variable while arrays grow.
        guard var frozen = self.frozen else { throw WireError(.unexpected, "it belongs to no session") }
        self.frozen = nil
        switch record.kind {
        case .replay: try frozen.replay.readFrames(&payload)
        case .control: try frozen.control.readFrames(&payload)
        case .streams: try self.readStreams(&payload, into: &frozen)
        case .queued: try self.readQueued(&payload, into: &frozen)
        case .sessionEnd:
            try self.checkNumbers(&payload, of: frozen)
            self = FrozenSessionDecoder(mostStreams: self.mostStreams)
            return frozen
        default: throw WireError(.unexpected, "it is not part of a session")
        }
        self.frozen = frozen
        return nil
    }

    private mutating func readStreams(_ payload: inout ByteBuffer, into frozen: inout FrozenSession) throws(WireError) {
        while payload.readableBytes > 0 {
            let length = Int(try payload.readWire(UInt16.self, "length of a stream"))
            guard var entry = payload.readSlice(length: length) else { throw WireError(.malformed, "a stream is cut short") }
            // A few bytes here are many more in memory: the bound comes before the stream is made.
            guard frozen.streams.count < self.mostStreams else {
                throw WireError(.tooLong, "more than \(self.mostStreams) streams")
            }
            let stream = try FrozenSession.Stream(reading: &entry)
            // Two of one id are refused when all of it is judged.
            self.places[stream.id] = frozen.streams.count
            frozen.streams.append(stream)
        }
    }

    private mutating func readQueued(_ payload: inout ByteBuffer, into frozen: inout FrozenSession) throws(WireError) {
        while payload.readableBytes > 0 {
            let id = try payload.readWire(StreamID.self, "stream of queued bytes")
            let length = Int(try payload.readWire(UInt32.self, "length of queued bytes"))
            guard let place = self.places[id] else { throw WireError(.unexpected, "bytes for stream \(id), which is not there") }
            guard length > 0, let bytes = payload.readSlice(length: length) else {
                throw WireError(.malformed, "bytes of stream \(id) are cut short")
            }
            // A copy, so that a few bytes do not pin the whole record; with room for the header that a frame gets.
            frozen.streams[place].queued.append(bytes.copied(headroom: Limits.frameHeader))
            self.queuedBytes += UInt64(length)
        }
    }

    private func checkNumbers(_ payload: inout ByteBuffer, of frozen: FrozenSession) throws(WireError) {
        let found = [frozen.replay.count, frozen.control.count, frozen.streams.count].map { UInt64($0) } + [self.queuedBytes]
        let names = ["unacknowledged frames", "control frames", "streams", "queued bytes"]
        for (count, name) in zip(found, names) {
            let wanted = try payload.readWire(UInt64.self, "a number")
            guard count == wanted else { throw WireError(.malformed, "\(count) \(name) came, not \(wanted)") }
        }
    }
}

extension Array where Element == ByteBuffer {
    /// Appends whole frames, each one copied, so that it pins nothing but itself.
    fileprivate mutating func readFrames(_ payload: inout ByteBuffer) throws(WireError) {
        while payload.readableBytes > 0 {
            guard let header = payload.frameHeader else { throw WireError(.malformed, "a frame's header is cut short") }
            guard let frame = payload.readSlice(length: Limits.frameHeader + header.length) else {
                throw WireError(.malformed, "a frame is cut short")
            }
            self.append(frame.copied())
        }
    }
}

extension FrozenSession {
    fileprivate init(reading payload: inout ByteBuffer) throws(WireError) {
        let side = try payload.readWire(UInt8.self, "side")
        guard side == 1 || side == 2 else { throw WireError(.malformed, "side \(side)") }
        let flags = FrozenSessionFlags(rawValue: try payload.readWire(UInt8.self, "flags"))
        self.side = side == 1 ? .dialer : .acceptor
        self.received = try payload.readWire(UInt64.self, "bytes received")
        self.sent = try payload.readWire(UInt64.self, "bytes sent")
        self.acknowledged = try payload.readWire(UInt64.self, "bytes acknowledged")
        self.nextStream = try payload.readWire(StreamID.self, "next stream")
        self.highestPeerStream = try payload.readWire(StreamID.self, "the peer's highest stream")
        self.isDraining = flags.contains(.isDraining)
        self.isPeerDraining = flags.contains(.isPeerDraining)
        self.isWindowUnsaid = flags.contains(.isWindowUnsaid)
        let announced = try payload.readWire(UInt64.self, "announced resume window")
        let own = try payload.readWire(UInt64.self, "own resume window")
        self.announcedWindow = flags.contains(.hasAnnouncedWindow) ? .nanoseconds(Int64(clamping: announced)) : nil
        self.ownWindow = flags.contains(.hasOwnWindow) ? .nanoseconds(Int64(clamping: own)) : nil
        self.resumes = Int(clamping: try payload.readWire(UInt64.self, "resumes"))
        self.replayedBytes = try payload.readWire(UInt64.self, "replayed bytes")
        self.incomplete = nil
        self.replay = []
        self.control = []
        self.streams = []
        let header = FrameHeader(packed: try payload.readWire(UInt64.self, "incomplete frame"))
        let missing = Int(try payload.readWire(UInt32.self, "bytes it lacks"))
        let length = Int(try payload.readWire(UInt32.self, "its length"))
        guard flags.contains(.hasIncomplete) else { return }
        guard let gathered = payload.readSlice(length: length) else {
            throw WireError(.malformed, "an incomplete frame is cut short")
        }
        self.incomplete = IncompleteFrame(header: header, missing: missing, gathered: gathered.copied())
    }
}

extension FrozenSession.Stream {
    fileprivate init(reading entry: inout ByteBuffer) throws(WireError) {
        let id = try entry.readWire(StreamID.self, "stream id")
        let number = try entry.readWire(UInt8.self, "phase")
        guard let phase = FrozenSession.Phase(rawValue: number) else {
            throw WireError(.malformed, "phase \(number) of stream \(id)")
        }
        self.init(id: id, phase: phase)
        let flags = FrozenStreamFlags(rawValue: try entry.readWire(UInt8.self, "flags"))
        self.isLocalFinished = flags.contains(.isLocalFinished)
        self.isFinSent = flags.contains(.isFinSent)
        self.isRemoteFinished = flags.contains(.isRemoteFinished)
        self.sendCredit = Int(try entry.readWire(UInt32.self, "credit"))
        self.window = Int(try entry.readWire(UInt32.self, "window"))
        self.remaining = Int(try entry.readWire(UInt32.self, "rest of the window"))
        self.outstanding = Int(try entry.readWire(UInt32.self, "bytes not taken"))
    }
}
