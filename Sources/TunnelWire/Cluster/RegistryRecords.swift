import NIOCore

/// What an entry of the registry is about.
package struct RegistryKey: Hashable, Comparable, Sendable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// A client with a session at the owner; its record is a `ClientRecord`.
        case client = 1
        /// A service that the owner offers; its record is a `ServiceRecord`.
        case service = 2
        /// The owner itself, the name being its own; its record is a `ServerRecord`.
        case server = 3
    }

    package var kind: Kind
    package var name: String

    package init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    package static func < (left: RegistryKey, right: RegistryKey) -> Bool {
        (left.kind.rawValue, left.name) < (right.kind.rawValue, right.name)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.kind.rawValue)
        buffer.writePackedName(self.name)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        let kind = try buffer.readWire(UInt8.self, "kind of registry key")
        guard let known = Kind(rawValue: kind) else { throw WireError(.malformed, "unknown kind of registry key \(kind)") }
        self.init(known, try buffer.readPackedName("registry key"))
    }
}

/// The record of an entry.
package enum RegistryRecord: Equatable, Sendable {
    case client(ClientRecord)
    case service(ServiceRecord)
    case server(ServerRecord)

    package var kind: RegistryKey.Kind {
        switch self {
        case .client: .client
        case .service: .service
        case .server: .server
        }
    }

    /// The record alone; its kind stands in the key.
    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .client(let record): record.write(into: &buffer)
        case .service(let record): record.write(into: &buffer)
        case .server(let record): record.write(into: &buffer)
        }
    }

    package init(_ kind: RegistryKey.Kind, reading buffer: inout ByteBuffer) throws(WireError) {
        switch kind {
        case .client: self = .client(try ClientRecord(reading: &buffer))
        case .service: self = .service(try ServiceRecord(reading: &buffer))
        case .server: self = .server(try ServerRecord(reading: &buffer))
        }
    }
}

/// A client's registration as the server that holds its session tells it.
package struct ClientRecord: Equatable, Sendable {
    package var installation: WireID
    package var instance: WireID
    /// Where it dials from, for people.
    package var address: String
    /// When its session began: milliseconds since 1970, by the owner's clock. For people, and to settle which of two claims
    /// to one port is older.
    package var since: UInt64
    package var exposures: [ExposureRecord]

    package init(installation: WireID, instance: WireID, address: String, since: UInt64, exposures: [ExposureRecord]) {
        self.installation = installation
        self.instance = instance
        self.address = PrintableText.clean(address)
        self.since = since
        self.exposures = exposures
    }

    func write(into buffer: inout ByteBuffer) {
        self.installation.write(into: &buffer)
        self.instance.write(into: &buffer)
        buffer.writeWireText(self.address)
        buffer.writeInteger(self.since)
        let exposures = self.exposures.prefix(Limits.listEntries)
        buffer.writeInteger(UInt16(exposures.count))
        for exposure in exposures { exposure.write(into: &buffer) }
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.installation = try WireID(reading: &buffer)
        self.instance = try WireID(reading: &buffer)
        self.address = try buffer.readWireText("client address")
        self.since = try buffer.readWire(UInt64.self, "since")
        let count = try buffer.readWireCount("exposures")
        self.exposures = []
        for _ in 0..<count { self.exposures.append(try ExposureRecord(reading: &buffer)) }
    }
}

/// One exposure in a client's registration.
package struct ExposureRecord: Equatable, Sendable {
    /// Which port leads to it.
    package enum Port: Equatable, Sendable {
        /// None: by name only.
        case none
        /// The one that the client's configuration names, granted at `claimedAt`: milliseconds since 1970 by the granting
        /// server's clock. Of two claims to one port the older one holds, then the one with the lesser client name.
        case fixed(UInt16, claimedAt: UInt64)
        /// The one that the leader gives out: it stands in the assignments.
        case assigned
    }

    package var name: String
    package var port: Port
    /// Whether its target answers, says the client.
    package var isHealthy: Bool

    package init(name: String, port: Port, isHealthy: Bool) {
        self.name = name
        self.port = port
        self.isHealthy = isHealthy
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writePackedName(self.name)
        buffer.writeInteger(UInt8(self.isHealthy ? 1 : 0))
        switch self.port {
        case .none: buffer.writeInteger(UInt8(0))
        case .fixed(let port, let claimedAt):
            buffer.writeInteger(UInt8(1))
            buffer.writeInteger(port)
            buffer.writeInteger(claimedAt)
        case .assigned: buffer.writeInteger(UInt8(2))
        }
    }

    fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.name = try buffer.readPackedName("exposure")
        self.isHealthy = try buffer.readWire(UInt8.self, "health") & 1 != 0
        switch try buffer.readWire(UInt8.self, "kind of port") {
        case 0: self.port = .none
        case 1:
            let port = try buffer.readWire(UInt16.self, "port")
            guard port != 0 else { throw WireError(.malformed, "a fixed port 0") }
            self.port = .fixed(port, claimedAt: try buffer.readWire(UInt64.self, "claim"))
        case 2: self.port = .assigned
        case let kind: throw WireError(.malformed, "unknown kind of port \(kind)")
        }
    }
}

