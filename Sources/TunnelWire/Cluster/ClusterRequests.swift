import NIOCore

/// Who asks for a mapped port. Asked again after a failure, the same request gets the same answer.
package struct PortRequest: Hashable, Sendable {
    package var client: String
    /// The client's installation, kept with the assignment.
    package var installation: WireID
    package var exposure: String
    /// Which ports the client may have; none: any that the servers give out. At most 64 ranges.
    package var allowed: [ClosedRange<UInt16>]

    package init(client: String, installation: WireID, exposure: String, allowed: [ClosedRange<UInt16>] = []) {
        self.client = client
        self.installation = installation
        self.exposure = exposure
        self.allowed = Array(allowed.prefix(64))
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeWireName(self.client)
        self.installation.write(into: &buffer)
        buffer.writeWireName(self.exposure)
        buffer.writeInteger(UInt8(self.allowed.count))
        for range in self.allowed {
            buffer.writeInteger(range.lowerBound)
            buffer.writeInteger(range.upperBound)
        }
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.client = try buffer.readWireName("client")
        self.installation = try WireID(reading: &buffer)
        self.exposure = try buffer.readWireName("exposure")
        let count = Int(try buffer.readWire(UInt8.self, "range count"))
        guard count <= 64 else { throw WireError(.tooLong, "\(count) ranges of ports") }
        self.allowed = []
        for _ in 0..<count {
            let low = try buffer.readWire(UInt16.self, "port")
            let high = try buffer.readWire(UInt16.self, "port")
            guard low <= high else { throw WireError(.malformed, "a range of ports from \(low) to \(high)") }
            self.allowed.append(low...high)
        }
    }
}

/// A mapped port that the leader gave out and a quorum keeps on disk.
package struct MappedPort: Hashable, Sendable {
    package var port: UInt16
    package var client: String
    package var installation: WireID
    package var exposure: String
    /// The fencing token: a server that has bound the port for a higher one refuses a lower one.
    package var token: Ballot

    package init(port: UInt16, client: String, installation: WireID, exposure: String, token: Ballot) {
        self.port = port
        self.client = client
        self.installation = installation
        self.exposure = exposure
        self.token = token
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.port)
        buffer.writeWireName(self.client)
        self.installation.write(into: &buffer)
        buffer.writeWireName(self.exposure)
        self.token.write(into: &buffer)
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.port = try buffer.readWire(UInt16.self, "port")
        guard self.port != 0 else { throw WireError(.malformed, "a mapped port 0") }
        self.client = try buffer.readWireName("client")
        self.installation = try WireID(reading: &buffer)
        self.exposure = try buffer.readWireName("exposure")
        self.token = try Ballot(reading: &buffer)
    }
}

/// What an operator can have done to the voter set and the lead.
package enum ClusterCommand: Equatable, Sendable {
    /// Found the cluster with the members that are linked now, without waiting for all configured peers. Only on a server that
    /// belongs to no cluster yet, and only once in the life of a cluster.
    case found
    case addVoter(ServerName)
    case removeVoter(ServerName)
    /// A server that has no vote any more is gone for good: no port waits for it. Apart from `removeVoter`, since a request that
    /// is repeated on its way to the leader must not mean more than it did the first time.
    case forgetVoter(ServerName)
    /// Hand the lead to this voter; nil: to any.
    case transfer(ServerName?)
}

/// What the leader is asked for.
package enum LeaderRequest: Equatable, Sendable {
    case port(PortRequest)
    /// Never `found`, which is no matter of a leader.
    case command(ClusterCommand)
    /// To drain, which one server may do at a time.
    case drain

    func write(into buffer: inout ByteBuffer) {
        switch self {
        case .port(let request):
            buffer.writeInteger(UInt8(1))
            request.write(into: &buffer)
        case .command(.addVoter(let name)):
            buffer.writeInteger(UInt8(2))
            buffer.writeWireName(name)
        case .command(.removeVoter(let name)):
            buffer.writeInteger(UInt8(3))
            buffer.writeWireName(name)
        case .command(.transfer(let name)):
            buffer.writeInteger(UInt8(name == nil ? 5 : 4))
            if let name { buffer.writeWireName(name) }
        case .command(.found): buffer.writeInteger(UInt8(6))
        case .drain: buffer.writeInteger(UInt8(7))
        case .command(.forgetVoter(let name)):
            buffer.writeInteger(UInt8(8))
            buffer.writeWireName(name)
        }
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "kind of request") {
        case 1: self = .port(try PortRequest(reading: &buffer))
        case 2: self = .command(.addVoter(try buffer.readWireName("server")))
        case 3: self = .command(.removeVoter(try buffer.readWireName("server")))
        case 4: self = .command(.transfer(try buffer.readWireName("server")))
        case 5: self = .command(.transfer(nil))
        case 6: self = .command(.found)
        case 7: self = .drain
        case 8: self = .command(.forgetVoter(try buffer.readWireName("server")))
        case let kind: throw WireError(.malformed, "unknown kind of request \(kind)")
        }
    }
}

/// What became of a request to the leader.
package enum RequestOutcome: Equatable, Sendable {
    case assigned(MappedPort)
    /// Done; for requests that give nothing back.
    case done
    /// It cannot be, whoever leads: the reason, for people.
    case refused(String)

    func write(into buffer: inout ByteBuffer) {
        switch self {
        case .assigned(let port):
            buffer.writeInteger(UInt8(1))
            port.write(into: &buffer)
        case .done: buffer.writeInteger(UInt8(2))
        case .refused(let reason):
            buffer.writeInteger(UInt8(3))
            buffer.writeWireText(reason)
        }
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "outcome") {
        case 1: self = .assigned(try MappedPort(reading: &buffer))
        case 2: self = .done
        case 3: self = .refused(try buffer.readWireText("reason"))
        case let kind: throw WireError(.malformed, "unknown outcome \(kind)")
        }
    }
}
