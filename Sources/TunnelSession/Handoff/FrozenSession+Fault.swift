import NIOCore
import TunnelWire

/// What cannot be. A frozen session comes out of a file, so nothing in it is believed.
extension FrozenSession {
    /// No count of bytes gets this far: sums of a few of them stay below 2^64.
    static let largestCount: UInt64 = 1 << 62
    /// The most streams that a thaw takes; the configuration allows no more (1 000 000 for a client).
    static let mostStreams = 1 << 20
    /// The most that a stream may be given or give, as `Session` bounds it.
    static let largestCredit = Int(Int32.max)
    /// How long any session may wait for a link: what fits into the message about it (49 days).
    static let longestWindow = Duration.milliseconds(Int64(UInt32.max))

    /// The first thing that is wrong, nil when nothing is.
    var fault: String? {
        self.countFault ?? self.windowFault ?? self.incomplete?.fault ?? self.replayFault ?? self.idFault ?? self.streamFault
            ?? self.controlFault
    }

    private var countFault: String? {
        let counts = [self.received, self.sent, self.acknowledged, self.replayedBytes, UInt64(clamping: self.resumes)]
        if let count = counts.first(where: { $0 > Self.largestCount }) { return "a count of \(count) cannot be" }
        if self.resumes < 0 { return "it was resumed \(self.resumes) times" }
        let taken = UInt64(clamping: self.incomplete?.taken ?? 0)
        return taken <= self.received ? nil : "\(taken) bytes of an incomplete frame, but only \(self.received) bytes received"
    }

    private var windowFault: String? {
        for window in [self.announcedWindow, self.ownWindow] {
            guard let window, window < .zero || window > Self.longestWindow else { continue }
            return "a resume window of \(window)"
        }
        return nil
    }

    // MARK: Frames

    private var replayFault: String? {
        var bytes: UInt64 = 0
        for (place, frame) in self.replay.enumerated() {
            if let fault = frame.frameFault { return "unacknowledged frame \(place) \(fault)" }
            bytes += UInt64(frame.readableBytes)
        }
        guard self.acknowledged <= self.sent else {
            return "\(self.acknowledged) bytes are acknowledged of \(self.sent)"
        }
        let first = UInt64(self.replay.first?.readableBytes ?? 0)
        let wanted = self.sent - self.acknowledged
        // The first frame may be acknowledged in part, but not wholly.
        let fits = self.replay.isEmpty ? wanted == 0 : bytes - first < wanted && wanted <= bytes
        return fits && bytes <= self.sent ? nil : "\(bytes) bytes of frames are kept, but \(wanted) are not acknowledged"
    }

    private var controlFault: String? {
        var opening: [StreamID: Phase] = [:]
        for stream in self.streams where stream.phase == .opening { opening[stream.id] = stream.phase }
        for (place, frame) in self.control.enumerated() {
            if let fault = frame.frameFault { return "queued frame \(place) \(fault)" }
            guard let header = frame.frameHeader else { continue }
            if header.type == .data { return "queued frame \(place) is DATA" }
            // Each stream is opened once, and taken back with its frame.
            if header.type == .open, opening.removeValue(forKey: header.stream) == nil {
                return "queued frame \(place) opens stream \(header.stream), which is not waiting for it"
            }
        }
        return nil
    }

    // MARK: Streams

    private func isOwn(_ id: StreamID) -> Bool { (id & 1 == 1) == (self.side == .dialer) }

    private var idFault: String? {
        guard self.isOwn(self.nextStream) else { return "the next stream to open would be \(self.nextStream)" }
        guard self.highestPeerStream == 0 || !self.isOwn(self.highestPeerStream) else {
            return "the other end opened stream \(self.highestPeerStream)"
        }
        return nil
    }

    private var streamFault: String? {
        guard self.streams.count <= Self.mostStreams else { return "\(self.streams.count) streams" }
        var seen: Set<StreamID> = []
        seen.reserveCapacity(self.streams.count)
        for stream in self.streams {
            if !seen.insert(stream.id).inserted { return "stream \(stream.id) is there twice" }
            if stream.id == 0 { return "a stream has the id 0" }
            let isOpener = stream.phase == .opening || stream.phase == .accepted
            guard stream.phase == .open || self.isOwn(stream.id) == isOpener else {
                return "stream \(stream.id) cannot be \(stream.phase) at this end"
            }
            if !self.isOwn(stream.id), self.highestPeerStream == 0 {
                return "stream \(stream.id) of the other end, which has opened none"
            }
            if let fault = stream.fault { return "stream \(stream.id) \(fault)" }
        }
        return nil
    }
}

extension FrozenSession.Stream {
    fileprivate var fault: String? {
        guard (0...FrozenSession.largestCredit).contains(self.sendCredit) else { return "has a credit of \(self.sendCredit)" }
        guard (Limits.initialCredit...FrozenSession.largestCredit).contains(self.window) else {
            return "has a window of \(self.window) bytes"
        }
        let room = 0...self.window
        guard room.contains(self.remaining), room.contains(self.outstanding), self.remaining + self.outstanding <= self.window
        else { return "has \(self.remaining) and \(self.outstanding) bytes in a window of \(self.window)" }
        if self.isFinSent, !self.isLocalFinished || self.phase != .open || self.queued.contains(where: { $0.readableBytes > 0 }) {
            return "was finished too early"
        }
        if self.phase != .open, self.isRemoteFinished || self.remaining != self.window || self.outstanding != 0 {
            return "has received something before it was open"
        }
        return self.isFinSent && self.isRemoteFinished && self.outstanding == 0 ? "is over" : nil
    }
}

extension ByteBuffer {
    /// What is wrong with the one frame that this should be.
    fileprivate var frameFault: String? {
        guard let header = self.frameHeader else { return "is shorter than a header" }
        guard header.length == self.readableBytes - Limits.frameHeader else {
            return "is \(self.readableBytes) bytes long, but says \(header.length) and a header"
        }
        guard header.type.isSequenced else { return "is not sequenced" }
        do throws(WireError) { try header.check() } catch { return "is wrong: \(error)" }
        return nil
    }
}
