import NIOCore

extension Limits {
    /// Members of one cluster, dead ones that are still remembered included.
    package static let clusterMembers = 256
    /// The largest membership message.
    package static let membershipMessage = 16_384
    /// Updates in one membership message.
    package static let membershipUpdates = 128
    /// Names of those who suspect a member, in one update.
    package static let suspecters = 4
    /// The largest generation or counter that is accepted: there is always a higher one.
    package static let incarnation = UInt64(1) << 62
}

/// What is said of one member: by itself, or by others who passed it on.
package struct MemberUpdate: Equatable, Sendable {
    /// Spans of time are in milliseconds, counted from the moment of sending: the clocks of servers are not compared.
    package enum Status: Equatable, Sendable {
        case alive
        /// These members had no answer from it; at most `Limits.suspecters`.
        case suspect(by: [ServerName])
        /// `forgetIn`: how long it is still remembered.
        case dead(forgetIn: UInt32)
        /// It said good-bye.
        case left(forgetIn: UInt32)
        /// It said that it will be back within this span.
        case restarting(within: UInt32)
    }

    package var name: ServerName
    package var incarnation: Incarnation
    package var status: Status
    /// Where peers dial it; at most `Limits.peerAddresses`.
    package var addresses: [PeerAddress]
    /// Of its state directory.
    package var id: WireID
    /// Of its process.
    package var instance: WireID

    package init(
        name: ServerName, incarnation: Incarnation, status: Status, addresses: [PeerAddress], id: WireID, instance: WireID
    ) {
        self.name = name
        self.incarnation = incarnation
        self.status = status
        self.addresses = Array(addresses.prefix(Limits.peerAddresses))
        self.id = id
        self.instance = instance
    }

    /// Bytes that `write` takes.
    package var encodedLength: Int {
        var length = 1 + self.name.utf8.count + 16 + 32 + 1 + self.addresses.reduce(0) { $0 + 3 + $1.host.utf8.count } + 1
        switch self.status {
        case .alive: break
        case .suspect(let names): length += 1 + names.prefix(Limits.suspecters).reduce(0) { $0 + 1 + $1.utf8.count }
        case .dead, .left, .restarting: length += 4
        }
        return length
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeWireName(self.name)
        self.incarnation.write(into: &buffer)
        self.id.write(into: &buffer)
        self.instance.write(into: &buffer)
        buffer.writeInteger(UInt8(clamping: self.addresses.count))
        for address in self.addresses { address.write(into: &buffer) }
        self.status.write(into: &buffer)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.name = try buffer.readWireName("member")
        self.incarnation = try Incarnation(reading: &buffer)
        guard max(self.incarnation.generation, self.incarnation.counter) <= Limits.incarnation else {
            throw WireError(.malformed, "the incarnation of \(self.name) is beyond any that a server can reach")
        }
        self.id = try WireID(reading: &buffer)
        self.instance = try WireID(reading: &buffer)
        let count = Int(try buffer.readWire(UInt8.self, "address count"))
        guard count <= Limits.peerAddresses else { throw WireError(.tooLong, "\(count) addresses of a server") }
        self.addresses = []
        for _ in 0..<count { self.addresses.append(try PeerAddress(reading: &buffer)) }
        self.status = try Status(reading: &buffer)
    }
}

extension MemberUpdate.Status {
    fileprivate func write(into buffer: inout ByteBuffer) {
        switch self {
        case .alive: buffer.writeInteger(UInt8(1))
        case .suspect(let names):
            buffer.writeInteger(UInt8(2))
            buffer.writeInteger(UInt8(min(names.count, Limits.suspecters)))
            for name in names.prefix(Limits.suspecters) { buffer.writeWireName(name) }
        case .dead(let span):
            buffer.writeInteger(UInt8(3))
            buffer.writeInteger(span)
        case .left(let span):
            buffer.writeInteger(UInt8(4))
            buffer.writeInteger(span)
        case .restarting(let span):
            buffer.writeInteger(UInt8(5))
            buffer.writeInteger(span)
        }
    }

    fileprivate init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "state of a member") {
        case 1: self = .alive
        case 2:
            let count = Int(try buffer.readWire(UInt8.self, "suspecter count"))
            guard count <= Limits.suspecters else { throw WireError(.tooLong, "\(count) suspecters of one member") }
            var names: [ServerName] = []
            for _ in 0..<count { names.append(try buffer.readWireName("suspecter")) }
            self = .suspect(by: names)
        case 3: self = .dead(forgetIn: try buffer.readWire(UInt32.self, "span"))
        case 4: self = .left(forgetIn: try buffer.readWire(UInt32.self, "span"))
        case 5: self = .restarting(within: try buffer.readWire(UInt32.self, "span"))
        case let state: throw WireError(.malformed, "unknown state of a member \(state)")
        }
    }
}

