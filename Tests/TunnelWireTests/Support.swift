import NIOCore
import TunnelWire

/// Random numbers that a seed brings back (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var word = self.state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) } }

    mutating func name() -> String {
        let allowed = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        let labels = (0..<Int.random(in: 1...4, using: &self)).map { _ in
            String((0..<Int.random(in: 1...12, using: &self)).map { _ in allowed.randomElement(using: &self) ?? "a" })
        }
        return labels.joined(separator: ".")
    }

    /// Printable ASCII of at most `longest` bytes.
    mutating func text(longest: Int = 200) -> String {
        let bytes = (0..<Int.random(in: 0...longest, using: &self)).map { _ in UInt8.random(in: 0x20...0x7E, using: &self) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Printable ASCII without spaces, 1 to 253 bytes.
    mutating func host() -> String {
        let bytes = (0..<Int.random(in: 1...253, using: &self)).map { _ in UInt8.random(in: 0x21...0x7E, using: &self) }
        return String(decoding: bytes, as: UTF8.self)
    }

    mutating func wireID() -> WireID { WireID.random(using: &self) }
}

/// Bytes written as hexadecimal digits, with spaces and line breaks where they help the eye.
func hex(_ digits: String) -> [UInt8] {
    let digits = digits.filter { !$0.isWhitespace }
    var bytes: [UInt8] = []
    var rest = digits[...]
    while !rest.isEmpty {
        bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0xEE)
        rest = rest.dropFirst(2)
    }
    return bytes
}

extension ByteBuffer {
    var bytes: [UInt8] { Array(self.readableBytesView) }
}

/// A frame of any type with any payload, as the wire carries it.
func rawFrame(_ type: UInt8, stream: StreamID = 0, _ payload: [UInt8] = []) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeInteger(FrameHeader(stream: stream, type: FrameType(rawValue: type), length: payload.count).packed)
    buffer.writeBytes(payload)
    return buffer.bytes
}

extension FrameDecoder {
    /// Feeds the bytes and takes all that is ready.
    mutating func take(_ bytes: some Sequence<UInt8>) throws(WireError) -> [DecodedFrame] {
        self.feed(ByteBuffer(bytes: bytes))
        var frames: [DecodedFrame] = []
        while let frame = try self.next() { frames.append(frame) }
        return frames
    }
}

extension WirePayload {
    static func decode(_ payload: some Sequence<UInt8>) throws(WireError) -> Self {
        var buffer = ByteBuffer(bytes: payload)
        return try Self(reading: &buffer)
    }
}

extension Destination {
    static func decode(_ payload: some Sequence<UInt8>) throws(WireError) -> Destination {
        var buffer = ByteBuffer(bytes: payload)
        return try Destination(reading: &buffer)
    }
}

/// The kind of the wire error that an expression throws, nil when it throws none.
func refusal<T>(_ expression: @autoclosure () throws -> T) -> WireError.Kind? {
    do {
        _ = try expression()
        return nil
    } catch {
        return (error as? WireError)?.kind
    }
}
