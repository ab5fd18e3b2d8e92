@testable import ClusterCore

/// Votes: what a server promises, and what it may forget.
extension GoldenScript {
    static let votes = [
        splitVote, voteForgotten, voteKept, oneVote, termThatIsOver,
    ]

    /// B and C stand at once and each has its own vote, while A is down: nobody leads term 2.
    static let splitVote = GoldenScript(
        "a split vote ends in the next term",
        catches: [.leadAlone: "B is leader in term 2"],
        """
        > cluster ABC
        > elect A
        > hide writes
        > crash A
        > reset A-B
          B is follower in term 1
        > reset A-C
          C is follower in term 1
        > timeout B
          B is candidate in term 1
          B→C prevote? term 2
        > timeout C
          C is candidate in term 1
          C→B prevote? term 2
        > deliver B→C
          C→B prevote yes, term 2, holds 1.0
        > deliver C→B
          B→C prevote yes, term 2, holds 1.0
          B is candidate in term 2
        > settle
          B→C vote? term 2
          C is candidate in term 2
          C→B vote? term 2
          C→B vote no, term 2, holds 1.0
          B→C vote no, term 2, holds 1.0
        > timeout B
          B→C prevote? term 3
        > deliver B→C
          C→B prevote yes, term 3, holds 1.0
        > deliver C→B
          B is candidate in term 3
        > store B
          B→C vote? term 3
        > deliver B→C
          C is follower in term 3
        > store C
          C→B vote yes, term 3, holds 1.0
        > deliver C→B
          B is leader in term 3
          B→C write 1.0 → 3.0
          B→C heartbeat 3/1, committed 0.0
        > drop B→C heartbeat
        > settle
          C→B written 3.0 in term 3
          B is leader in term 3, serving
        > state B
          B: leader in term 3, holds 3.0, settled 3.0, voters 1:ABC
        """)

