import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

@Suite struct OutboundQueueTests {
    /// `count` bytes with room for a header in front.
    private func roomy(_ count: Int, first: UInt8 = 1) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0) &+ first }).copied(headroom: 8)
    }

    /// Where the bytes lie.
    private func address(_ buffer: ByteBuffer) -> UInt { buffer.withVeryUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }

    @Test func aWholeBufferGetsItsHeaderInPlace() throws {
        var buffer = self.roomy(100)
        let place = self.address(buffer)
        var queue = OutboundQueue()
        queue.append(buffer)
        buffer = ByteBuffer()
        let next = queue.nextFrame(stream: 3, limit: 1000)
        let frame = try #require(next)
        #expect(self.address(frame) == place, "copied without need")
        #expect(label(frame) == "DATA 3 100" && frame.bytes.dropFirst(8).elementsEqual(self.roomy(100).bytes))
        #expect(queue.isEmpty && queue.footprint == 0)
    }

    @Test func aSharedBufferIsLeftAlone() throws {
        var buffer = self.roomy(100)
        buffer.setInteger(UInt64.max, at: 0)
        var other = buffer
        var queue = OutboundQueue()
        queue.append(buffer)
        let next = queue.nextFrame(stream: 3, limit: 1000)
        let frame = try #require(next)
        #expect(self.address(frame) != self.address(other))
        #expect(frame.bytes.dropFirst(8).elementsEqual(other.bytes))
        other.moveReaderIndex(to: 0)
        #expect(other.getInteger(at: 0, as: UInt64.self) == .max)
    }

    @Test(arguments: 0...9)
    func withoutRoomInFrontItIsCopied(headroom: Int) throws {
        var queue = OutboundQueue()
        let bytes: [UInt8] = [1, 2, 3]
        queue.append(ByteBuffer(bytes: bytes).copied(headroom: headroom))
        let next = queue.nextFrame(stream: 3, limit: 1000)
        let frame = try #require(next)
        #expect(frame.bytes == FrameHeader(stream: 3, type: .data, length: 3).bytes + bytes)
    }

    /// The header of the last part is written over bytes that an earlier frame was made of; that frame is still kept
    /// for a replay and must not change.
    @Test func earlierFramesKeepTheirBytes() throws {
        var queue = OutboundQueue()
        queue.append(self.roomy(64))
        var frames: [ByteBuffer] = []
        for limit in [20, 20, 100] { queue.nextFrame(stream: 5, limit: limit).map { frames.append($0) } }
        let whole = self.roomy(64).bytes
        #expect(frames.map(label) == ["DATA 5 20", "DATA 5 20", "DATA 5 24"])
        #expect(frames.flatMap { $0.bytes.dropFirst(8) } == whole)
    }

    @Test func buffersKeepTheirOrderAndAreNotJoined() throws {
        var queue = OutboundQueue()
        for first in [10, 20, 30] as [UInt8] { queue.append(self.roomy(3, first: first)) }
        #expect(queue.bytes == 9)
        var bytes: [UInt8] = []
        while let frame = queue.nextFrame(stream: 1, limit: 2) { bytes += frame.bytes.dropFirst(8) }
        #expect(bytes == [10, 11, 12, 20, 21, 22, 30, 31, 32])
        #expect(queue.isEmpty && queue.footprint == 0)
    }

    @Test func noFrameTakesMoreThanSixtyFourKibibytes() throws {
        var queue = OutboundQueue()
        queue.append(.zeros(200_000))
        var lengths: [Int] = []
        while let frame = queue.nextFrame(stream: 1, limit: .max) {
            lengths.append(frame.readableBytes)
            #expect(frame.storageCapacity <= 65_536)
        }
        #expect(lengths == [65_536, 65_536, 65_536, 200_000 - 3 * 65_528 + 8])
    }

    @Test func whatIsLeftOfALargeBufferPinsNothing() throws {
        var queue = OutboundQueue()
        queue.append(self.roomy(60_000))
        _ = queue.nextFrame(stream: 1, limit: 59_000)
        let next = queue.nextFrame(stream: 1, limit: 59_000)
        let frame = try #require(next)
        #expect(frame.readableBytes == 1008 && frame.storageCapacity <= 2048)
    }

    @Test func aBufferThatIsMostlyEmptyIsCopiedWhenItComes() throws {
        var couple = try Couple()
        let id = try couple.openStream()
        var buffer = ByteBufferAllocator().buffer(capacity: 65_536)
        buffer.writeBytes([1, 2, 3])
        couple.dialer.send(id, buffer)
        #expect(couple.dialer.queuedFootprint <= 16)
        buffer.writeRepeatingByte(0, count: 20_000)
        couple.dialer.send(id, buffer)
        #expect(couple.dialer.queuedFootprint <= 16 + 65_536)
    }

    @Test func removeAllForgetsEverything() {
        var queue = OutboundQueue()
        queue.append(self.roomy(5))
        queue.append(self.roomy(5))
        queue.removeAll()
        #expect(queue.isEmpty && queue.footprint == 0 && queue.nextFrame(stream: 1, limit: 10) == nil)
    }
}

extension FrameHeader {
    fileprivate var bytes: [UInt8] { ByteBuffer(integer: self.packed).bytes }
}
