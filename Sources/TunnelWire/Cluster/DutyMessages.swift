import NIOCore

/// Small requests between servers that need no agreement: whoever gets one looks for itself whether it still makes sense.
package enum DutyMessage: Equatable, Sendable {
    /// The sender has a session with another instance of this client, of the same installation: end the one with `instance`
    /// unless it answers.
    case challenge(client: String, instance: WireID)
    /// From the leader: ask so many clients to prefer another server from now on.
    case spread(count: UInt32, to: ServerName)

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .challenge(let client, let instance):
            buffer.writeInteger(UInt8(1))
            buffer.writeWireName(client)
            instance.write(into: &buffer)
        case .spread(let count, let name):
            buffer.writeInteger(UInt8(2))
            buffer.writeInteger(count)
            buffer.writeWireName(name)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "kind of duty") {
        case 1: self = .challenge(client: try buffer.readWireName("client"), instance: try WireID(reading: &buffer))
        case 2:
            let count = try buffer.readWire(UInt32.self, "count")
            self = .spread(count: count, to: try buffer.readWireName("server"))
        case let kind: throw WireError(.malformed, "unknown kind of duty \(kind)")
        }
    }
}
