import DequeModule
import NIOCore
import TunnelWire

/// Bytes of one stream that wait for their turn, in the buffers they were read into.
///
/// Sources are read only when the queue is empty, so it nearly always holds one buffer; a socket that is closing
/// is read to its end, which may add more.
struct OutboundQueue: Sendable {
    private var front: ByteBuffer?
    private var others: Deque<ByteBuffer> = []
    private(set) var bytes = 0
    /// Memory that the buffers pin, in bytes.
    private(set) var footprint = 0

    var isEmpty: Bool { self.bytes == 0 }

    /// With its header, what a buffer of 64 KiB holds: allocations are rounded up to powers of two, and one byte more
    /// would take twice as much.
    private static let largestPayload = Limits.framePayload - Limits.frameHeader

    mutating func append(_ buffer: consuming ByteBuffer) {
        self.bytes += buffer.readableBytes
        self.footprint += buffer.storageCapacity
        if self.front == nil {
            self.front = consume buffer
        } else {
            self.others.append(consume buffer)
        }
    }

    /// The next DATA frame for `stream` with at most `limit` bytes of payload. The queue must not be empty.
    ///
    /// A whole buffer with room in front and no other owner gets its header in place; anything else is copied
    /// into a buffer of its own, because one small TLS record for a header costs more than the copy. So is what is left
    /// of a buffer that was far larger: until it is acknowledged it would pin all of it.
    mutating func nextFrame(stream: StreamID, limit: Int) -> ByteBuffer? {
        guard var buffer = self.front.take() else { return nil }
        let length = min(limit, buffer.readableBytes, Self.largestPayload)
        self.bytes -= length
        let header = FrameHeader(stream: stream, type: .data, length: length).packed
        guard length == buffer.readableBytes else {
            let frame = buffer.copiedFrame(header: header, length: length)
            buffer.moveReaderIndex(forwardBy: length)
            self.front = consume buffer
            return frame
        }
        self.footprint -= buffer.storageCapacity
        self.front = self.others.popFirst()
        let isWorthKeeping = length * 4 >= buffer.storageCapacity
        return isWorthKeeping && buffer.prefixInPlace(header: header)
            ? buffer : buffer.copiedFrame(header: header, length: length)
    }

    /// What waits, in order.
    var buffers: [ByteBuffer] { (self.front.map { [$0] } ?? []) + self.others }

    mutating func removeAll() {
        self.front = nil
        self.others = []
        self.bytes = 0
        self.footprint = 0
    }
}

extension Optional {
    /// The value, leaving nil, so that there is never a second owner.
    fileprivate mutating func take() -> Wrapped? {
        let value = consume self
        self = nil
        return value
    }
}

extension ByteBuffer {
    /// Writes `header` into the eight bytes before the readable ones. False when there is no room, or when another
    /// owner shares the storage.
    fileprivate mutating func prefixInPlace(header: UInt64) -> Bool {
        let start = self.readerIndex - Limits.frameHeader
        guard start >= 0 else { return false }
        let written: Void? = self.modifyIfUniquelyOwned { buffer in
            buffer.moveReaderIndex(to: start)
            buffer.setInteger(header, at: start)
        }
        return written != nil
    }

    /// A new buffer with `header` and the first `length` readable bytes.
    fileprivate func copiedFrame(header: UInt64, length: Int) -> ByteBuffer {
        var frame = ByteBufferAllocator().buffer(capacity: Limits.frameHeader + length)
        frame.writeInteger(header)
        self.withUnsafeReadableBytes { _ = frame.writeBytes($0.prefix(length)) }
        return frame
    }
}
