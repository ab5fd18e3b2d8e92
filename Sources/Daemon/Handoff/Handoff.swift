import Foundation
import NIOCore
import TunnelTransport
import TunnelWire

/// What a process leaves to the one that takes its place: a file, and open sockets that the file speaks of.
package struct Handoff: Sendable {
    package var file: HandoffFile
    /// Connections of streams.
    package var connections: [CInt]
    /// Listening sockets.
    package var listeners: [HandoffListener]
    /// Streams that go on.
    package var carried: Int
    /// Streams that were reset.
    package var lost: Int

    package init(file: HandoffFile, connections: [CInt], listeners: [HandoffListener], carried: Int, lost: Int) {
        self.file = file
        self.connections = connections
        self.listeners = listeners
        self.carried = carried
        self.lost = lost
    }
}

/// A listening socket that goes on.
package struct HandoffListener: Sendable {
    package var role: SocketRole
    package var descriptor: CInt
    /// A socket unit owns it, and gives it to every process of the service.
    package var isActivated: Bool

    package init(_ role: SocketRole, _ descriptor: CInt, isActivated: Bool = false) {
        self.role = role
        self.descriptor = descriptor
        self.isActivated = isActivated
    }
}

/// The first record of a handoff: what any daemon says of itself.
package struct HandoffHeader: Codable, Sendable, Equatable {
    package struct Listener: Codable, Sendable, Equatable {
        package var role: String
        package var cookie: UInt64
        package var isActivated: Bool
    }

    /// `gotunnel-server` or `gotunnel-client`.
    package var program: String
    /// Of the configuration.
    package var name: String
    /// 32 hexadecimal digits: the process is the same one for its peers.
    package var instance: String
    package var listeners: [Listener]
    /// When everything stopped, in nanoseconds of CLOCK_BOOTTIME.
    package var frozenAt: Int64
    package var carried: Int
    package var lost: Int

    package init(
        program: String, name: String, instance: WireID, listeners: [HandoffListener], frozenAt: Int64, carried: Int, lost: Int
    ) {
        self.program = program
        self.name = name
        self.instance = instance.description
        self.listeners = listeners.map {
            Listener(role: $0.role.rawValue, cookie: SocketCookie.of($0.descriptor) ?? 0, isActivated: $0.isActivated)
        }
        self.frozenAt = frozenAt
        self.carried = carried
        self.lost = lost
    }
}

extension HandoffKind {
    /// A ``HandoffHeader``.
    package static let header = HandoffKind(rawValue: 0x0301)
    // 0x0302.. are a server's, 0x0401.. a client's.
}

extension HandoffOutput {
    /// A record that holds a JSON document: what is small and may grow.
    package mutating func append(_ kind: HandoffKind, _ document: some Encodable) throws {
        try self.append(HandoffRecord(kind, ByteBuffer(bytes: try JSONEncoder().encode(document))))
    }
}

extension HandoffRecord {
    package func document<Document: Decodable>(_ type: Document.Type) throws -> Document {
        try JSONDecoder().decode(type, from: Data(self.payload.readableBytesView))
    }
}
