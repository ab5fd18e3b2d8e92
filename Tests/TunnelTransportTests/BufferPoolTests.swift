import NIOCore
import NIOEmbedded
import Testing
import Timing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

@Suite struct BufferPoolTests {
    private let allocator = ByteBufferAllocator()

    private func address(_ buffer: ByteBuffer) -> UnsafeRawPointer? { buffer.withVeryUnsafeBytes { $0.baseAddress } }

    @Test func aReturnedBufferIsUsedAgain() {
        let pool = BufferPool()
        for storage in [BufferPool.large, BufferPool.medium] {
            let first = pool.take(storage: storage, allocator: self.allocator)
            let place = self.address(first)
            #expect(first.storageCapacity == storage && first.readableBytes == 0 && first.readerIndex == 8)
            pool.give(consume first)
            let second = pool.take(storage: storage, allocator: self.allocator)
            #expect(self.address(second) == place)
            #expect(second.readableBytes == 0 && second.readerIndex == 8 && second.writableBytes == storage - 8)
        }
    }

    @Test func aBufferThatSomebodyStillReadsIsNotUsedAgain() {
        let pool = BufferPool()
        var first = pool.take(storage: BufferPool.large, allocator: self.allocator)
        first.writeString("still being read")
        let reader = first
        pool.give(first)
        var second = pool.take(storage: BufferPool.large, allocator: self.allocator)
        second.writeString("something else entirely")
        #expect(String(buffer: reader) == "still being read")
        #expect(self.address(second) != self.address(reader))
    }

    @Test func thePoolIsBoundedAndTakesItsOwnSizesOnly() {
        let pool = BufferPool(capacity: 2)
        var places: Set<UnsafeRawPointer?> = []
        var buffers = (0..<3).map { _ in pool.take(storage: BufferPool.large, allocator: self.allocator) }
        for buffer in buffers { places.insert(self.address(buffer)) }
        while let buffer = buffers.popLast() { pool.give(buffer) }
        let again = (0..<3).map { _ in pool.take(storage: BufferPool.large, allocator: self.allocator) }
        #expect(Set(again.prefix(2).map { self.address($0) }).isSubset(of: places))
        pool.give(self.allocator.buffer(capacity: 1_024))
        #expect(pool.take(storage: 1_024, allocator: self.allocator).readerIndex == 8)
    }

    // MARK: Sizes

    @Test func readsBeginSmallAndGrowWhileTheyFill() {
        var allocator = StreamReadAllocator(pool: BufferPool(), sizing: ReadSizing())
        func next() -> Int { allocator.buffer(allocator: self.allocator).storageCapacity }
        #expect(next() == 512)
        #expect(allocator.record(actualReadBytes: 504) && next() == 4_096)
        #expect(allocator.record(actualReadBytes: 100) && next() == 4_096)
        #expect(allocator.record(actualReadBytes: 4_088) && next() == 16_384)
        #expect(allocator.record(actualReadBytes: 16_376) && next() == 65_536)
        #expect(allocator.record(actualReadBytes: 30_000) && next() == 65_536)
        #expect(allocator.record(actualReadBytes: 1_000) && next() == 4_096)
    }

    @Test func competingStreamsReadOneTurnAtATime() {
        let sizing = ReadSizing()
        var allocator = StreamReadAllocator(pool: BufferPool(), sizing: sizing)
        for bytes in [504, 4_088, 16_376] { _ = allocator.record(actualReadBytes: bytes) }
        sizing.isCompeting = true
        #expect(allocator.buffer(allocator: self.allocator).storageCapacity == 16_384)
        sizing.isCompeting = false
        #expect(allocator.buffer(allocator: self.allocator).storageCapacity == 65_536)
    }

    /// What a socket reads goes onto the link in the buffer that it was read into: the header is written in front, and what
    /// the peer acknowledged comes back to the pool.
    @Test func theHeaderIsWrittenInPlaceAndTheBufferComesBack() throws {
        let pool = BufferPool()
        let now = Moment(nanoseconds: 1)
        var session = Session(side: .dialer, configuration: SessionConfiguration(), now: now)
        try session.attach(peerReceived: 0, now: now)
        let id = try session.open(Open(destination: .service("s"), source: "t"))
        while session.nextWrite(now: now) != nil {}
        session.feed(StreamFrames.empty(.opened, stream: id), now: now)
        while try session.nextEvent(now: now) != nil {}

        var read = pool.take(storage: BufferPool.large, allocator: self.allocator)
        read.writeRepeatingByte(7, count: 40_000)
        let place = self.address(read)
        session.send(id, read)
        read = ByteBuffer()
        var sent = session.nextWrite(now: now)
        #expect(sent.map { self.address($0) } == place, "the frame was copied")
        #expect(sent?.readerIndex == 0 && sent?.readableBytes == 40_008)

        sent = nil
        session.feed(LinkFrames.ack(session.sent), now: now)
        while try session.nextEvent(now: now) != nil {}
        #expect(session.released.count == 1)
        while let buffer = session.released.popLast() { pool.give(buffer) }
        #expect(self.address(pool.take(storage: BufferPool.large, allocator: self.allocator)) == place)
    }
}
