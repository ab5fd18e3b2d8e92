/// Every bound that the wire format itself sets. Lengths are in bytes unless a name says otherwise.
package enum Limits {
    /// The frame header: stream id (4) · type (1) · payload length (3).
    package static let frameHeader = 8
    /// The largest payload of any frame.
    package static let framePayload = 65_536
    /// The largest payload of a HELLO.
    package static let hello = 4_096
    /// The largest payload of a PROOF or WELCOME.
    package static let handshakeReply = 1_024
    /// The largest payload of a stream's own control frames (OPEN, REFUSED, RESET …).
    package static let streamControl = 2_048
    /// The largest payload of PING, PONG, ACK and CLOSE.
    package static let unsequenced = 512
    /// A name: service, client, exposure, server.
    package static let name = 253
    /// Text that a person may read: reasons, sources, versions.
    package static let text = 200
    /// Exposures in one REGISTER, results in one REGISTERED, services in one SERVICES.
    package static let listEntries = 1_024
    /// Servers in one PEERS.
    package static let peerServers = 64
    /// Addresses of one server in PEERS.
    package static let peerAddresses = 8
    /// Credit that every stream has from the moment it is opened, in each direction.
    package static let initialCredit = 65_536
    /// The protocol version that this code speaks.
    package static let protocolVersion: UInt16 = 1
}

/// What a peer did that the protocol does not allow. It always ends the link, and with it the session.
package struct WireError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        /// A frame type that is critical and not known here.
        case unknownFrame = "unknown_frame"
        /// A length above its bound.
        case tooLong = "too_long"
        /// A payload that ends before its fields do, or holds a value outside its range.
        case malformed
        /// A frame that is legal, but not in this state, on this stream or in this direction.
        case unexpected
        /// A count of received bytes that cannot be true.
        case impossibleCount = "impossible_count"
        /// More data than the credit that was given.
        case creditExceeded = "credit_exceeded"
        /// More unacknowledged control frames than a session may hold.
        case controlFlood = "control_flood"
    }

    package var kind: Kind
    package var detail: String

    package init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = PrintableText.clean(detail)
    }

    package var description: String { "\(self.kind.rawValue): \(self.detail)" }
}
