/// A fault put into the cluster's machines on purpose: each must be noticed by the simulator's checkers, or they prove nothing.
/// Chosen at run time, and only in builds with FAULTS.
package enum ClusterMutant: String, CaseIterable, Sendable {
    /// A promise is given before it is on disk.
    case skipFsync
    /// A vote for a term that is over.
    case acceptLowerTerm
    /// Several votes in one term.
    case voteTwice
    /// A port is told before a quorum has it.
    case answerEarly
    /// A port is read from a state that may be outdated: without asking a quorum.
    case answerWithoutRound
    /// A change is applied to whatever state there is.
    case ignoreBase
    /// A full state replaces a newer one.
    case installOlder
    /// The winner goes on with its own state instead of the latest of its voters.
    case skipFetch
    /// A release frees a port that meanwhile has another token.
    case releaseWithoutToken
    /// A port is given again before every server has stopped listening on it.
    case reuseEarly
    /// A quorum of the servers that can be seen.
    case quorumOfLiveView
    /// A server without its disk votes as if it were the old one.
    case voteWithoutDisk
    /// One vote is enough to lead, one answer to go on leading.
    case leadAlone
}

/// A fault that is put in on purpose, in builds made for tests; elsewhere there is none.
package struct Mutation: Sendable {
    #if FAULTS
    private let mutant: ClusterMutant?

    package init(_ mutant: ClusterMutant?) { self.mutant = mutant }

    func callAsFunction(_ mutant: ClusterMutant) -> Bool { self.mutant == mutant }
    #else
    package init(_ mutant: ClusterMutant?) {}

    @inline(__always) func callAsFunction(_ mutant: ClusterMutant) -> Bool { false }
    #endif
}
