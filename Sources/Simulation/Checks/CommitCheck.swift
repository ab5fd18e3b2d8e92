import TunnelWire

/// From one state that a quorum keeps to the next, nothing that was given out disappears.
struct CommitCheck: Sendable {
    private struct Commit: Sendable {
        var ballot: Ballot
        var state: AssignmentState
    }

    /// By ballot, the newest at the end; only so many.
    private var commits: [Commit] = []
    private static let kept = 64
    /// Below, commits are forgotten.
    private var floor = Ballot.zero
    /// Every grant that was ever committed.
    private(set) var grants: [GrantKey: Grant] = [:]

    struct GrantKey: Hashable, Sendable {
        var port: UInt16
        var token: Ballot
    }

    struct Grant: Sendable {
        var client: String
        var exposure: String
        /// Since when it is being taken back, or is given anew; in the world's time.
        var endedAt: Int64?
    }

    var latest: AssignmentState? { self.commits.last?.state }

    func isNew(_ ballot: Ballot) -> Bool { ballot > self.floor && !self.commits.contains { $0.ballot == ballot } }

    /// A server takes a state for settled: a leader committed it, or it did so long ago.
    func isKnown(_ ballot: Ballot, by name: String) -> String? {
        guard ballot > self.floor, !self.commits.contains(where: { $0.ballot == ballot }) else { return nil }
        return "\(name) takes ballot \(ballot.text) for settled, which no leader has committed"
    }

    mutating func committed(_ ballot: Ballot, _ state: AssignmentState, at time: Int64) -> String? {
        if let text = Self.twice(state) { return "ballot \(ballot.text): \(text)" }
        let place = self.commits.firstIndex { $0.ballot > ballot } ?? self.commits.count
        if place > 0, let text = Self.lost(from: self.commits[place - 1].state, to: state) {
            return "between the committed ballots \(self.commits[place - 1].ballot.text) and \(ballot.text), \(text)"
        }
        if place < self.commits.count, let text = Self.lost(from: state, to: self.commits[place].state) {
            return "between the committed ballots \(ballot.text) and \(self.commits[place].ballot.text), \(text)"
        }
        self.commits.insert(Commit(ballot: ballot, state: state), at: place)
        if place == self.commits.count - 1 { self.remember(state, at: time) }
        if self.commits.count > Self.kept { self.floor = self.commits.removeFirst().ballot }
        return nil
    }

    private mutating func remember(_ state: AssignmentState, at time: Int64) {
        let before = self.commits.count > 1 ? self.commits[self.commits.count - 2].state : AssignmentState()
        for (port, grant) in state.grants {
            let key = GrantKey(port: port, token: grant.token)
            if self.grants[key] == nil { self.grants[key] = Grant(client: grant.client, exposure: grant.exposure) }
        }
        for (port, grant) in before.grants where !grant.isEnding {
            if let now = state.grants[port], now.token == grant.token, !now.isEnding { continue }
            self.grants[GrantKey(port: port, token: grant.token)]?.endedAt = time
        }
    }

    /// One exposure with two ports.
    private static func twice(_ state: AssignmentState) -> String? {
        var ports: [String: UInt16] = [:]
        for (port, grant) in state.grants.sorted(by: { $0.key < $1.key }) {
            let owner = "\(grant.client)/\(grant.exposure)"
            if let other = ports.updateValue(port, forKey: owner) { return "\(owner) has port \(other) and port \(port)" }
        }
        return nil
    }

    private static func lost(from old: AssignmentState, to new: AssignmentState) -> String? {
        for (port, grant) in old.grants.sorted(by: { $0.key < $1.key }) {
            guard let next = new.grants[port] else {
                if grant.isEnding { continue }
                return "port \(port) of \(grant.client)/\(grant.exposure) disappears"
            }
            let isSameOwner = next.client == grant.client && next.exposure == grant.exposure
            // One that is being taken back may be freed and given to another in one write: the listeners tell whether it could.
            if !isSameOwner, !grant.isEnding {
                return "port \(port) goes from \(grant.client)/\(grant.exposure) to \(next.client)/\(next.exposure)"
            }
            if next.token < grant.token { return "port \(port) has a lower token than before" }
            if next.token == grant.token, grant.isEnding, !next.isEnding { return "port \(port) is not taken back any more" }
        }
        let added = Set(new.voters.voters).subtracting(old.voters.voters).count
        let removed = Set(old.voters.voters).subtracting(new.voters.voters).count
        guard old.voters.epoch == 0 || added + removed <= 1 else { return "\(added + removed) voters change at once" }
        return nil
    }
}
