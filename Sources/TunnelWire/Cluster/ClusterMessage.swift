import NIOCore

/// What peers tell each other so that they act as one. Each machine of the cluster has messages of its own.
package enum ClusterMessage: Equatable, Sendable {
    case membership(MembershipMessage)
    case registry(RegistryMessage)
    case election(ElectionMessage)
    case assignments(AssignmentsMessage)
    case duty(DutyMessage)

    /// The way that it takes.
    package var lane: ClusterLane {
        switch self {
        case .membership, .election, .duty: .control
        case .registry: .data
        case .assignments(let message): message.lane
        }
    }

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .membership(let message):
            buffer.writeInteger(UInt8(1))
            message.write(into: &buffer)
        case .registry(let message):
            buffer.writeInteger(UInt8(2))
            message.write(into: &buffer)
        case .election(let message):
            buffer.writeInteger(UInt8(3))
            message.write(into: &buffer)
        case .assignments(let message):
            buffer.writeInteger(UInt8(4))
            message.write(into: &buffer)
        case .duty(let message):
            buffer.writeInteger(UInt8(5))
            message.write(into: &buffer)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "kind of cluster message") {
        case 1: self = .membership(try MembershipMessage(reading: &buffer))
        case 2: self = .registry(try RegistryMessage(reading: &buffer))
        case 3: self = .election(try ElectionMessage(reading: &buffer))
        case 4: self = .assignments(try AssignmentsMessage(reading: &buffer))
        case 5: self = .duty(try DutyMessage(reading: &buffer))
        case let kind: throw WireError(.malformed, "unknown kind of cluster message \(kind)")
        }
    }
}
