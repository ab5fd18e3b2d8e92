import ClusterCore
import DequeModule
import TunnelWire

/// Whoever holds a state of one ballot holds the same state.
struct BallotCheck: Sendable {
    private var digests: [Ballot: UInt64] = [:]
    /// The latest of them whole, with their ballots: what is settled later was held before.
    private var states: [Ballot: AssignmentState] = [:]
    private var order: Deque<Ballot> = []
    private static let kept = 256
    /// What each place was last seen with, so that nothing is looked at twice.
    private var last: [Ballot]

    init(count: Int) { self.last = Array(repeating: .zero, count: count) }

    mutating func started(_ place: Int) { self.last[place] = .zero }

    func state(of ballot: Ballot) -> AssignmentState? { self.states[ballot] }

    mutating func holds(_ place: Int, _ state: StoredState) -> String? {
        guard state.ballot != self.last[place], state.ballot > .zero else { return nil }
        self.last[place] = state.ballot
        let digest = Digest.of(state.state)
        guard let known = self.digests.updateValue(digest, forKey: state.ballot) else {
            self.states[state.ballot] = state.state
            self.order.append(state.ballot)
            if self.order.count > Self.kept { self.states[self.order.removeFirst()] = nil }
            return nil
        }
        guard known != digest else { return nil }
        return "two servers hold different states of ballot \(state.ballot.text); the second is s\(place)"
    }
}