    /// C crashes before its vote for B is on disk. B has not heard of it, so C may vote for A in the same term.
    static let voteForgotten = GoldenScript(
        "a vote is on disk before it is said",
        catches: [.skipFsync: "C→B vote yes, term 2, holds 1.0"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard
        > silence A-B
        > reset A-C
          C is follower in term 1
        > timeout B
          B is candidate in term 1
          B→C prevote? term 2
        > deliver B→C
          C→B prevote yes, term 2, holds 1.0
        > deliver C→B
          B writes term 2, vote B, holds 1.0, settled 0.0
          B is candidate in term 2
        > store B
          B→C vote? term 2
        > deliver B→C
          C writes term 2, vote B, holds 1.0, settled 0.0
          C is follower in term 2
        > crash C
        > restart C
          C writes life 2, term 1, vote A, holds 1.0, settled 0.0
          C is follower in term 1, voters 1:ABC
        > wait C 1000
        > wait A 1100
          A is follower in term 1
        > timeout A
          A is candidate in term 1
          A→C prevote? term 2
        > deliver A→C prevote?
          C→A prevote yes, term 2, holds 1.0
        > deliver C→A prevote
          A writes term 2, vote A, holds 1.0, settled 1.0
          A is candidate in term 2
        > store A
          A→C vote? term 2
        > deliver A→C vote?
          C writes life 2, term 2, vote A, holds 1.0, settled 0.0
          C is follower in term 2
        > store C
          C→A vote yes, term 2, holds 1.0
        > deliver C→A
          A writes term 2, vote A, holds 2.0, settled 1.0
          A is leader in term 2
          A→C write 1.0 → 2.0
        > state A
          A: leader in term 2, holds 2.0, settled 1.0, voters 1:ABC
        > state B
          B: candidate in term 2, holds 1.0, settled 0.0, voters 1:ABC
        """)

    /// C crashes when its vote for B is on disk: whether B has heard of it or not, A gets none in that term.
    static let voteKept = GoldenScript(
        "a vote outlives a crash",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard
        > silence A-B
        > reset A-C
          C is follower in term 1
        > timeout B
          B is candidate in term 1
          B→C prevote? term 2
        > deliver B→C
          C→B prevote yes, term 2, holds 1.0
        > deliver C→B
          B writes term 2, vote B, holds 1.0, settled 0.0
          B is candidate in term 2
        > store B
          B→C vote? term 2
        > deliver B→C
          C writes term 2, vote B, holds 1.0, settled 0.0
          C is follower in term 2
        > store C
          C→B vote yes, term 2, holds 1.0
        > drop C→B
        > crash C
        > restart C
          C writes life 2, term 2, vote B, holds 1.0, settled 0.0
          C is follower in term 2, voters 1:ABC
        > wait C 1000
        > wait A 1100
          A is follower in term 1
        > timeout A
          A is candidate in term 1
          A→C prevote? term 2
        > deliver A→C prevote?
          C→A prevote no, term 2, holds 1.0
        > deliver C→A prevote
          A writes term 2, vote -, holds 1.0, settled 1.0
          A is follower in term 2
        > state A
          A: follower in term 2, holds 1.0, settled 1.0, voters 1:ABC
        > state C
          C: follower in term 2, holds 1.0, settled 0.0, voters 1:ABC
        """)

    /// B's request for term 2 is late: C has voted for A by then.
    static let oneVote = GoldenScript(
        "one vote in a term",
        catches: [.voteTwice: "B is leader in term 2"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard
        > silence A-B
        > reset A-C
          C is follower in term 1
        > timeout B
          B is candidate in term 1
          B→C prevote? term 2
        > deliver B→C
          C→B prevote yes, term 2, holds 1.0
        > deliver C→B
          B writes term 2, vote B, holds 1.0, settled 0.0
          B is candidate in term 2
        > store B
          B→C vote? term 2
        > late B→C vote?
        > link A-C
        > wait A 1100
          A is follower in term 1
        > drop A→C heartbeat
        > timeout A
          A is candidate in term 1
          A→C prevote? term 2
        > deliver A→C
          C→A prevote yes, term 2, holds 1.0
        > deliver C→A
          A writes term 2, vote A, holds 1.0, settled 1.0
          A is candidate in term 2
        > store A
          A→C vote? term 2
        > deliver A→C vote?
          C writes term 2, vote A, holds 1.0, settled 0.0
          C is follower in term 2
        > store C
          C→A vote yes, term 2, holds 1.0
        > deliver C→A
          A writes term 2, vote A, holds 2.0, settled 1.0
          A is leader in term 2
          A→C write 1.0 → 2.0
        > again B→C vote?
          C→B vote no, term 2, holds 1.0
        > store C
        > deliver C→B
        > state A
          A: leader in term 2, holds 2.0, settled 1.0, voters 1:ABC
        > state B
          B: candidate in term 2, holds 1.0, settled 0.0, voters 1:ABC
        """)

    /// B's request for term 2 is late: C has heard of term 3 by then, though it has voted for nobody.
    static let termThatIsOver = GoldenScript(
        "no vote in a term that is over",
        catches: [.acceptLowerTerm: "B is leader in term 2"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard
        > silence A-B
        > reset A-C
          C is follower in term 1
        > timeout B
          B is candidate in term 1
          B→C prevote? term 2
        > deliver B→C
          C→B prevote yes, term 2, holds 1.0
        > deliver C→B
          B writes term 2, vote B, holds 1.0, settled 0.0
          B is candidate in term 2
        > store B
          B→C vote? term 2
        > late B→C vote?
        > link A-C
        > wait A 1100
          A is follower in term 1
        > drop A→C heartbeat
        > timeout A
          A is candidate in term 1
          A→C prevote? term 2
        > deliver A→C
          C→A prevote yes, term 2, holds 1.0
        > deliver C→A
          A writes term 2, vote A, holds 1.0, settled 1.0
          A is candidate in term 2
        > store A
          A→C vote? term 2
        > drop A→C vote?
        > timeout A
          A→C prevote? term 3
        > deliver A→C
          C→A prevote yes, term 3, holds 1.0
        > deliver C→A
          A writes term 3, vote A, holds 1.0, settled 1.0
          A is candidate in term 3
        > store A
          A→C vote? term 3
        > drop A→C vote?
        > timeout C
          C is candidate in term 1
          C→AB prevote? term 2
        > deliver C→A
          A→C prevote no, term 3, holds 1.0
        > deliver A→C
          C writes term 3, vote -, holds 1.0, settled 0.0
          C is follower in term 3
        > again B→C vote?
          C→B vote no, term 3, holds 1.0
        > store C
        > deliver C→B vote
          B writes term 3, vote -, holds 1.0, settled 0.0
          B is follower in term 3
        > state B
          B: follower in term 3, holds 1.0, settled 0.0, voters 1:ABC
        """)
}
