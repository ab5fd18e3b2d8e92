import NIOCore
import Testing
import TunnelWire

/// The frames that servers exchange among themselves.
@Suite struct ClusterFrameTests {
    @Test func theirBytes() throws {
        #expect(ClusterFrame(ByteBuffer(bytes: [1, 2])).frame().bytes == [0, 0, 0, 0, 0x60, 0, 0, 2, 1, 2])
        #expect(Gossip.fragment(ByteBuffer(bytes: [9]), hasMore: true).frame().bytes == [0, 0, 0, 0, 0x17, 0, 0, 2, 1, 9])
        #expect(Gossip.fragment(ByteBuffer(), hasMore: false).frame().bytes == [0, 0, 0, 0, 0x17, 0, 0, 1, 0])
        #expect(Gossip.credit(65_536).frame().bytes == [0, 0, 0, 0, 0x17, 0, 0, 5, 2, 0, 1, 0, 0])
        #expect(FrameType.gossip.isSequenced && !FrameType.gossip.isOptional && FrameType.gossip.isKnown)
        #expect(!FrameType.cluster.isSequenced && !FrameType.cluster.isOptional && FrameType.cluster.isKnown)
        #expect(!FrameType.gossip.belongsToHandshake && !FrameType.cluster.belongsToHandshake)
    }

    @Test func theyComeBack() throws {
        let gossip: [Gossip] = [
            .fragment(ByteBuffer(bytes: [1, 2, 3]), hasMore: true), .fragment(ByteBuffer(), hasMore: false), .credit(.max),
        ]
        for message in gossip {
            #expect(try Gossip.decode(message.payload().bytes) == message)
            #expect(try ControlMessage(.gossip, payload: message.payload()) == .gossip(message))
            #expect(ControlMessage.gossip(message).frame() == message.frame())
        }
        let longest = ClusterFrame(ByteBuffer(repeating: 5, count: ClusterLimits.controlMessage))
        #expect(try ClusterFrame.decode(longest.payload().bytes) == longest)
    }

    @Test func whatIsNoneOfThem() {
        #expect(refusal(try Gossip.decode([])) == .malformed)
        #expect(refusal(try Gossip.decode([2, 0, 0])) == .malformed)
        for flags in UInt8(3)...255 { #expect(refusal(try Gossip.decode([flags, 0, 0, 0, 0])) == .malformed) }
        let tooLong = [UInt8](repeating: 0, count: ClusterLimits.controlMessage + 1)
        #expect(refusal(try ClusterFrame.decode(tooLong)) == .tooLong)
        // CLUSTER has no place in a session.
        #expect(refusal(try ControlMessage(.cluster, payload: ByteBuffer())) == .unexpected)
        for type in [FrameType.cluster, .gossip] {
            #expect(refusal(try FrameHeader(stream: 0, type: type, length: 65_537).check()) == .tooLong)
            #expect(refusal(try FrameHeader(stream: 1, type: type, length: 0).check()) == .unexpected)
        }
    }

    private func assemble(_ gossip: [Gossip], _ assembler: inout FragmentAssembler) throws -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        for case .fragment(let bytes, let hasMore) in gossip {
            if let message = try assembler.add(bytes, hasMore: hasMore) { messages.append(message) }
        }
        return messages
    }

    @Test(arguments: UInt64(1)...20) func messagesAreCutAndPutTogether(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var assembler = FragmentAssembler()
        let edges = [0, 1, ClusterLimits.fragment - 1, ClusterLimits.fragment, ClusterLimits.fragment + 1]
        for length in edges + (0..<5).map({ _ in Int.random(in: 0...100_000, using: &random) }) {
            let message = ByteBuffer(bytes: random.bytes(length))
            let fragments = Gossip.split(message: message)
            #expect(fragments.count == max(1, (length + ClusterLimits.fragment - 1) / ClusterLimits.fragment))
            for fragment in fragments { #expect(fragment.frame().readableBytes <= 16_384) }
            #expect(try self.assemble(fragments, &assembler) == [message])
            #expect(assembler.heldBytes == 0)
        }
    }

    @Test func aMessageHasABound() throws {
        var assembler = FragmentAssembler(limit: 100_000)
        let longest = ByteBuffer(repeating: 1, count: 100_000)
        #expect(try self.assemble(Gossip.split(message: longest), &assembler) == [longest])
        let tooLong = Gossip.split(message: ByteBuffer(repeating: 1, count: 100_001))
        #expect(refusal(try self.assemble(tooLong, &assembler)) == .tooLong)
        #expect(assembler.heldBytes <= 100_000)
    }

    @Test func theCapabilityOfAControlLink() throws {
        var hello = Hello(
            role: .server, method: .token, name: "a", installation: WireID(high: 1, low: 2), instance: WireID(high: 3, low: 4),
            cluster: "0a", nonce: [UInt8](repeating: 0, count: 32), tokenID: "", software: "", resume: nil)
        #expect(!hello.isControlLink)
        hello.capabilities = HelloCapability.controlLink | 0x8000
        #expect(hello.isControlLink)
        #expect(try Hello.decode(hello.payload().bytes).isControlLink)
        hello.role = .client
        #expect(!hello.isControlLink)
    }
}
