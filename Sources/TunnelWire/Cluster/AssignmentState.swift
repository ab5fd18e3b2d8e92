import NIOCore

/// S, what the voters agree on: the voters themselves and the mapped ports that were given out.
package struct AssignmentState: Equatable, Sendable {
    /// Made when the cluster is founded; nil before.
    package var cluster: WireID?
    package var voters: VoterSet
    /// Servers that were voters: wherever they are, they listen on the ports of the state that they have, and a port is not
    /// given to somebody else before they have left it.
    package var retired: Set<ServerName>
    package var grants: [UInt16: PortGrant]
    /// When a port was last freed; the one that has rested longest is given out first.
    package var rested: [UInt16: Ballot]

    package init() {
        self.cluster = nil
        self.voters = VoterSet(epoch: 0, voters: [])
        self.retired = []
        self.grants = [:]
        self.rested = [:]
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeOptionalID(self.cluster)
        self.voters.write(into: &buffer)
        buffer.writeInteger(UInt16(clamping: self.retired.count))
        for name in self.retired.sorted().prefix(Limits.listEntries) { buffer.writeWireName(name) }
        buffer.writeInteger(UInt32(self.grants.count))
        for port in self.grants.keys.sorted() {
            guard let grant = self.grants[port] else { continue }
            buffer.writeInteger(port)
            grant.write(into: &buffer)
        }
        buffer.writeInteger(UInt32(self.rested.count))
        for (port, freed) in self.rested.sorted(by: { $0.key < $1.key }) {
            buffer.writeInteger(port)
            freed.write(into: &buffer)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.cluster = try buffer.readOptionalID()
        self.voters = try VoterSet(reading: &buffer)
        self.retired = []
        for _ in 0..<(try buffer.readWireCount("retired voters")) {
            self.retired.insert(try buffer.readWireName("retired voter"))
        }
        self.grants = [:]
        for _ in 0..<(try buffer.readPortCount()) {
            let port = try buffer.readWire(UInt16.self, "port")
            self.grants[port] = try PortGrant(reading: &buffer)
        }
        self.rested = [:]
        for _ in 0..<(try buffer.readPortCount()) {
            let port = try buffer.readWire(UInt16.self, "port")
            self.rested[port] = try Ballot(reading: &buffer)
        }
    }
}

/// One mapped port that was given out.
package struct PortGrant: Equatable, Sendable {
    package var client: String
    package var installation: WireID
    package var exposure: String
    /// The ballot of the write that gave it: the fencing token.
    package var token: Ballot
    /// It is being taken back: every server stops listening on it first.
    package var isEnding: Bool

    package init(client: String, installation: WireID, exposure: String, token: Ballot, isEnding: Bool = false) {
        self.client = client
        self.installation = installation
        self.exposure = exposure
        self.token = token
        self.isEnding = isEnding
    }

    package func mapped(to port: UInt16) -> MappedPort {
        MappedPort(
            port: port, client: self.client, installation: self.installation, exposure: self.exposure, token: self.token)
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeWireName(self.client)
        self.installation.write(into: &buffer)
        buffer.writeWireName(self.exposure)
        self.token.write(into: &buffer)
        buffer.writeInteger(UInt8(self.isEnding ? 1 : 0))
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.client = try buffer.readWireName("client")
        self.installation = try WireID(reading: &buffer)
        self.exposure = try buffer.readWireName("exposure")
        self.token = try Ballot(reading: &buffer)
        self.isEnding = try buffer.readWire(UInt8.self, "grant flags") & 1 != 0
    }
}

/// One step from a state to the next.
package enum AssignmentChange: Equatable, Sendable {
    case grant(UInt16, PortGrant)
    /// The grant of this token is being taken back.
    case end(UInt16, token: Ballot)
    /// Every server has stopped listening: the port is free. Names the token, so that a late one frees no later grant.
    case free(UInt16, token: Ballot)
    case voters(VoterSet)
    case found(WireID, VoterSet)
    /// A server that was a voter has the state of now, or is gone for good.
    case forget(ServerName)

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .grant(let port, let grant):
            buffer.writeInteger(UInt8(1))
            buffer.writeInteger(port)
            grant.write(into: &buffer)
        case .end(let port, let token):
            buffer.writeInteger(UInt8(2))
            buffer.writeInteger(port)
            token.write(into: &buffer)
        case .free(let port, let token):
            buffer.writeInteger(UInt8(3))
            buffer.writeInteger(port)
            token.write(into: &buffer)
        case .voters(let voters):
            buffer.writeInteger(UInt8(4))
            voters.write(into: &buffer)
        case .found(let cluster, let voters):
            buffer.writeInteger(UInt8(5))
            cluster.write(into: &buffer)
            voters.write(into: &buffer)
        case .forget(let name):
            buffer.writeInteger(UInt8(6))
            buffer.writeWireName(name)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "kind of change") {
        case 1: self = .grant(try buffer.readWire(UInt16.self, "port"), try PortGrant(reading: &buffer))
        case 2: self = .end(try buffer.readWire(UInt16.self, "port"), token: try Ballot(reading: &buffer))
        case 3: self = .free(try buffer.readWire(UInt16.self, "port"), token: try Ballot(reading: &buffer))
        case 4: self = .voters(try VoterSet(reading: &buffer))
        case 5: self = .found(try WireID(reading: &buffer), try VoterSet(reading: &buffer))
        case 6: self = .forget(try buffer.readWireName("server"))
        case let kind: throw WireError(.malformed, "unknown kind of change \(kind)")
        }
    }
}

extension ByteBuffer {
    /// No list of ports is longer than there are ports.
    fileprivate mutating func readPortCount() throws(WireError) -> Int {
        let count = Int(try self.readWire(UInt32.self, "port count"))
        guard count <= 65_535 else { throw WireError(.tooLong, "\(count) ports") }
        return count
    }
}
