import Timing

/// What has to hold in every run.
package enum Invariant: String, Sendable, CaseIterable {
    case oneLeader = "at most one leader in each term"
    case oneVote = "one vote of each voter in each term"
    case monotonic = "term, vote, ballot and generation never go back, and no promise is given before it is on disk"
    case agreement = "one ballot, one state"
    case assignments = "what was given out stays, and is given to nobody else"
    case answers = "an answer tells what a quorum keeps, and what held while it was asked"
    case listeners = "a port leads to one target, whichever server is asked"
    case registry = "only the owner changes its entries, and nothing deleted comes back"
    case quorum = "a minority assigns nothing"
    case voterSets = "two voter sets in force never have disjoint quorums"
    case convergence = "after healing, all servers agree, and nobody is declared dead"
    case liveness = "what is asked is answered, and timers come to an end"
}

/// Something that must never happen did.
package struct Violation: Sendable {
    package var invariant: Invariant
    /// Nanoseconds since the world began.
    package var at: Int64
    package var text: String
}

/// All that is checked in a run, each in a file of its own.
struct Checks: Sendable {
    var leaders = LeaderCheck()
    var votes = VoteCheck()
    var disks = DiskCheck()
    var ballots: BallotCheck
    var commits = CommitCheck()
    var voters: VoterSetCheck
    var answers = AnswerCheck()
    var registry: RegistryCheck
    var convergence = ConvergenceCheck()

    init(count: Int) {
        self.ballots = BallotCheck(count: count)
        self.voters = VoterSetCheck(count: count)
        self.registry = RegistryCheck(count: count)
    }
}
