import NIOCore

/// What servers tell each other to agree on the assignments: a replicated state, not a log.
package enum AssignmentsMessage: Equatable, Sendable {
    /// The winner of `term` asks a voter for the state it holds.
    case fetch(term: UInt64)
    /// The answer to `fetch`.
    case fetched(term: UInt64, ballot: Ballot, AssignmentState)
    /// The leader's next step: from the state of ballot `base` to that of `ballot`, whose term is the leader's.
    case write(base: Ballot, ballot: Ballot, changes: [AssignmentChange])
    /// The leader's whole state, for a server whose own is another.
    case install(ballot: Ballot, AssignmentState)
    /// The sender has the state of `ballot` on disk.
    case written(term: UInt64, Voter, ballot: Ballot)
    /// To the leader; `id` is the asker's. A leader that cannot answer says nothing: it is asked again.
    case request(id: UInt64, LeaderRequest)
    case answer(id: UInt64, RequestOutcome)
    /// To the leader: the sender listens no longer on a port whose grant is being taken back.
    case unbound(UInt16, token: Ballot)

    /// The most changes in one `write`.
    package static let changeLimit = 64

    /// Whole states are large and can wait behind other data; the rest is small and urgent.
    package var lane: ClusterLane {
        switch self {
        case .fetched, .install: .data
        case .fetch, .write, .written, .request, .answer, .unbound: .control
        }
    }

    package func write(into buffer: inout ByteBuffer) {
        switch self {
        case .fetch(let term):
            buffer.writeInteger(UInt8(1))
            buffer.writeInteger(term)
        case .fetched(let term, let ballot, let state):
            buffer.writeInteger(UInt8(2))
            buffer.writeInteger(term)
            ballot.write(into: &buffer)
            state.write(into: &buffer)
        case .write(let base, let ballot, let changes):
            buffer.writeInteger(UInt8(3))
            base.write(into: &buffer)
            ballot.write(into: &buffer)
            buffer.writeInteger(UInt8(clamping: changes.count))
            for change in changes.prefix(Self.changeLimit) { change.write(into: &buffer) }
        case .install(let ballot, let state):
            buffer.writeInteger(UInt8(4))
            ballot.write(into: &buffer)
            state.write(into: &buffer)
        case .written(let term, let voter, let ballot):
            buffer.writeInteger(UInt8(5))
            buffer.writeInteger(term)
            voter.write(into: &buffer)
            ballot.write(into: &buffer)
        case .request(let id, let request):
            buffer.writeInteger(UInt8(6))
            buffer.writeInteger(id)
            request.write(into: &buffer)
        case .answer(let id, let outcome):
            buffer.writeInteger(UInt8(7))
            buffer.writeInteger(id)
            outcome.write(into: &buffer)
        case .unbound(let port, let token):
            buffer.writeInteger(UInt8(8))
            buffer.writeInteger(port)
            token.write(into: &buffer)
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try buffer.readWire(UInt8.self, "kind of assignments message") {
        case 1: self = .fetch(term: try buffer.readWire(UInt64.self, "term"))
        case 2:
            let term = try buffer.readWire(UInt64.self, "term")
            self = .fetched(term: term, ballot: try Ballot(reading: &buffer), try AssignmentState(reading: &buffer))
        case 3:
            let base = try Ballot(reading: &buffer)
            let ballot = try Ballot(reading: &buffer)
            let count = Int(try buffer.readWire(UInt8.self, "change count"))
            guard count <= Self.changeLimit else { throw WireError(.tooLong, "\(count) changes in one write") }
            var changes: [AssignmentChange] = []
            for _ in 0..<count { changes.append(try AssignmentChange(reading: &buffer)) }
            self = .write(base: base, ballot: ballot, changes: changes)
        case 4: self = .install(ballot: try Ballot(reading: &buffer), try AssignmentState(reading: &buffer))
        case 5:
            let term = try buffer.readWire(UInt64.self, "term")
            self = .written(term: term, try Voter(reading: &buffer), ballot: try Ballot(reading: &buffer))
        case 6: self = .request(id: try buffer.readWire(UInt64.self, "id"), try LeaderRequest(reading: &buffer))
        case 7: self = .answer(id: try buffer.readWire(UInt64.self, "id"), try RequestOutcome(reading: &buffer))
        case 8:
            let port = try buffer.readWire(UInt16.self, "port")
            self = .unbound(port, token: try Ballot(reading: &buffer))
        case let kind: throw WireError(.malformed, "unknown kind of assignments message \(kind)")
        }
    }
}
