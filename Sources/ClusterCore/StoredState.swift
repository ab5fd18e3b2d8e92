import TunnelWire

/// What a server keeps on disk of its part in the cluster, as one record: it is written whole.
package struct StoredState: Equatable, Sendable {
    /// How many lives the server has had.
    package var generation: UInt64
    package var term: UInt64
    /// Who has this server's vote in `term`.
    package var votedFor: Voter?
    package var state: AssignmentState
    /// The write that made `state`.
    package var ballot: Ballot
    /// Up to where a quorum had it, as far as was known.
    package var settled: Ballot

    package init(
        generation: UInt64 = 0, term: UInt64 = 0, votedFor: Voter? = nil, state: AssignmentState = AssignmentState(),
        ballot: Ballot = .zero, settled: Ballot = .zero
    ) {
        self.generation = generation
        self.term = term
        self.votedFor = votedFor
        self.state = state
        self.ballot = ballot
        self.settled = settled
    }

    package var cluster: WireID? { self.state.cluster }
    package var voters: VoterSet { self.state.voters }
}
