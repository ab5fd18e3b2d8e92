import NIOCore

/// A payload of its own type: how it is written and read. Reading is bounded; bytes behind the last known field are
/// ignored, so that a later version may add fields at the end.
package protocol WirePayload: Sendable {
    static var frameType: FrameType { get }
    func write(into buffer: inout ByteBuffer)
    init(reading buffer: inout ByteBuffer) throws(WireError)
}

extension WirePayload {
    /// The whole frame, header included.
    package func frame(stream: StreamID = 0) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 64)
        buffer.writeInteger(UInt64(0))
        self.write(into: &buffer)
        let length = buffer.readableBytes - Limits.frameHeader
        assert(length <= Self.frameType.payloadLimit, "a payload we write must be one we would read")
        buffer.setInteger(FrameHeader(stream: stream, type: Self.frameType, length: length).packed, at: 0)
        return buffer
    }

    /// The payload alone.
    package func payload() -> ByteBuffer {
        var buffer = ByteBuffer()
        self.write(into: &buffer)
        return buffer
    }
}

extension ByteBuffer {
    package mutating func readWire<T: FixedWidthInteger>(_ type: T.Type = T.self, _ what: StaticString) throws(WireError) -> T {
        guard let value = self.readInteger(as: T.self) else { throw WireError(.malformed, "\(what) is missing") }
        return value
    }

    package mutating func readWireBytes(_ count: Int, _ what: StaticString) throws(WireError) -> [UInt8] {
        guard let bytes = self.readBytes(length: count) else { throw WireError(.malformed, "\(what) is cut short") }
        return bytes
    }

    /// Text behind a u8 length that a person may read; it is cleaned, never refused.
    package mutating func readWireText(_ what: StaticString) throws(WireError) -> String {
        let length = Int(try self.readWire(UInt8.self, what))
        return PrintableText.clean(try self.readWireBytes(length, what))
    }

    /// A name behind a u8 length. An invalid one is refused.
    package mutating func readWireName(_ what: StaticString) throws(WireError) -> String {
        let length = Int(try self.readWire(UInt8.self, what))
        let name = String(decoding: try self.readWireBytes(length, what), as: UTF8.self)
        guard WireName.isValid(name) else {
            throw WireError(.malformed, "\(what) \"\(PrintableText.clean(name, limit: 64))\" is not a valid name")
        }
        return name
    }

    /// A host name or IP address behind a u8 length: printable ASCII without spaces, 1 to 253 bytes. Anything else is
    /// refused, because a host that was cleaned or cut would be another host.
    package mutating func readWireHost(_ what: StaticString) throws(WireError) -> String {
        let length = Int(try self.readWire(UInt8.self, what))
        let bytes = try self.readWireBytes(length, what)
        guard (1...Limits.name).contains(length), bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw WireError(.malformed, "\(what) \"\(PrintableText.clean(bytes, limit: 64))\" is not a host name or address")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The count in front of a list, bounded before anything is reserved.
    package mutating func readWireCount(_ what: StaticString) throws(WireError) -> Int {
        let count = Int(try self.readWire(UInt16.self, what))
        guard count <= Limits.listEntries else { throw WireError(.tooLong, "\(what): \(count) entries") }
        return count
    }

    /// Text behind a u8 length, cut to 200 bytes of printable ASCII.
    package mutating func writeWireText(_ text: String) {
        let clean = PrintableText.clean(text)
        self.writeInteger(UInt8(clean.utf8.count))
        self.writeString(clean)
    }

    /// A name or host behind a u8 length. They are valid before they get here. A longer one is cut to a length that the
    /// reader refuses: cut to the limit, it would arrive as a different one.
    package mutating func writeWireName(_ name: String) {
        let bytes = name.utf8.prefix(Limits.name + 1)
        self.writeInteger(UInt8(bytes.count))
        self.writeBytes(bytes)
    }
}
