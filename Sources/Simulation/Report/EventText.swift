import ClusterCore
import TunnelWire

/// What happens to a node, for people and for the digest.
extension ClusterEvent {
    var kind: Int {
        switch self {
        case .timer: 1
        case .linked: 2
        case .unlinked: 3
        case .dialRefused: 4
        case .received(let message, _): 0x100 | message.kind
        case .stored: 5
        case .set: 6
        case .request: 7
        case .withdraw: 8
        case .unbound: 9
        case .administer: 10
        case .leave: 11
        default: 12
        }
    }

    var text: String {
        switch self {
        case .timer: "timer"
        case .linked(let peer): "link with \(peer.name) is up"
        case .unlinked(let name, let ending): "link with \(name) is gone: \(ending)"
        case .dialRefused(let name): "nobody listens at \(name)"
        case .received(let message, let name): "\(name): \(message.text)"
        case .stored(let ticket): "stored \(ticket)"
        case .set(let key, let record): "\(record == nil ? "drop" : "set") \(key.kind) \(key.name)"
        case .request(let id, let request): "request \(id): a port for \(request.client)/\(request.exposure)"
        case .withdraw(let id): "withdraw \(id)"
        case .unbound(let port, let token): "unbound \(port) of \(token.text)"
        case .administer(let id, let command): "command \(id): \(command)"
        case .leave: "leave"
        default: "another duty"
        }
    }
}

extension ClusterAction {
    var kind: Int {
        switch self {
        case .send: 1
        case .store: 2
        case .dial: 3
        case .memberChanged: 4
        case .entryChanged: 5
        case .leadershipChanged: 6
        case .portsChanged: 7
        case .unbind: 8
        case .answered: 9
        default: 10
        }
    }

    var text: String {
        switch self {
        case .send(let message, let name): "to \(name): \(message.text)"
        case .store(let state, let ticket):
            """
            store \(ticket): generation \(state.generation), term \(state.term), vote \(state.votedFor?.name ?? "-"), \
            ballot \(state.ballot.text), settled \(state.settled.text), \(state.state.text)
            """
        case .dial(let name): "dial \(name)"
        case .memberChanged(let view):
            "\(view.name) is \(view.state) (\(view.incarnation.generation).\(view.incarnation.counter))"
        case .entryChanged(let owner, let key, let record):
            "\(owner) \(record == nil ? "dropped" : "has") \(key.kind) \(key.name)"
        case .leadershipChanged(let lead):
            "\(lead.role)\(lead.isServing ? ", serving" : "") in term \(lead.term), leader \(lead.leader ?? "-"), \(lead.voters.text)"
        case .portsChanged(let ports): "ports: \(ports.map { "\($0.port)=\($0.client)/\($0.exposure)@\($0.token.text)" })"
        case .unbind(let port, let token): "unbind \(port) of \(token.text)"
        case .answered(let id, let outcome): "answer to \(id): \(outcome.text)"
        default: "another duty"
        }
    }
}

extension VoterSet {
    var text: String { "voters \(self.epoch): \(self.voters.map { "\($0.name)#\($0.id.low & 0xfff)" }.joined(separator: " "))" }
}

extension AssignmentState {
    var text: String {
        let grants = self.grants.sorted { $0.key < $1.key }.map { port, grant in
            "\(port)=\(grant.client)/\(grant.exposure)@\(grant.token.text)\(grant.isEnding ? " ending" : "")"
        }
        return "\(self.voters.text); \(grants.joined(separator: ", "))"
    }
}

extension RequestOutcome {
    var text: String {
        switch self {
        case .assigned(let mapped): "port \(mapped.port) for \(mapped.client)/\(mapped.exposure), token \(mapped.token.text)"
        case .done: "done"
        case .refused(let reason): "refused: \(reason)"
        }
    }
}

extension LeaderRequest {
    var text: String {
        switch self {
        case .port(let request): "a port for \(request.client)/\(request.exposure)"
        case .command(let command): "\(command)"
        default: "another"
        }
    }
}
