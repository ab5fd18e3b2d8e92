import ClusterCore
import TunnelWire

/// What is on a disk never goes back, and nothing is promised before it is there.
struct DiskCheck: Sendable {
    /// By state directory: what a process was told is durable.
    private var floors: [WireID: StoredState] = [:]
    /// By state directory: what the present process wanted stored last.
    private var latest: [WireID: StoredState] = [:]

    /// A process begins with this.
    mutating func started(_ place: Place, _ state: StoredState) -> String? {
        self.latest[place.disk.id] = nil
        guard let floor = self.floors[place.disk.id] else { return nil }
        guard state.generation > floor.generation else {
            return "\(place.name) begins generation \(state.generation) again, after \(floor.generation)"
        }
        return Self.goesBack(place, from: floor, to: state, "after a restart")
    }

    /// A process wants this stored.
    mutating func storing(_ place: Place, _ state: StoredState) -> String? {
        guard let last = self.latest.updateValue(state, forKey: place.disk.id) else { return nil }
        guard state.generation >= last.generation else {
            return "\(place.name) goes back from generation \(last.generation) to \(state.generation)"
        }
        return Self.goesBack(place, from: last, to: state, "in one life")
    }

    mutating func durable(_ place: Place) { self.floors[place.disk.id] = place.disk.durable }

    /// Somebody put an older record there; what hangs on it is the fault's matter.
    mutating func rolledBack(_ place: Place) {
        self.floors[place.disk.id] = place.disk.durable
        if self.floors[place.disk.id] != nil { self.floors[place.disk.id]?.settled = .zero }
    }

    private static func goesBack(
        _ place: Place, from old: StoredState, to new: StoredState, _ when: String
    ) -> String? {
        if new.term < old.term { return "\(place.name) goes back from term \(old.term) to \(new.term) \(when)" }
        if new.term == old.term, let vote = old.votedFor, new.votedFor != vote {
            return "\(place.name) forgets \(when) that it voted for \(vote.name) in term \(old.term)"
        }
        if new.ballot < old.ballot {
            return "\(place.name) goes back from ballot \(old.ballot.text) to \(new.ballot.text) \(when)"
        }
        if new.settled < old.settled {
            return "\(place.name) goes back from settled ballot \(old.settled.text) to \(new.settled.text) \(when)"
        }
        return nil
    }

    // MARK: Promises

    func promises(_ message: ElectionMessage, _ place: Place, to name: ServerName) -> String? {
        switch message {
        case .voteReply(let reply) where reply.isGranted && !reply.isPrevote:
            guard let disk = place.disk.durable, disk.term == reply.term, disk.votedFor?.name == name else {
                return "\(place.name) gives its vote for term \(reply.term) to \(name) before it is on disk"
            }
            return nil
        case .voteRequest(let request) where !request.isPrevote:
            guard let disk = place.disk.durable, disk.term >= request.term else {
                return "\(place.name) stands for term \(request.term) before its own vote is on disk"
            }
            return nil
        default: return nil
        }
    }

    func promises(_ message: AssignmentsMessage, _ place: Place) -> String? {
        // A ballot of another term than the message's promises nothing.
        guard case .written(let term, _, let ballot) = message, ballot.term == term else { return nil }
        guard let disk = place.disk.durable, disk.ballot >= ballot else {
            return "\(place.name) says that ballot \(ballot.text) is on disk before it is"
        }
        return nil
    }
}
