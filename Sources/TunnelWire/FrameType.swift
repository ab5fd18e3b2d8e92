import NIOCore

/// The type octet of a frame. Two of its bits are read even where the type is not known:
///
/// - `0x80` *optional*: a receiver that does not know the type skips the frame; without the bit it ends the link;
/// - `0x40` *unsequenced*: the frame is not counted, not kept and not replayed.
package struct FrameType: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package var isOptional: Bool { self.rawValue & 0x80 != 0 }
    package var isSequenced: Bool { self.rawValue & 0x40 == 0 }

    // Streams (sequenced)
    package static let open = FrameType(rawValue: 0x01)
    package static let accepted = FrameType(rawValue: 0x02)
    package static let opened = FrameType(rawValue: 0x03)
    package static let refused = FrameType(rawValue: 0x04)
    package static let data = FrameType(rawValue: 0x05)
    package static let credit = FrameType(rawValue: 0x06)
    package static let fin = FrameType(rawValue: 0x07)
    package static let reset = FrameType(rawValue: 0x08)

    // The session itself (sequenced, stream 0)
    package static let register = FrameType(rawValue: 0x10)
    package static let registered = FrameType(rawValue: 0x11)
    package static let services = FrameType(rawValue: 0x12)
    package static let goAway = FrameType(rawValue: 0x13)
    package static let resumeWindow = FrameType(rawValue: 0x14)
    package static let gossip = FrameType(rawValue: 0x17)
    package static let peers = FrameType(rawValue: 0x95)
    package static let move = FrameType(rawValue: 0x96)

    // The link (unsequenced, stream 0)
    package static let ack = FrameType(rawValue: 0x41)
    package static let ping = FrameType(rawValue: 0x42)
    package static let pong = FrameType(rawValue: 0x43)
    package static let close = FrameType(rawValue: 0x44)

    // A control link between servers (unsequenced, stream 0)
    package static let cluster = FrameType(rawValue: 0x60)

    // The handshake (unsequenced, stream 0)
    package static let hello = FrameType(rawValue: 0x50)
    package static let proof = FrameType(rawValue: 0x51)
    package static let welcome = FrameType(rawValue: 0x52)

    /// The largest payload a frame of this type may have.
    package var payloadLimit: Int {
        switch self {
        case .data: Limits.framePayload
        case .register, .registered, .services, .peers, .gossip, .cluster: Limits.framePayload
        case .open, .accepted, .opened, .refused, .credit, .fin, .reset, .goAway, .resumeWindow, .move: Limits.streamControl
        case .ack, .ping, .pong, .close: Limits.unsequenced
        case .hello: Limits.hello
        case .proof, .welcome: Limits.handshakeReply
        default: Limits.framePayload
        }
    }

    package var isKnown: Bool { Self.known.contains(self) }

    /// Whether the frame speaks of one stream; the others travel with stream id 0.
    package var belongsToStream: Bool { (Self.open.rawValue...Self.reset.rawValue).contains(self.rawValue) }

    /// Whether the frame may come before a link carries a session.
    package var belongsToHandshake: Bool {
        switch self {
        case .hello, .proof, .welcome, .close: true
        default: false
        }
    }

    private static let known: Set<FrameType> = [
        .open, .accepted, .opened, .refused, .data, .credit, .fin, .reset, .register, .registered, .services, .goAway,
        .resumeWindow, .peers, .move, .gossip, .cluster, .ack, .ping, .pong, .close, .hello, .proof, .welcome,
    ]
}

/// The number of a stream inside its session: odd when the dialer of the session opened it, even otherwise, never 0.
package typealias StreamID = UInt32

/// The eight bytes in front of every payload, big-endian: stream id u32 · type u8 · length u24.
package struct FrameHeader: Equatable, Sendable {
    package var stream: StreamID
    package var type: FrameType
    /// The payload's length in bytes, without this header.
    package var length: Int

    package init(stream: StreamID, type: FrameType, length: Int) {
        self.stream = stream
        self.type = type
        self.length = length
    }

    /// The header as one big-endian integer.
    package var packed: UInt64 {
        UInt64(self.stream) << 32 | UInt64(self.type.rawValue) << 24 | UInt64(self.length & 0xFF_FFFF)
    }

    package init(packed: UInt64) {
        self.stream = StreamID(truncatingIfNeeded: packed >> 32)
        self.type = FrameType(rawValue: UInt8(truncatingIfNeeded: packed >> 24))
        self.length = Int(packed & 0xFF_FFFF)
    }

    /// Says what is wrong with this header before a single byte is reserved for its payload.
    package func check() throws(WireError) {
        guard self.type.isKnown || self.type.isOptional else {
            throw WireError(.unknownFrame, "frame type \(self.type.rawValue) is critical and not known here")
        }
        guard self.length <= self.type.payloadLimit else {
            throw WireError(.tooLong, "frame type \(self.type.rawValue) with \(self.length) bytes of payload")
        }
        guard !self.type.isKnown || self.type.belongsToStream == (self.stream != 0) else {
            throw WireError(.unexpected, "frame type \(self.type.rawValue) on stream \(self.stream)")
        }
    }
}
