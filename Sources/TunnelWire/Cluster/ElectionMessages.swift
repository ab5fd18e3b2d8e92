import NIOCore

/// What servers tell each other to agree on a leader: Raft's messages without a log (Ongaro, "Consensus: Bridging Theory and
/// Practice", 2014: PreVote §9.6, CheckQuorum §6.2, leadership transfer §3.10).
package enum ElectionMessage: Equatable, Sendable {
    case voteRequest(VoteRequest)
    case voteReply(VoteReply)
    case heartbeat(LeaderHeartbeat)
    case heartbeatReply(LeaderHeartbeatReply)
    /// The leader of `term` asks the receiver to take over now.
    case timeoutNow(term: UInt64)

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .voteRequest(let message):
            buffer.writeInteger(UInt8(1))
            message.write(into: &buffer)
        case .voteReply(let message):
            buffer.writeInteger(UInt8(2))
            message.write(into: &buffer)
        case .heartbeat(let message):
            buffer.writeInteger(UInt8(3))
            message.write(into: &buffer)
        case .heartbeatReply(let message):
            buffer.writeInteger(UInt8(4))
            message.write(into: &buffer)
        case .timeoutNow(let term):
            buffer.writeInteger(UInt8(5))
            buffer.writeInteger(term)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "kind of election message") {
        case 1: self = .voteRequest(try VoteRequest(reading: &buffer))
        case 2: self = .voteReply(try VoteReply(reading: &buffer))
        case 3: self = .heartbeat(try LeaderHeartbeat(reading: &buffer))
        case 4: self = .heartbeatReply(try LeaderHeartbeatReply(reading: &buffer))
        case 5: self = .timeoutNow(term: try buffer.readWire(UInt64.self, "term"))
        case let kind: throw WireError(.malformed, "unknown kind of election message \(kind)")
        }
    }
}

/// A candidate asks for a vote, or first whether it would get one.
package struct VoteRequest: Equatable, Sendable {
    /// The term that the candidate wants to lead.
    package var term: UInt64
    package var candidate: Voter
    /// Of the candidate's cluster; nil while it is not founded.
    package var cluster: WireID?
    /// The epoch of the voter set that the candidate counts by.
    package var epoch: UInt64
    /// Nothing is promised and nothing written yet.
    package var isPrevote: Bool
    /// The leader itself wants the candidate to win.
    package var isTransfer: Bool
    /// What the candidate's configuration says of the founders; 0 where an operator founds the cluster.
    package var founders: UInt64

    package init(
        term: UInt64, candidate: Voter, cluster: WireID?, epoch: UInt64, isPrevote: Bool, isTransfer: Bool = false,
        founders: UInt64 = 0
    ) {
        self.term = term
        self.candidate = candidate
        self.cluster = cluster
        self.epoch = epoch
        self.isPrevote = isPrevote
        self.isTransfer = isTransfer
        self.founders = founders
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.term)
        self.candidate.write(into: &buffer)
        buffer.writeOptionalID(self.cluster)
        buffer.writeInteger(self.epoch)
        buffer.writeInteger(UInt8(self.isPrevote ? 1 : 0) | UInt8(self.isTransfer ? 2 : 0))
        buffer.writeInteger(self.founders)
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.term = try buffer.readWire(UInt64.self, "term")
        self.candidate = try Voter(reading: &buffer)
        self.cluster = try buffer.readOptionalID()
        self.epoch = try buffer.readWire(UInt64.self, "epoch")
        let flags = try buffer.readWire(UInt8.self, "vote flags")
        self.isPrevote = flags & 1 != 0
        self.isTransfer = flags & 2 != 0
        self.founders = try buffer.readWire(UInt64.self, "founders")
    }
}

/// The answer to a `VoteRequest`.
package struct VoteReply: Equatable, Sendable {
    /// The voter's own term; with a grant, the term that was asked for.
    package var term: UInt64
    package var voter: Voter
    package var isPrevote: Bool
    package var isGranted: Bool
    /// The ballot of the state that the voter holds.
    package var ballot: Ballot

    package init(term: UInt64, voter: Voter, isPrevote: Bool, isGranted: Bool, ballot: Ballot) {
        self.term = term
        self.voter = voter
        self.isPrevote = isPrevote
        self.isGranted = isGranted
        self.ballot = ballot
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.term)
        self.voter.write(into: &buffer)
        buffer.writeInteger(UInt8(self.isPrevote ? 1 : 0) | UInt8(self.isGranted ? 2 : 0))
        self.ballot.write(into: &buffer)
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.term = try buffer.readWire(UInt64.self, "term")
        self.voter = try Voter(reading: &buffer)
        let flags = try buffer.readWire(UInt8.self, "vote flags")
        self.isPrevote = flags & 1 != 0
        self.isGranted = flags & 2 != 0
        self.ballot = try Ballot(reading: &buffer)
    }
}

/// The leader shows that it is there, and asks whether it still leads.
package struct LeaderHeartbeat: Equatable, Sendable {
    package var term: UInt64
    package var leader: Voter
    package var cluster: WireID?
    /// Counts the leader's heartbeats in its term.
    package var round: UInt64
    /// Up to where a quorum has the leader's state on disk; of an earlier term while the leader does not serve yet.
    package var committed: Ballot

    package init(term: UInt64, leader: Voter, cluster: WireID?, round: UInt64, committed: Ballot) {
        self.term = term
        self.leader = leader
        self.cluster = cluster
        self.round = round
        self.committed = committed
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.term)
        self.leader.write(into: &buffer)
        buffer.writeOptionalID(self.cluster)
        buffer.writeInteger(self.round)
        self.committed.write(into: &buffer)
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.term = try buffer.readWire(UInt64.self, "term")
        self.leader = try Voter(reading: &buffer)
        self.cluster = try buffer.readOptionalID()
        self.round = try buffer.readWire(UInt64.self, "round")
        self.committed = try Ballot(reading: &buffer)
    }
}

/// The answer to a `LeaderHeartbeat`; with a higher term, the receiver does not follow that leader any more.
package struct LeaderHeartbeatReply: Equatable, Sendable {
    package var term: UInt64
    package var voter: Voter
    package var round: UInt64
    /// Of the state that the sender holds, on disk or not.
    package var ballot: Ballot

    package init(term: UInt64, voter: Voter, round: UInt64, ballot: Ballot) {
        self.term = term
        self.voter = voter
        self.round = round
        self.ballot = ballot
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.term)
        self.voter.write(into: &buffer)
        buffer.writeInteger(self.round)
        self.ballot.write(into: &buffer)
    }

    init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.term = try buffer.readWire(UInt64.self, "term")
        self.voter = try Voter(reading: &buffer)
        self.round = try buffer.readWire(UInt64.self, "round")
        self.ballot = try Ballot(reading: &buffer)
    }
}

extension ByteBuffer {
    mutating func writeOptionalID(_ id: WireID?) {
        self.writeInteger(UInt8(id == nil ? 0 : 1))
        id?.write(into: &self)
    }

    mutating func readOptionalID() throws(WireError) -> WireID? {
        try self.readWire(UInt8.self, "id flag") == 0 ? nil : try WireID(reading: &self)
    }
}