/// What peers tell each other about who belongs to the cluster and answers (SWIM). Each message carries news of members along.
package enum MembershipMessage: Equatable, Sendable {
    /// Are you there? The answer is an `ack` with the same sequence.
    case ping(sequence: UInt64, updates: [MemberUpdate])
    case ack(sequence: UInt64, updates: [MemberUpdate])
    /// Ping `target` for me: it does not answer me.
    case pingRequest(sequence: UInt64, target: ServerName, updates: [MemberUpdate])
    /// `target` answered a ping that was sent because of this request.
    case indirectAck(sequence: UInt64, target: ServerName, updates: [MemberUpdate])
    /// `target` has not answered in time; the asker learns that its helper is well. `hasLink` is false when the helper has no
    /// link to the target itself.
    case indirectNack(sequence: UInt64, target: ServerName, hasLink: Bool, updates: [MemberUpdate])
    /// News that cannot wait for the next probe.
    case gossip(updates: [MemberUpdate])
    /// All members that the sender knows, itself first, in as many messages as it takes.
    case sync(members: [MemberUpdate], wantsAnswer: Bool)

    /// The members that it tells of.
    package var updates: [MemberUpdate] {
        switch self {
        case .ping(_, let updates), .ack(_, let updates), .pingRequest(_, _, let updates), .indirectAck(_, _, let updates),
            .indirectNack(_, _, _, let updates), .gossip(let updates), .sync(let updates, _):
            updates
        }
    }

    /// Updates that do not fit into `Limits.membershipMessage` are left out, from the end.
    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .ping(let sequence, _):
            buffer.writeInteger(UInt8(1))
            buffer.writeInteger(sequence)
        case .ack(let sequence, _):
            buffer.writeInteger(UInt8(2))
            buffer.writeInteger(sequence)
        case .pingRequest(let sequence, let target, _):
            buffer.writeInteger(UInt8(3))
            buffer.writeInteger(sequence)
            buffer.writeWireName(target)
        case .indirectAck(let sequence, let target, _):
            buffer.writeInteger(UInt8(4))
            buffer.writeInteger(sequence)
            buffer.writeWireName(target)
        case .indirectNack(let sequence, let target, let hasLink, _):
            buffer.writeInteger(UInt8(5))
            buffer.writeInteger(sequence)
            buffer.writeWireName(target)
            buffer.writeInteger(UInt8(hasLink ? 1 : 0))
        case .gossip:
            buffer.writeInteger(UInt8(6))
        case .sync(_, let wantsAnswer):
            buffer.writeInteger(UInt8(7))
            buffer.writeInteger(UInt8(wantsAnswer ? 1 : 0))
        }
        let fitting = Self.fitting(self.updates)
        buffer.writeInteger(UInt16(fitting.count))
        for update in fitting { update.write(into: &buffer) }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        guard buffer.readableBytes <= Limits.membershipMessage else {
            throw WireError(.tooLong, "a membership message of \(buffer.readableBytes) bytes")
        }
        switch try buffer.readWire(UInt8.self, "kind of membership message") {
        case 1: self = .ping(sequence: try Self.sequence(&buffer), updates: try Self.updates(&buffer))
        case 2: self = .ack(sequence: try Self.sequence(&buffer), updates: try Self.updates(&buffer))
        case 3:
            self = .pingRequest(
                sequence: try Self.sequence(&buffer), target: try buffer.readWireName("target"),
                updates: try Self.updates(&buffer))
        case 4:
            self = .indirectAck(
                sequence: try Self.sequence(&buffer), target: try buffer.readWireName("target"),
                updates: try Self.updates(&buffer))
        case 5:
            self = .indirectNack(
                sequence: try Self.sequence(&buffer), target: try buffer.readWireName("target"),
                hasLink: try buffer.readWire(UInt8.self, "link flag") & 1 != 0, updates: try Self.updates(&buffer))
        case 6: self = .gossip(updates: try Self.updates(&buffer))
        case 7:
            let wantsAnswer = try buffer.readWire(UInt8.self, "sync flags") & 1 != 0
            self = .sync(members: try Self.updates(&buffer), wantsAnswer: wantsAnswer)
        case let kind: throw WireError(.malformed, "unknown kind of membership message \(kind)")
        }
    }

    /// Bytes that a list of updates may take: what is in front of it takes 266 at most.
    package static let updateRoom = Limits.membershipMessage - 512

    /// As many updates, from the first on, as one message holds.
    package static func fitting(_ updates: [MemberUpdate]) -> ArraySlice<MemberUpdate> {
        var room = Self.updateRoom
        return updates.prefix(Limits.membershipUpdates).prefix { update in
            room -= update.encodedLength
            return room >= 0
        }
    }

    private static func sequence(_ buffer: inout ByteBuffer) throws(WireError) -> UInt64 {
        try buffer.readWire(UInt64.self, "sequence")
    }

    private static func updates(_ buffer: inout ByteBuffer) throws(WireError) -> [MemberUpdate] {
        let count = Int(try buffer.readWire(UInt16.self, "update count"))
        guard count <= Limits.membershipUpdates else { throw WireError(.tooLong, "\(count) updates of members") }
        var updates: [MemberUpdate] = []
        for _ in 0..<count { updates.append(try MemberUpdate(reading: &buffer)) }
        return updates
    }
}
