import NIOCore

/// Where a server is reached: a host (an IP address or a DNS name) and a port.
package struct PeerAddress: Hashable, Sendable {
    package var host: String
    /// Never 0.
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeWireName(self.host)
        buffer.writeInteger(self.port)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.host = try buffer.readWireHost("server address")
        self.port = try buffer.readWire(UInt16.self, "port")
        guard self.port != 0 else { throw WireError(.malformed, "a server address with port 0") }
    }
}

/// One server as another announces it.
package struct PeerServer: Equatable, Sendable {
    /// Empty while the announcer does not know it.
    package var name: String
    /// In the order of preference. Of the announcer itself, none means "where you dialled".
    package var addresses: [PeerAddress]

    package init(name: String, addresses: [PeerAddress]) {
        self.name = name
        self.addresses = Array(addresses.prefix(Limits.peerAddresses))
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writeWireName(self.name)
        buffer.writeInteger(UInt8(self.addresses.count))
        for address in self.addresses { address.write(into: &buffer) }
    }

    fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.name = try Self.name(reading: &buffer)
        let count = Int(try buffer.readWire(UInt8.self, "address count"))
        guard count <= Limits.peerAddresses else { throw WireError(.tooLong, "\(count) addresses of a server") }
        self.addresses = []
        for _ in 0..<count { self.addresses.append(try PeerAddress(reading: &buffer)) }
    }

    /// Here alone a name may be empty: not known yet.
    private static func name(reading buffer: inout ByteBuffer) throws(WireError) -> String {
        if buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) == 0 {
            buffer.moveReaderIndex(forwardBy: 1)
            return ""
        }
        return try buffer.readWireName("server name")
    }

    /// Bytes that `write` takes.
    fileprivate var encodedLength: Int {
        2 + self.name.utf8.count + self.addresses.reduce(0) { $0 + 3 + $1.host.utf8.count }
    }
}

/// PEERS: the servers that a client may dial, the sender itself first. It replaces what the sender announced before.
package struct Peers: WirePayload, Equatable {
    package static let frameType = FrameType.peers

    /// Grows with each change within one life (instance) of the sender; an older one is to be ignored.
    package var version: UInt64
    package var servers: [PeerServer]

    /// What does not fit into the frame is left out, from the end.
    package init(version: UInt64, servers: [PeerServer]) {
        self.version = version
        self.servers = Self.fitting(servers)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.version)
        buffer.writeInteger(UInt16(self.servers.count))
        for server in self.servers { server.write(into: &buffer) }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.version = try buffer.readWire(UInt64.self, "peers version")
        let count = try buffer.readWireCount("servers")
        guard count <= Limits.peerServers else { throw WireError(.tooLong, "\(count) servers") }
        self.servers = []
        for _ in 0..<count { self.servers.append(try PeerServer(reading: &buffer)) }
    }

    /// As many servers as one frame holds: 28 with the longest of everything, 64 as a rule.
    private static func fitting(_ servers: [PeerServer]) -> [PeerServer] {
        var room = Limits.framePayload - 10
        return Array(
            servers.prefix(Limits.peerServers).prefix { server in
                room -= server.encodedLength
                return room >= 0
            })
    }
}

/// MOVE: the sender asks for new streams to be opened at another server from now on; a hint.
package struct Move: WirePayload, Equatable {
    package static let frameType = FrameType.move

    /// The name of the server to prefer.
    package var server: String

    package init(server: String) { self.server = server }

    package func write(into buffer: inout ByteBuffer) { buffer.writeWireName(self.server) }

    package init(reading buffer: inout ByteBuffer) throws(WireError) { self.server = try buffer.readWireName("server name") }
}
