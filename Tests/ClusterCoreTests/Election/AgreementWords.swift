import TunnelWire

@testable import ClusterCore

/// What the servers do, as the scripts say it. A message begins with the word that names its kind.
extension ClusterMessage {
    var inWords: String {
        switch self {
        case .election(let message): message.inWords
        case .assignments(let message): message.inWords
        case .membership: "membership"
        case .registry: "registry"
        case .duty: "duty"
        }
    }
}

extension ElectionMessage {
    var inWords: String {
        switch self {
        case .voteRequest(let request):
            "\(request.isPrevote ? "prevote?" : "vote?") term \(request.term)\(request.isTransfer ? ", handed over" : "")"
        case .voteReply(let reply):
            "\(reply.isPrevote ? "prevote" : "vote") \(reply.isGranted ? "yes" : "no"), term \(reply.term), "
                + "holds \(reply.ballot.inWords)"
        case .heartbeat(let beat): "heartbeat \(beat.term)/\(beat.round), committed \(beat.committed.inWords)"
        case .heartbeatReply(let reply): "heard \(reply.term)/\(reply.round), holds \(reply.ballot.inWords)"
        case .timeoutNow(let term): "handover term \(term)"
        }
    }
}

extension AssignmentsMessage {
    var inWords: String {
        switch self {
        case .fetch(let term): "fetch for term \(term)"
        case .fetched(_, let ballot, _): "fetched \(ballot.inWords)"
        case .write(let base, let ballot, let changes):
            "write \(base.inWords) → \(ballot.inWords)"
                + (changes.isEmpty ? "" : ": " + changes.map(\.inWords).joined(separator: ", "))
        case .install(let ballot, _): "install \(ballot.inWords)"
        case .written(let term, _, let ballot): "written \(ballot.inWords) in term \(term)"
        case .request(let id, let request): "request \(id): \(request.inWords)"
        case .answer(let id, let outcome): "answer \(id): \(outcome.inWords)"
        case .unbound(let port, let token): "left \(port) #\(token.inWords)"
        }
    }
}

extension AssignmentChange {
    var inWords: String {
        switch self {
        case .grant(let port, let grant): "grant \(port) \(grant.client)"
        case .end(let port, let token): "end \(port) #\(token.inWords)"
        case .free(let port, let token): "free \(port) #\(token.inWords)"
        case .voters(let voters): "voters \(voters.inWords)"
        case .forget(let name): "forget \(name)"
        case .found(_, let voters): "found \(voters.inWords)"
        }
    }
}

extension LeaderRequest {
    var inWords: String {
        switch self {
        case .port(let request): "port \(request.client)"
        case .command(.addVoter(let name)): "add \(name)"
        case .command(.removeVoter(let name)): "remove \(name)"
        case .command(.forgetVoter(let name)): "forget \(name)"
        case .command(.transfer(let name)): "transfer \(name ?? "to any")"
        case .command(.found): "found"
        case .drain: "drain"
        }
    }
}

extension RequestOutcome {
    var inWords: String {
        switch self {
        case .assigned(let mapped): "\(mapped.port) #\(mapped.token.inWords)"
        case .done: "done"
        case .refused(let reason): "refused, \(reason)"
        }
    }
}

extension StoredState {
    /// What makes it another record than the one before.
    var inWords: String {
        (self.generation > 1 ? "life \(self.generation), " : "") + "term \(self.term), vote \(self.votedFor?.name ?? "-"), "
            + "holds \(self.ballot.inWords), settled \(self.settled.inWords)"
    }
}

extension Ballot {
    var inWords: String { "\(self.term).\(self.sequence)" }
}

extension VoterSet {
    /// The epoch and the names, with a dash for every disk that a voter has lost.
    var inWords: String {
        "\(self.epoch):" + self.voters.map { $0.name + String(repeating: "'", count: Int($0.id.low) - 1) }.joined()
    }
}
