import TunnelWire

/// What peers say, for people and for the digest.
extension ClusterMessage {
    /// Tells messages apart by their kind and their most telling number.
    var kind: Int {
        switch self {
        case .membership(let message): 0x10 | message.kind
        case .registry(.digest): 0x20
        case .registry(.delta(let delta)): 0x21 + delta.parts.count << 8
        case .election(let message): 0x30 | message.kind
        case .assignments(let message): 0x40 | message.kind
        case .duty: 0x50
        }
    }

    var text: String {
        switch self {
        case .membership(let message): message.text
        case .registry(.digest(let digest)):
            "digest \(digest.owners.map { "\($0.name):\($0.generation).\($0.version)\($0.version == $0.asOf ? "" : "<\($0.asOf)")" })"
        case .registry(.delta(let delta)):
            "delta \(delta.parts.map { "\($0.owner):\($0.generation) \($0.base)..\($0.upTo) of \($0.asOf), \($0.entries.count) entries" })"
        case .election(let message): message.text
        case .assignments(let message): message.text
        case .duty(let message): "\(message)"
        }
    }
}

extension MembershipMessage {
    fileprivate var kind: Int {
        switch self {
        case .ping: 1
        case .ack: 2
        case .pingRequest: 3
        case .indirectAck: 4
        case .indirectNack: 5
        case .gossip: 6
        case .sync: 7
        }
    }

    fileprivate var text: String {
        let news = self.updates.map { "\($0.name) \($0.status.text) \($0.incarnation.generation).\($0.incarnation.counter)" }
        let tail = news.isEmpty ? "" : " (\(news.joined(separator: ", ")))"
        switch self {
        case .ping(let sequence, _): return "ping \(sequence)\(tail)"
        case .ack(let sequence, _): return "ack \(sequence)\(tail)"
        case .pingRequest(let sequence, let target, _): return "ping \(target) for me \(sequence)\(tail)"
        case .indirectAck(let sequence, let target, _): return "\(target) answered \(sequence)\(tail)"
        case .indirectNack(let sequence, let target, let hasLink, _):
            return "\(target) did not answer \(sequence)\(hasLink ? "" : ", no link")\(tail)"
        case .gossip: return "gossip\(tail)"
        case .sync(_, let wantsAnswer): return "sync\(wantsAnswer ? ", yours?" : "")\(tail)"
        }
    }
}

extension MemberUpdate.Status {
    fileprivate var text: String {
        switch self {
        case .alive: "alive"
        case .suspect(let names): "suspect by \(names.joined(separator: "+"))"
        case .dead: "dead"
        case .left: "left"
        case .restarting: "restarting"
        }
    }
}

extension ElectionMessage {
    fileprivate var kind: Int {
        switch self {
        case .voteRequest(let request): 1 | Int(truncatingIfNeeded: request.term) << 8
        case .voteReply(let reply): 2 | Int(truncatingIfNeeded: reply.term) << 8
        case .heartbeat(let beat): 3 | Int(truncatingIfNeeded: beat.round) << 8
        case .heartbeatReply(let reply): 4 | Int(truncatingIfNeeded: reply.round) << 8
        case .timeoutNow: 5
        }
    }

    fileprivate var text: String {
        switch self {
        case .voteRequest(let request):
            """
            \(request.isPrevote ? "would you vote" : "vote") for \(request.candidate.name) in term \(request.term)?\
            \(request.isTransfer ? " (handed over)" : "") epoch \(request.epoch)
            """
        case .voteReply(let reply):
            "\(reply.isPrevote ? "would " : "")\(reply.isGranted ? "vote" : "not vote") in term \(reply.term), ballot \(reply.ballot.text)"
        case .heartbeat(let beat): "heartbeat \(beat.round) of term \(beat.term), committed \(beat.committed.text)"
        case .heartbeatReply(let reply): "heartbeat \(reply.round) answered in term \(reply.term), ballot \(reply.ballot.text)"
        case .timeoutNow(let term): "take over from term \(term)"
        }
    }
}

extension AssignmentsMessage {
    fileprivate var kind: Int {
        switch self {
        case .fetch: 1
        case .fetched(_, let ballot, _): 2 | Int(truncatingIfNeeded: ballot.sequence) << 8
        case .write(_, let ballot, _): 3 | Int(truncatingIfNeeded: ballot.sequence) << 8
        case .install(let ballot, _): 4 | Int(truncatingIfNeeded: ballot.sequence) << 8
        case .written(_, _, let ballot): 5 | Int(truncatingIfNeeded: ballot.sequence) << 8
        case .request(let id, _): 6 | Int(truncatingIfNeeded: id) << 8
        case .answer(let id, _): 7 | Int(truncatingIfNeeded: id) << 8
        case .unbound(let port, _): 8 | Int(port) << 8
        }
    }

    fileprivate var text: String {
        switch self {
        case .fetch(let term): "fetch in term \(term)"
        case .fetched(let term, let ballot, let state): "fetched in term \(term): ballot \(ballot.text), \(state.text)"
        case .write(let base, let ballot, let changes):
            "write \(base.text) → \(ballot.text): \(changes.map(\.text).joined(separator: ", "))"
        case .install(let ballot, let state): "install \(ballot.text): \(state.text)"
        case .written(let term, let voter, let ballot): "written \(ballot.text) by \(voter.name), term \(term)"
        case .request(let id, let request): "request \(id): \(request.text)"
        case .answer(let id, let outcome): "answer to \(id): \(outcome.text)"
        case .unbound(let port, let token): "unbound \(port) of \(token.text)"
        }
    }
}

extension AssignmentChange {
    fileprivate var text: String {
        switch self {
        case .grant(let port, let grant): "grant \(port) to \(grant.client)/\(grant.exposure)"
        case .end(let port, let token): "end \(port) of \(token.text)"
        case .free(let port, let token): "free \(port) of \(token.text)"
        case .voters(let voters): voters.text
        case .found(_, let voters): "found with \(voters.text)"
        case .forget(let name): "forget \(name)"
        }
    }
}