/// A service as one server offers it.
package struct ServiceRecord: Equatable, Sendable {
    /// At least one target is healthy.
    package var isHealthy: Bool
    package var mayHedgeDial: Bool

    package init(isHealthy: Bool, mayHedgeDial: Bool) {
        self.isHealthy = isHealthy
        self.mayHedgeDial = mayHedgeDial
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(self.isHealthy ? 1 : 0) | UInt8(self.mayHedgeDial ? 2 : 0))
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        let flags = try buffer.readWire(UInt8.self, "service flags")
        self.init(isHealthy: flags & 1 != 0, mayHedgeDial: flags & 2 != 0)
    }
}

/// What a server tells the others of itself.
package struct ServerRecord: Equatable, Sendable {
    /// What its clients are told to dial; none: what they dialled.
    package var clientAddresses: [PeerAddress]
    package var isDraining: Bool
    /// Program and version, for people.
    package var software: String

    package init(clientAddresses: [PeerAddress], isDraining: Bool, software: String) {
        self.clientAddresses = Array(clientAddresses.prefix(Limits.peerAddresses))
        self.isDraining = isDraining
        self.software = PrintableText.clean(software)
    }

    func write(into buffer: inout ByteBuffer) {
        let addresses = self.clientAddresses.prefix(Limits.peerAddresses)
        buffer.writeInteger(UInt8(addresses.count))
        for address in addresses { address.write(into: &buffer) }
        buffer.writeInteger(UInt8(self.isDraining ? 1 : 0))
        buffer.writeWireText(self.software)
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        let count = Int(try buffer.readWire(UInt8.self, "address count"))
        guard count <= Limits.peerAddresses else { throw WireError(.tooLong, "\(count) addresses of a server") }
        self.clientAddresses = []
        for _ in 0..<count { self.clientAddresses.append(try PeerAddress(reading: &buffer)) }
        self.isDraining = try buffer.readWire(UInt8.self, "server flags") & 1 != 0
        self.software = try buffer.readWireText("software")
    }
}

/// Names in the registry travel packed, three letters in two bytes: there are 38 letters, and 38³ is
/// less than 2¹⁶. It is what lets the record of the largest REGISTER fit into one frame.
extension ByteBuffer {
    private static let packedLetters = Array("abcdefghijklmnopqrstuvwxyz0123456789-.".utf8)
    /// No three letters; for a name that is none, so that its reader refuses it.
    private static let packedNothing = UInt16.max

    /// A name behind its length (u8, in letters). It is valid before it gets here; the reader refuses any other.
    package mutating func writePackedName(_ name: String) {
        let letters = Array(name.utf8.prefix(Limits.name + 1))
        self.writeInteger(UInt8(letters.count))
        for start in stride(from: 0, to: letters.count, by: 3) {
            var group = UInt16(0)
            for place in start..<start + 3 {
                let letter = place < letters.count ? letters[place] : UInt8(ascii: "a")
                guard let code = Self.packedCode(letter), group != Self.packedNothing else {
                    group = Self.packedNothing
                    continue
                }
                group = group * 38 + code
            }
            self.writeInteger(group)
        }
    }

    /// What `writePackedName` wrote. An invalid name is refused.
    package mutating func readPackedName(_ what: StaticString) throws(WireError) -> String {
        let length = Int(try self.readWire(UInt8.self, what))
        guard length <= Limits.name else { throw WireError(.tooLong, "\(what): a name of \(length) letters") }
        var letters: [UInt8] = []
        letters.reserveCapacity(length + 2)
        while letters.count < length {
            let group = Int(try self.readWire(UInt16.self, what))
            guard group < 38 * 38 * 38 else { throw WireError(.malformed, "\(what) is not a packed name") }
            for divisor in [38 * 38, 38, 1] { letters.append(Self.packedLetters[group / divisor % 38]) }
        }
        let name = String(decoding: letters.prefix(length), as: UTF8.self)
        guard WireName.isValid(name) else { throw WireError(.malformed, "\(what) \"\(name)\" is not a valid name") }
        return name
    }

    private static func packedCode(_ letter: UInt8) -> UInt16? {
        switch letter {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt16(letter - UInt8(ascii: "a"))
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(letter - UInt8(ascii: "0")) + 26
        case UInt8(ascii: "-"): 36
        case UInt8(ascii: "."): 37
        default: nil
        }
    }
}
