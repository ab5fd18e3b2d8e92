import TunnelWire

/// No voter gives two votes in a term, its own included, whatever happens to its process.
struct VoteCheck: Sendable {
    private struct Vote: Hashable, Sendable {
        var voter: Voter
        var term: UInt64
    }

    private var votes: [Vote: String] = [:]

    mutating func sent(_ message: ElectionMessage, by voter: Voter, to name: ServerName) -> String? {
        switch message {
        case .voteReply(let reply) where reply.isGranted && !reply.isPrevote:
            return self.voted(reply.voter, reply.term, for: name)
        case .voteRequest(let request) where !request.isPrevote:
            guard request.candidate == voter else {
                return "\(voter.name) asks for votes as \(request.candidate.name) with the id of another state directory"
            }
            return self.voted(voter, request.term, for: voter.name)
        default: return nil
        }
    }

    private mutating func voted(_ voter: Voter, _ term: UInt64, for candidate: ServerName) -> String? {
        guard let known = self.votes.updateValue(candidate, forKey: Vote(voter: voter, term: term)), known != candidate else {
            return nil
        }
        return "\(voter.name) votes for \(candidate) in term \(term), in which it voted for \(known)"
    }
}
