import NIOCore

/// Where a stream is to lead.
package enum Destination: Hashable, Sendable {
    /// A service that the server offers; only clients open these.
    case service(String)
    /// An exposure of a client; these travel only towards clients.
    case exposure(client: String, name: String)
    /// A host and port that a client's routes cover; these travel only towards clients.
    case address(host: String, port: UInt16)

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .service(let name):
            buffer.writeInteger(UInt8(1))
            buffer.writeWireName(name)
        case .exposure(let client, let name):
            buffer.writeInteger(UInt8(2))
            buffer.writeWireName(client)
            buffer.writeWireName(name)
        case .address(let host, let port):
            buffer.writeInteger(UInt8(3))
            buffer.writeWireName(host)
            buffer.writeInteger(port)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "destination kind") {
        case 1: self = .service(try buffer.readWireName("service"))
        case 2: self = .exposure(client: try buffer.readWireName("client"), name: try buffer.readWireName("exposure"))
        case 3: self = .address(host: try buffer.readWireHost("host"), port: try buffer.readWire(UInt16.self, "port"))
        case let kind: throw WireError(.malformed, "unknown kind of destination \(kind)")
        }
    }
}

/// OPEN: asks the other end for a stream. Answered by ACCEPTED at once, then by OPENED or REFUSED.
package struct Open: WirePayload, Equatable {
    package static let frameType = FrameType.open

    package var destination: Destination
    /// True when another server passed this on; it is then served here or refused, never passed on again.
    package var isRelayed: Bool
    /// Who asked, for logs: the address of the local program.
    package var source: String

    package init(destination: Destination, isRelayed: Bool = false, source: String) {
        self.destination = destination
        self.isRelayed = isRelayed
        self.source = source
    }

    package func write(into buffer: inout ByteBuffer) {
        self.destination.write(into: &buffer)
        buffer.writeInteger(UInt8(self.isRelayed ? 1 : 0))
        buffer.writeWireText(self.source)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.destination = try Destination(reading: &buffer)
        self.isRelayed = try buffer.readWire(UInt8.self, "relayed flag") != 0
        self.source = try buffer.readWireText("source")
    }
}

/// Why an OPEN was not served.
package enum RefusalCode: UInt16, Sendable, CaseIterable {
    case unknownDestination = 1
    case forbidden = 2
    /// Memory or streams are used up.
    case busy = 3
    case draining = 4
    /// The health check says that the target is down.
    case unhealthy = 5
    case connectionRefused = 6
    case timedOut = 7
    case unreachable = 8
    /// A relayed stream reached a server that does not hold the client.
    case notHere = 9
    case other = 10

    /// For metrics labels and logs.
    package var label: String {
        switch self {
        case .unknownDestination: "unknown_destination"
        case .forbidden: "forbidden"
        case .busy: "busy"
        case .draining: "draining"
        case .unhealthy: "unhealthy"
        case .connectionRefused: "connection_refused"
        case .timedOut: "timed_out"
        case .unreachable: "unreachable"
        case .notHere: "not_here"
        case .other: "other"
        }
    }
}

/// REFUSED: the stream is over before it began.
package struct Refusal: WirePayload, Equatable, Error, CustomStringConvertible {
    package static let frameType = FrameType.refused

    package var code: RefusalCode
    /// Printable, at most 200 bytes.
    package var reason: String

    package init(_ code: RefusalCode, _ reason: String) {
        self.code = code
        self.reason = PrintableText.clean(reason)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.code.rawValue)
        buffer.writeWireText(self.reason)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.code = RefusalCode(rawValue: try buffer.readWire(UInt16.self, "refusal code")) ?? .other
        self.reason = try buffer.readWireText("refusal reason")
    }

    package var description: String { "\(self.code.label): \(self.reason)" }
}

/// Why an open stream was cut off.
package enum ResetCode: UInt16, Sendable, CaseIterable {
    /// The program on the sender's side reset its connection (an RST).
    case connectionReset = 1
    /// The opener no longer wants the stream.
    case cancelled = 2
    /// The session below the stream ended.
    case sessionEnded = 3
    /// A drain reached its deadline.
    case drained = 4
    /// What the stream leads to is no longer allowed or no longer configured.
    case withdrawn = 5
    case other = 6

    /// For metrics labels and logs.
    package var label: String {
        switch self {
        case .connectionReset: "connection_reset"
        case .cancelled: "cancelled"
        case .sessionEnded: "session_ended"
        case .drained: "drained"
        case .withdrawn: "withdrawn"
        case .other: "other"
        }
    }
}

/// RESET: both directions end at once; what was under way may be lost.
package struct Reset: WirePayload, Equatable {
    package static let frameType = FrameType.reset
    package var code: ResetCode

    package init(_ code: ResetCode) { self.code = code }

    package func write(into buffer: inout ByteBuffer) { buffer.writeInteger(self.code.rawValue) }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.code = ResetCode(rawValue: try buffer.readWire(UInt16.self, "reset code")) ?? .other
    }
}

/// The stream frames without a payload of their own type.
package enum StreamFrames {
    package static func empty(_ type: FrameType, stream: StreamID) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: Limits.frameHeader)
        buffer.writeInteger(FrameHeader(stream: stream, type: type, length: 0).packed)
        return buffer
    }

    /// CREDIT: `bytes` more may be sent on the stream.
    package static func credit(_ bytes: UInt32, stream: StreamID) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 16)
        buffer.writeInteger(FrameHeader(stream: stream, type: .credit, length: 4).packed)
        buffer.writeInteger(bytes)
        return buffer
    }
}
