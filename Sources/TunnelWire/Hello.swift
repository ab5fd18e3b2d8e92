import NIOCore

/// 128 bits that name an installation, an instance or a session.
package struct WireID: Hashable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random(using rng: inout some RandomNumberGenerator) -> WireID {
        WireID(high: rng.next(), low: rng.next())
    }

    /// The sixteen bytes, most significant first.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// From 32 hexadecimal digits; nil for anything else.
    package init?(_ text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 32, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// 32 lower-case hexadecimal digits.
    package var description: String { Self.hex(self.high) + Self.hex(self.low) }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.high)
        buffer.writeInteger(self.low)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.init(high: try buffer.readWire(UInt64.self, "id"), low: try buffer.readWire(UInt64.self, "id"))
    }
}

/// What a process is on a link.
package enum WireRole: UInt8, Sendable {
    case server = 1
    case client = 2
}

/// How a dialer means to prove who it is. There is no fallback from one to the other.
package enum AuthenticationMethod: UInt8, Sendable {
    /// An HMAC under a key derived from a token that both ends know.
    case token = 1
    /// The certificate shown in the TLS handshake.
    case certificate = 2
}

/// A dialer's wish to continue a session that lost its link.
package struct ResumeRequest: Equatable, Sendable {
    /// The instance that owns the session; any other answers `notMe`.
    package var server: WireID
    package var session: WireID
    /// Bytes of sequenced frames that the dialer has received in this session.
    package var received: UInt64

    package init(server: WireID, session: WireID, received: UInt64) {
        self.server = server
        self.session = session
        self.received = received
    }
}

/// The bits of a HELLO's capabilities.
package enum HelloCapability {
    /// From a server that dials: this is a control link, which carries no session.
    package static let controlLink: UInt64 = 1
}

/// The first frame in each direction: who is speaking, and what the proofs that follow are bound to.
package struct Hello: WirePayload, Equatable {
    package static let frameType = FrameType.hello

    package var minimumVersion: UInt16 = Limits.protocolVersion
    package var maximumVersion: UInt16 = Limits.protocolVersion
    package var role: WireRole
    package var method: AuthenticationMethod
    package var name: String
    /// The id that owns the client's name and ports across restarts.
    package var installation: WireID
    /// One life of the process.
    package var instance: WireID
    /// The id of the cluster that the sender belongs to, in hexadecimal; empty where there is none, or none yet.
    package var cluster: String
    /// Optional abilities, one bit each, see ``HelloCapability``; unknown bits are ignored.
    package var capabilities: UInt64 = 0
    /// 32 fresh random bytes.
    package var nonce: [UInt8]
    /// Which token the proof will use; empty in an acceptor's HELLO and with certificates.
    package var tokenID: String
    /// The sender's program version, for people.
    package var software: String
    package var resume: ResumeRequest?

    package init(
        role: WireRole, method: AuthenticationMethod, name: String, installation: WireID, instance: WireID, cluster: String,
        nonce: [UInt8], tokenID: String, software: String, resume: ResumeRequest?
    ) {
        self.role = role
        self.method = method
        self.name = name
        self.installation = installation
        self.instance = instance
        self.cluster = cluster
        self.nonce = nonce
        self.tokenID = tokenID
        self.software = software
        self.resume = resume
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.minimumVersion)
        buffer.writeInteger(self.maximumVersion)
        buffer.writeInteger(self.role.rawValue)
        buffer.writeInteger(self.method.rawValue)
        buffer.writeWireName(self.name)
        self.installation.write(into: &buffer)
        self.instance.write(into: &buffer)
        buffer.writeWireText(self.cluster)
        buffer.writeInteger(self.capabilities)
        buffer.writeBytes(self.nonce)
        buffer.writeWireText(self.tokenID)
        buffer.writeWireText(self.software)
        buffer.writeInteger(UInt8(self.resume == nil ? 0 : 1))
        if let resume = self.resume {
            resume.server.write(into: &buffer)
            resume.session.write(into: &buffer)
            buffer.writeInteger(resume.received)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.minimumVersion = try buffer.readWire(UInt16.self, "lowest version")
        self.maximumVersion = try buffer.readWire(UInt16.self, "highest version")
        guard let role = WireRole(rawValue: try buffer.readWire(UInt8.self, "role")) else {
            throw WireError(.malformed, "unknown role")
        }
        guard let method = AuthenticationMethod(rawValue: try buffer.readWire(UInt8.self, "method")) else {
            throw WireError(.malformed, "unknown authentication method")
        }
        self.role = role
        self.method = method
        self.name = try buffer.readWireName("name")
        self.installation = try WireID(reading: &buffer)
        self.instance = try WireID(reading: &buffer)
        self.cluster = try buffer.readWireText("cluster")
        self.capabilities = try buffer.readWire(UInt64.self, "capabilities")
        self.nonce = try buffer.readWireBytes(32, "nonce")
        self.tokenID = try buffer.readWireText("token id")
        self.software = try buffer.readWireText("software")
        if try buffer.readWire(UInt8.self, "resume flag") == 0 {
            self.resume = nil
        } else {
            self.resume = ResumeRequest(
                server: try WireID(reading: &buffer), session: try WireID(reading: &buffer),
                received: try buffer.readWire(UInt64.self, "received count"))
        }
    }

    /// Whether the dialer is a server and wants a control link.
    package var isControlLink: Bool { self.role == .server && self.capabilities & HelloCapability.controlLink != 0 }

    /// The version both ends speak, nil when their ranges do not meet.
    package func commonVersion(with other: Hello) -> UInt16? {
        let highest = min(self.maximumVersion, other.maximumVersion)
        return highest >= max(self.minimumVersion, other.minimumVersion) ? highest : nil
    }
}

