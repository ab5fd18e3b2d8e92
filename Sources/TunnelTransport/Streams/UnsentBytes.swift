import NIOCore

/// Buffers that were handed to a channel, in their order, until the kernel has taken them. Holds references, no copies.
struct UnsentBytes {
    private var buffers: [ByteBuffer] = []
    /// Buffers at the front that are done with.
    private var first = 0

    mutating func append(_ bytes: ByteBuffer) { self.buffers.append(bytes) }

    /// The kernel has taken `count` bytes, the oldest.
    mutating func drop(_ count: Int) {
        var count = count
        while count > 0, self.first < self.buffers.count {
            let length = self.buffers[self.first].readableBytes
            guard length <= count else {
                self.buffers[self.first].moveReaderIndex(forwardBy: count)
                return
            }
            count -= length
            self.buffers[self.first] = ByteBuffer()
            self.first += 1
        }
        guard self.first == self.buffers.count else { return }
        self.first = 0
        // A backlog may have made it long; a stream that is idle afterwards should not keep that.
        self.buffers.removeAll(keepingCapacity: self.buffers.capacity <= 8)
    }

    /// The last `count` bytes.
    func last(_ count: Int) -> ByteBuffer {
        var tail = ByteBuffer()
        var skipped = self.buffers[self.first...].reduce(0) { $0 + $1.readableBytes } - count
        for buffer in self.buffers[self.first...] {
            var buffer = buffer
            let ahead = min(max(0, skipped), buffer.readableBytes)
            skipped -= ahead
            buffer.moveReaderIndex(forwardBy: ahead)
            tail.writeBuffer(&buffer)
        }
        return tail
    }
}
