import NIOCore

/// Receive buffers of one event loop, used again and again instead of being allocated for every read.
///
/// A buffer leaves with eight bytes of room in front, where the session writes the frame header, and comes back when
/// the peer has acknowledged what was in it. Bound to its event loop.
package final class BufferPool {
    /// The storage of a large buffer in bytes; more than this would go to mmap and fault on every use.
    static let large = 65_536
    /// The storage of a buffer for a source that competes with others: one TLS record.
    static let medium = 16_384

    private var largeBuffers: [ByteBuffer] = []
    private var mediumBuffers: [ByteBuffer] = []
    private let capacity: Int

    /// - Parameter capacity: how many buffers of each size are kept at most.
    package init(capacity: Int = 64) { self.capacity = capacity }

    /// An empty buffer with `storage` bytes in all, its first eight reserved.
    func take(storage: Int, allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer: ByteBuffer? =
            switch storage {
            case Self.large: self.largeBuffers.popLast()
            case Self.medium: self.mediumBuffers.popLast()
            default: nil
            }
        if buffer?.modifyIfUniquelyOwned({ $0.clear() }) == nil { buffer = nil }
        var taken = buffer ?? allocator.buffer(capacity: storage)
        taken.moveWriterIndex(to: Self.headroom)
        taken.moveReaderIndex(to: Self.headroom)
        return taken
    }

    /// Takes back a buffer that nobody reads any more.
    func give(_ buffer: consuming ByteBuffer) {
        switch buffer.storageCapacity {
        case Self.large where self.largeBuffers.count < self.capacity: self.largeBuffers.append(buffer)
        case Self.medium where self.mediumBuffers.count < self.capacity: self.mediumBuffers.append(buffer)
        default: break
        }
    }

    private static let headroom = 8
}

/// How much the streams of one event loop read at a time; shared by their sockets.
final class ReadSizing {
    /// True while several streams have bytes to send: then a read is kept to one turn of the scheduler.
    var isCompeting = false
}

/// Chooses the buffer for the next read of a stream's socket: small at first, larger while reads fill it.
///
/// NIO's own pool keeps one buffer per socket for as long as the socket lives, 64 KiB once it was busy. Saying that the
/// next buffer may always grow, and naming no size, keeps that pool out of the way; only the very first buffer stays
/// in it, so that one is small.
struct StreamReadAllocator: RecvByteBufferAllocator, @unchecked Sendable {
    // Sendable is asked for by the protocol; a socket and its allocator stay on one event loop.
    private let pool: BufferPool
    private let sizing: ReadSizing
    private var storage = Self.first

    private static let first = 512
    private static let small = 4_096

    init(pool: BufferPool, sizing: ReadSizing) {
        self.pool = pool
        self.sizing = sizing
    }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        self.pool.take(
            storage: self.sizing.isCompeting ? min(self.storage, BufferPool.medium) : self.storage, allocator: allocator)
    }

    func nextBufferSize() -> Int? { nil }

    mutating func record(actualReadBytes: Int) -> Bool {
        switch self.storage {
        case Self.first: self.storage = Self.small
        case Self.small where actualReadBytes >= Self.small - 8: self.storage = BufferPool.medium
        case BufferPool.medium where actualReadBytes >= BufferPool.medium - 8: self.storage = BufferPool.large
        case BufferPool.medium where actualReadBytes < Self.small: self.storage = Self.small
        case BufferPool.large where actualReadBytes < Self.small: self.storage = Self.small
        default: break
        }
        return true
    }
}
