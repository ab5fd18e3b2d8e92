import DequeModule
import NIOCore
import TunnelWire

/// What was sent and is not acknowledged yet, frame by frame, and the place from which a new link continues.
///
/// `acknowledged ≤ sent`; both count bytes of sequenced frames since the session began.
struct ReplayLog: Sendable {
    struct Entry: Sendable {
        /// One whole frame.
        var frame: ByteBuffer
        /// The count of the byte behind the frame.
        var end: UInt64
        var isControl: Bool
    }

    private(set) var sent: UInt64 = 0
    private(set) var acknowledged: UInt64 = 0
    /// Memory that the kept frames pin, in bytes.
    private(set) var footprint = 0
    /// Bytes of control frames among them.
    private(set) var controlBytes = 0
    private var entries: Deque<Entry> = []
    /// The next entry to send again, nil when everything has been sent on the present link.
    private var cursor: Int?
    /// Bytes of the entry at `cursor` that the peer has already.
    private var cursorOffset = 0

    /// Bytes sent and not acknowledged.
    var unacknowledged: UInt64 { self.sent - self.acknowledged }

    /// Whether frames wait to be sent again.
    var isReplaying: Bool { self.cursor != nil }

    /// Whether the peer holds the beginning of a frame: nothing else may be sent before its rest.
    var mustFinishFrame: Bool { self.cursorOffset > 0 }

    mutating func append(_ frame: ByteBuffer, isControl: Bool) {
        self.sent += UInt64(frame.readableBytes)
        self.footprint += frame.storageCapacity
        if isControl { self.controlBytes += frame.readableBytes }
        self.entries.append(Entry(frame: frame, end: self.sent, isControl: isControl))
    }

    /// Forgets what the peer has. `release` is given each buffer that is no longer needed.
    mutating func acknowledge(_ count: UInt64, release: (ByteBuffer) -> Void) throws(WireError) {
        guard count >= self.acknowledged, count <= self.sent else {
            throw WireError(.impossibleCount, "\(count) acknowledged of \(self.acknowledged)...\(self.sent)")
        }
        self.acknowledged = count
        while let first = self.entries.first, first.end <= count {
            self.entries.removeFirst()
            self.footprint -= first.frame.storageCapacity
            if first.isControl { self.controlBytes -= first.frame.readableBytes }
            self.retreatCursor()
            release(first.frame)
        }
    }

    /// A new link: the peer has `count` bytes, the rest is to be sent again.
    mutating func rewind(to count: UInt64) throws(WireError) {
        try self.acknowledge(count) { _ in }
        guard let first = self.entries.first else {
            self.cursor = nil
            self.cursorOffset = 0
            return
        }
        let start = first.end - UInt64(first.frame.readableBytes)
        self.cursor = 0
        self.cursorOffset = count > start ? Int(count - start) : 0
    }

    /// The next frame, or the rest of one, to send again.
    mutating func nextReplay() -> ByteBuffer? {
        guard let index = self.cursor else { return nil }
        var frame = self.entries[index].frame
        frame.moveReaderIndex(forwardBy: self.cursorOffset)
        self.cursorOffset = 0
        self.cursor = index + 1 < self.entries.count ? index + 1 : nil
        return frame
    }

    /// The link is gone: nothing is being sent again any more.
    mutating func stopReplay() {
        self.cursor = nil
        self.cursorOffset = 0
    }

    /// The first entry went away. If it was the one to send next, its rest is not needed any more.
    private mutating func retreatCursor() {
        guard let index = self.cursor else { return }
        if index > 0 {
            self.cursor = index - 1
        } else {
            self.cursorOffset = 0
            if self.entries.isEmpty { self.cursor = nil }
        }
    }
}

extension ReplayLog {
    /// Goes on where another log was when its link was lost. `frames` are whole and end at `sent`, the first of them behind
    /// `acknowledged`.
    init(sent: UInt64, acknowledged: UInt64, frames: [ByteBuffer]) {
        self.init()
        self.sent = sent - frames.reduce(0) { $0 + UInt64($1.readableBytes) }
        self.entries.reserveCapacity(frames.count)
        for frame in frames { self.append(frame, isControl: frame.frameHeader?.type != .data) }
        self.acknowledged = acknowledged
    }

    /// What is kept, in the order in which it was sent.
    var frames: [ByteBuffer] { self.entries.map(\.frame) }
}