/// The second frame in each direction: the proof that the sender knows the secret. Empty with certificates.
package struct Proof: WirePayload, Equatable {
    package static let frameType = FrameType.proof

    /// 32 bytes of HMAC-SHA-256, or none with certificates.
    package var link: [UInt8]
    /// 32 bytes under the session's secret when the HELLO asked to resume, otherwise none.
    package var session: [UInt8]

    package init(link: [UInt8], session: [UInt8] = []) {
        self.link = link
        self.session = session
    }

    package func write(into buffer: inout ByteBuffer) {
        for part in [self.link, self.session] {
            buffer.writeInteger(UInt8(part.count))
            buffer.writeBytes(part)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.link = try Self.readPart(&buffer)
        self.session = try Self.readPart(&buffer)
    }

    private static func readPart(_ buffer: inout ByteBuffer) throws(WireError) -> [UInt8] {
        let count = Int(try buffer.readWire(UInt8.self, "proof length"))
        guard count == 0 || count == 32 else { throw WireError(.malformed, "a proof of \(count) bytes") }
        return try buffer.readWireBytes(count, "proof")
    }
}

/// The acceptor's last word in a handshake: the session that this link now carries.
package struct Welcome: WirePayload, Equatable {
    package static let frameType = FrameType.welcome

    package var session: WireID
    /// 32 random bytes that prove a later resume; empty when this is one.
    package var secret: [UInt8]
    /// True when the session asked for goes on, false when it is a new one.
    package var resumed: Bool
    /// Bytes of sequenced frames that the acceptor has received in this session.
    package var received: UInt64

    package init(session: WireID, secret: [UInt8], resumed: Bool, received: UInt64) {
        self.session = session
        self.secret = secret
        self.resumed = resumed
        self.received = received
    }

    package func write(into buffer: inout ByteBuffer) {
        self.session.write(into: &buffer)
        buffer.writeInteger(UInt8(self.resumed ? 1 : 0))
        buffer.writeInteger(self.received)
        buffer.writeInteger(UInt8(self.secret.count))
        buffer.writeBytes(self.secret)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.session = try WireID(reading: &buffer)
        self.resumed = try buffer.readWire(UInt8.self, "resumed flag") != 0
        self.received = try buffer.readWire(UInt64.self, "received count")
        let count = Int(try buffer.readWire(UInt8.self, "secret length"))
        guard count == 0 || count == 32 else { throw WireError(.malformed, "a session secret of \(count) bytes") }
        self.secret = try buffer.readWireBytes(count, "session secret")
    }
}
