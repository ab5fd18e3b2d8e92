import NIOCore

/// What the decoder makes of the bytes of a link.
package enum DecodedFrame: Equatable, Sendable {
    /// A piece of a DATA payload, as it came: frames are never gathered. `bytes` is never empty.
    case data(stream: StreamID, bytes: ByteBuffer)
    /// Any other frame, whole.
    case frame(FrameHeader, payload: ByteBuffer)
}

/// Turns the bytes of one link after another into frames.
///
/// The decoder outlives links: when a link breaks inside a sequenced frame, what has arrived of it stays, and the next
/// link begins with the rest. `received` counts the bytes of sequenced frames, headers included; a header counts
/// when it is complete, because only then is it known to be sequenced.
package struct FrameDecoder: Sendable {
    /// Bytes of sequenced frames taken so far, over all links.
    package private(set) var received: UInt64 = 0

    private var input = ByteBuffer()
    private var current: FrameHeader?
    private var missing = 0
    private var gathered = ByteBuffer()

    private let isHandshake: Bool

    /// - Parameter isHandshake: take the frames of a handshake only. Whoever has not proved anything yet can neither make
    ///   this end keep more than a HELLO nor be listened to for ever.
    package init(isHandshake: Bool = false) { self.isHandshake = isHandshake }

    /// Hands over bytes of the link. `next()` must have returned nil before.
    package mutating func feed(_ bytes: ByteBuffer) {
        if self.input.readableBytes == 0 {
            self.input = bytes
        } else {
            var bytes = bytes
            self.input.writeBuffer(&bytes)
        }
    }

    /// The next frame or piece of data, nil when more bytes are needed.
    package mutating func next() throws(WireError) -> DecodedFrame? {
        while true {
            guard let header = self.current else {
                guard try self.readHeader() else { return nil }
                continue
            }
            if header.type == .data, self.missing > 0 {
                return self.readData(header)
            }
            guard self.gatherPayload(header) else { return nil }
            self.current = nil
            if header.type == .data || !header.type.isKnown { continue }  // the end of a DATA frame; a type to skip
            let payload = self.gathered
            self.gathered = ByteBuffer()
            return .frame(header, payload: payload)
        }
    }

    /// The link is gone: forget what cannot be continued. Unread input is dropped, it was never counted.
    package mutating func linkLost() {
        self.input = ByteBuffer()
        if let header = self.current, !header.type.isSequenced {
            self.current = nil
            self.missing = 0
            self.gathered = ByteBuffer()
        }
    }

    /// Bytes not yet decoded, for the code that takes over after a handshake.
    package mutating func takeUnread() -> ByteBuffer {
        defer { self.input = ByteBuffer() }
        return self.input
    }

    /// Bytes kept of a frame that is not complete.
    package var heldBytes: Int { self.gathered.readableBytes + self.input.readableBytes }

    private mutating func readHeader() throws(WireError) -> Bool {
        guard let packed = self.input.readInteger(as: UInt64.self) else {
            // What is left is less than a header: keep it apart, so that it does not pin the buffer it came in.
            if self.input.readableBytes == 0 { self.input = ByteBuffer() } else { self.input = self.input.copied() }
            return false
        }
        let header = FrameHeader(packed: packed)
        try header.check()
        guard !self.isHandshake || header.type.belongsToHandshake else {
            throw WireError(.unexpected, "frame type \(header.type.rawValue) in the handshake")
        }
        self.current = header
        self.missing = header.length
        if header.type.isSequenced { self.received += UInt64(Limits.frameHeader) }
        return true
    }

    private mutating func readData(_ header: FrameHeader) -> DecodedFrame? {
        let length = min(self.missing, self.input.readableBytes)
        guard length > 0, let bytes = self.input.readSlice(length: length) else {
            self.input = ByteBuffer()
            return nil
        }
        self.missing -= length
        self.received += UInt64(length)
        return .data(stream: header.stream, bytes: bytes)
    }

    /// Collects the payload of a frame that is not DATA. True when it is complete.
    private mutating func gatherPayload(_ header: FrameHeader) -> Bool {
        let length = min(self.missing, self.input.readableBytes)
        if length > 0, var bytes = self.input.readSlice(length: length) {
            self.missing -= length
            if header.type.isSequenced { self.received += UInt64(length) }
            if header.type.isKnown {
                if self.gathered.readableBytes == 0, self.missing == 0 {
                    self.gathered = bytes
                } else {
                    self.gathered.writeBuffer(&bytes)
                }
            }
        }
        if self.missing > 0 { self.input = ByteBuffer() }
        return self.missing == 0
    }
}

extension FrameDecoder {
    /// Goes on where another decoder was when its link was lost. `incomplete` must have no fault.
    package init(received: UInt64, incomplete: IncompleteFrame?) {
        self.init()
        self.received = received
        self.current = incomplete?.header
        self.missing = incomplete?.missing ?? 0
        self.gathered = incomplete?.gathered ?? ByteBuffer()
    }

    /// What a decoder that takes this one's place has to know besides `received`: the sequenced frame of which a part has
    /// arrived. Input that was not decoded is not in it, because it was never counted.
    package var incomplete: IncompleteFrame? {
        guard let header = self.current, header.type.isSequenced, self.missing > 0 else { return nil }
        let type = header.type.isKnown ? header.type : .skipped
        let shown = FrameHeader(stream: header.stream, type: type, length: header.length)
        return IncompleteFrame(header: shown, missing: self.missing, gathered: self.gathered)
    }
}

extension ByteBuffer {
    /// The same readable bytes in storage of their own, just large enough.
    package func copied(headroom: Int = 0) -> ByteBuffer {
        var copy = ByteBufferAllocator().buffer(capacity: headroom + self.readableBytes)
        copy.moveWriterIndex(to: headroom)
        copy.moveReaderIndex(to: headroom)
        copy.writeImmutableBuffer(self)
        return copy
    }
}
