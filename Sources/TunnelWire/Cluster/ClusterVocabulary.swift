import NIOCore

/// A server's name, unique in its cluster: RFC 1123, lower case. How the cluster's state machines speak of a server.
package typealias ServerName = String

/// How often a member has contradicted what was said of it, within one of its lives.
///
/// `generation` counts the lives of a server (it is kept on disk), `counter` its refutations within one life. A higher
/// incarnation overrides all that was said of a lower one.
package struct Incarnation: Comparable, Hashable, Sendable {
    package var generation: UInt64
    package var counter: UInt64

    package init(generation: UInt64, counter: UInt64 = 0) {
        self.generation = generation
        self.counter = counter
    }

    package static func < (left: Incarnation, right: Incarnation) -> Bool {
        (left.generation, left.counter) < (right.generation, right.counter)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.generation)
        buffer.writeInteger(self.counter)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.init(
            generation: try buffer.readWire(UInt64.self, "generation"), counter: try buffer.readWire(UInt64.self, "counter"))
    }
}

/// The place of a write in the order that all voters agree on: the leader's term, then its count of writes. The ballot of a
/// write is also the fencing token of what it assigned.
package struct Ballot: Comparable, Hashable, Sendable {
    package var term: UInt64
    package var sequence: UInt64

    package init(term: UInt64, sequence: UInt64) {
        self.term = term
        self.sequence = sequence
    }

    /// Before every write.
    package static let zero = Ballot(term: 0, sequence: 0)

    package static func < (left: Ballot, right: Ballot) -> Bool { (left.term, left.sequence) < (right.term, right.sequence) }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.term)
        buffer.writeInteger(self.sequence)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.init(term: try buffer.readWire(UInt64.self, "term"), sequence: try buffer.readWire(UInt64.self, "sequence"))
    }
}

/// A server whose vote counts: its name and the id of its state directory. With another state directory it is another voter.
package struct Voter: Hashable, Comparable, Sendable {
    package var name: ServerName
    package var id: WireID

    package init(name: ServerName, id: WireID) {
        self.name = name
        self.id = id
    }

    package static func < (left: Voter, right: Voter) -> Bool {
        (left.name, left.id.high, left.id.low) < (right.name, right.id.high, right.id.low)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeWireName(self.name)
        self.id.write(into: &buffer)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.init(name: try buffer.readWireName("voter"), id: try WireID(reading: &buffer))
    }
}

/// The servers that decide, as committed: a change of one voter is a new epoch.
package struct VoterSet: Equatable, Sendable {
    /// 0: not founded yet; then every configured peer has to agree.
    package var epoch: UInt64
    /// Sorted, without repetition.
    package private(set) var voters: [Voter]

    package init(epoch: UInt64, voters: some Sequence<Voter>) {
        self.epoch = epoch
        self.voters = Array(Set(voters)).sorted()
    }

    /// How many make a majority.
    package var quorum: Int { self.voters.count / 2 + 1 }

    package func contains(_ voter: Voter) -> Bool { self.voters.contains(voter) }

    package func voter(named name: ServerName) -> Voter? { self.voters.first { $0.name == name } }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.epoch)
        buffer.writeInteger(UInt16(clamping: self.voters.count))
        for voter in self.voters { voter.write(into: &buffer) }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        let epoch = try buffer.readWire(UInt64.self, "epoch")
        let count = try buffer.readWireCount("voters")
        var voters: [Voter] = []
        for _ in 0..<count { voters.append(try Voter(reading: &buffer)) }
        self.init(epoch: epoch, voters: voters)
    }
}

/// Which of the two ways between peers a message takes.
package enum ClusterLane: Sendable, Equatable {
    /// The control link: small, urgent, lost when the link cannot take it at once.
    case control
    /// The data session: in order, replayed after a broken link, lost only with the session.
    case data
}
