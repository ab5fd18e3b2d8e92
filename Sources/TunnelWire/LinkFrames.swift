import NIOCore

/// Why one end closes a link, and whether the session may live on.
package enum CloseCode: UInt16, Sendable, CaseIterable {
    /// The process ends on purpose; the session is over.
    case shutdown = 1
    /// One answer for a wrong, unknown or missing secret: it tells an attacker nothing.
    case authenticationFailed = 2
    /// The other end broke the protocol; the session is over.
    case protocolViolation = 3
    /// No protocol version in common.
    case versionMismatch = 4
    /// This is not the instance that the dialer asked for; its session may still live elsewhere.
    case notMe = 5
    /// The right instance, but it does not know the session (any more).
    case unknownSession = 6
    /// A newer link or session of the same client took over.
    case superseded = 7
    /// The server has as many clients as it is allowed.
    case busy = 8
    /// The client may not use this name, or its secret was removed.
    case forbidden = 9
    /// Nothing was heard for the heartbeat timeout; the session waits for a new link.
    case silent = 10
    /// The link arrived on the wrong event loop: its placement hint did not match its name.
    case misplaced = 11
    /// Another process takes over: the session waits for a new link, which may be dialled at once.
    case restarting = 12

    /// Whether the dialer's session may be continued over another link afterwards.
    package var keepsSession: Bool {
        switch self {
        case .notMe, .silent, .busy, .restarting: true
        default: false
        }
    }
}

/// The last frame of a link.
package struct Close: WirePayload, Equatable {
    package static let frameType = FrameType.close

    package var code: CloseCode
    package var reason: String

    package init(_ code: CloseCode, _ reason: String) {
        self.code = code
        self.reason = PrintableText.clean(reason)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.code.rawValue)
        buffer.writeWireText(self.reason)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        let raw = try buffer.readWire(UInt16.self, "close code")
        self.code = CloseCode(rawValue: raw) ?? .shutdown
        self.reason = try buffer.readWireText("close reason")
    }
}

/// The small unsequenced frames, written without a buffer of their own.
package enum LinkFrames {
    /// ACK: bytes of sequenced frames accepted into memory.
    package static func ack(_ count: UInt64) -> ByteBuffer { self.word(.ack, count) }
    /// PING: the sender's own mark, sent back unchanged.
    package static func ping(_ mark: UInt64) -> ByteBuffer { self.word(.ping, mark) }
    /// PONG: the mark of the PING it answers.
    package static func pong(_ mark: UInt64) -> ByteBuffer { self.word(.pong, mark) }

    private static func word(_ type: FrameType, _ value: UInt64) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 16)
        buffer.writeInteger(FrameHeader(stream: 0, type: type, length: 8).packed)
        buffer.writeInteger(value)
        return buffer
    }
}
