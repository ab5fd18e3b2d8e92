import NIOCore

/// The bounds of what peers say to each other, in bytes.
package enum ClusterLimits {
    /// A message on a control link: it travels in one frame, or not at all.
    package static let controlMessage = 60 << 10
    /// A message on a data session, put together from fragments.
    package static let dataMessage = 8 << 20
    /// One fragment: with its flags and the frame's header it fills one TLS record.
    package static let fragment = 16_384 - Limits.frameHeader - 1
    /// Fragments that may be under way on a data session before the receiver has said that it took them.
    package static let gossipWindow = 256 << 10
}

/// CLUSTER: one message on a control link. What it says is none of this layer's business.
package struct ClusterFrame: WirePayload, Equatable {
    package static let frameType = FrameType.cluster

    package var message: ByteBuffer

    package init(_ message: ByteBuffer) { self.message = message }

    package func write(into buffer: inout ByteBuffer) { buffer.writeImmutableBuffer(self.message) }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        guard buffer.readableBytes <= ClusterLimits.controlMessage else {
            throw WireError(.tooLong, "a message of \(buffer.readableBytes) bytes on a control link")
        }
        self.message = buffer
        buffer.moveReaderIndex(to: buffer.writerIndex)
    }
}

/// GOSSIP: a piece of a message on a data session between peers, or the word that pieces were taken.
package enum Gossip: WirePayload, Equatable {
    package static let frameType = FrameType.gossip

    /// The bytes, and whether the same message goes on in the next fragment.
    case fragment(ByteBuffer, hasMore: Bool)
    /// So many bytes of fragments were taken and may be followed by as many more.
    case credit(UInt32)

    /// The first octet of the payload.
    private enum Flags {
        static let last: UInt8 = 0
        static let hasMore: UInt8 = 1
        static let credit: UInt8 = 2
    }

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .fragment(let bytes, let hasMore):
            buffer.writeInteger(hasMore ? Flags.hasMore : Flags.last)
            buffer.writeImmutableBuffer(bytes)
        case .credit(let bytes):
            buffer.writeInteger(Flags.credit)
            buffer.writeInteger(bytes)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "flags of GOSSIP") {
        case Flags.credit:
            self = .credit(try buffer.readWire(UInt32.self, "credit for gossip"))
        case let flags where flags == Flags.last || flags == Flags.hasMore:
            self = .fragment(buffer, hasMore: flags == Flags.hasMore)
            buffer.moveReaderIndex(to: buffer.writerIndex)
        case let flags:
            throw WireError(.malformed, "unknown flags \(flags) of GOSSIP")
        }
    }

    /// The fragments of a message, in their order; each is a slice of it. An empty message is one empty fragment.
    package static func split(message: ByteBuffer) -> [Gossip] {
        var rest = message
        var fragments: [Gossip] = []
        while rest.readableBytes > ClusterLimits.fragment, let piece = rest.readSlice(length: ClusterLimits.fragment) {
            fragments.append(.fragment(piece, hasMore: true))
        }
        fragments.append(.fragment(rest, hasMore: false))
        return fragments
    }
}

/// Puts the fragments of one data session together again.
package struct FragmentAssembler: Sendable {
    private let limit: Int
    private var gathered = ByteBuffer()

    /// - Parameter limit: the longest message taken, in bytes.
    package init(limit: Int = ClusterLimits.dataMessage) { self.limit = limit }

    /// Bytes kept of a message that is not complete.
    package var heldBytes: Int { self.gathered.readableBytes }

    /// The bytes themselves, to go on with them in another process.
    package var incomplete: ByteBuffer { self.gathered }

    /// Goes on with the beginning of a message.
    package init(incomplete: ByteBuffer, limit: Int = ClusterLimits.dataMessage) {
        self.limit = limit
        self.gathered = incomplete
    }

    /// Takes the next fragment. The whole message when it was the last one; an error when it would become too long.
    package mutating func add(_ bytes: ByteBuffer, hasMore: Bool) throws(WireError) -> ByteBuffer? {
        let length = self.gathered.readableBytes + bytes.readableBytes
        guard length <= self.limit else {
            throw WireError(.tooLong, "a message between peers of more than \(self.limit) bytes")
        }
        if !hasMore, self.gathered.readableBytes == 0 { return bytes }
        self.gathered.writeImmutableBuffer(bytes)
        guard !hasMore else { return nil }
        defer { self.gathered = ByteBuffer() }
        return self.gathered
    }
}
