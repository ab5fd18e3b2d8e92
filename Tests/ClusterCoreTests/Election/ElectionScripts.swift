@testable import ClusterCore

/// Elections: terms, votes, and who leads.
extension GoldenScript {
    static let elections = [
        firstElection, awayDisturbsNobody, lateLetters, noQuorum, handedOver,
    ]

    /// One round to be asked for the term, one for the disks of all three, one to take over what was there; served when two
    /// have it.
    static let firstElection = GoldenScript(
        "the first election",
        """
        > cluster ABC
        > timeout A
          A is candidate in term 0
          A→BC prevote? term 1
        > deliver A→
          B→A prevote yes, term 1, holds 0.0
          C→A prevote yes, term 1, holds 0.0
        > deliver →A
          A writes term 1, vote A, holds 0.0, settled 0.0
          A is candidate in term 1
        > store A
          A→BC vote? term 1
        > deliver A→
          B writes term 1, vote A, holds 0.0, settled 0.0
          B is follower in term 1
          C writes term 1, vote A, holds 0.0, settled 0.0
          C is follower in term 1
        > store B
          B→A vote yes, term 1, holds 0.0
        > store C
          C→A vote yes, term 1, holds 0.0
        > deliver →A
          A writes term 1, vote A, holds 1.0, settled 0.0
          A is leader in term 1, voters 1:ABC
          A→BC write 0.0 → 1.0: found 1:ABC
          A→BC heartbeat 1/1, committed 0.0
        > drop A→ heartbeat
        > deliver A→
          B writes term 1, vote A, holds 1.0, settled 0.0
          B is follower in term 1, voters 1:ABC
          C writes term 1, vote A, holds 1.0, settled 0.0
          C is follower in term 1, voters 1:ABC
        > store B
          B→A written 1.0 in term 1
        > deliver B→A
        > store A
          A writes term 1, vote A, holds 1.0, settled 1.0
          A is leader in term 1, serving
        > store A
        > timeout A
          A→BC heartbeat 1/2, committed 1.0
        > deliver A→B heartbeat
          B writes term 1, vote A, holds 1.0, settled 1.0
          B is follower of A in term 1
          B→A heard 1/2, holds 1.0
        > state A
          A: leader in term 1, holds 1.0, settled 1.0, voters 1:ABC
        > state B
          B: follower in term 1, holds 1.0, settled 1.0, voters 1:ABC
        """)

    /// C asks whether it would be elected, hears nothing, and comes back in the term in which it went.
    static let awayDisturbsNobody = GoldenScript(
        "a server that was away disturbs nobody",
        """
        > cluster ABC
        > elect A
        > silence A-C
        > silence B-C
        > wait C 10000
          C is candidate in term 1
        > link A-C
        > link B-C
        > timeout C
          C→AB prevote? term 2
        > deliver C→
          A→C prevote no, term 1, holds 1.0
          B→C prevote no, term 1, holds 1.0
        > deliver →C
        > timeout A
          A→BC heartbeat 1/2, committed 1.0
        > deliver A→C
          C writes term 1, vote A, holds 1.0, settled 1.0
          C is follower of A in term 1
          C→A heard 1/2, holds 1.0
        > state A
          A: leader in term 1, holds 1.0, settled 1.0, voters 1:ABC
        > state C
          C: follower in term 1, holds 1.0, settled 1.0, voters 1:ABC
        """)

    /// Among them the write with which the term began, which must not take B back to where it was then.
    static let lateLetters = GoldenScript(
        "repeated and late letters do no harm",
        """
        > cluster ABC
        > elect A
        > request A 1 w1
          A writes term 1, vote A, holds 1.1, settled 1.0
          A→BC write 1.0 → 1.1: grant 20000 w1
        > settle
          B writes term 1, vote A, holds 1.1, settled 1.0
          B→A written 1.1 in term 1
          C writes term 1, vote A, holds 1.1, settled 1.0
          C→A written 1.1 in term 1
          A answered 1: 20000 #1.1
          A writes term 1, vote A, holds 1.1, settled 1.1
          A listens on 20000 w1 #1.1
        > timeout A
          A→BC heartbeat 1/2, committed 1.1
        > settle
          B writes term 1, vote A, holds 1.1, settled 1.1
          B listens on 20000 w1 #1.1
          B→A heard 1/2, holds 1.1
          C writes term 1, vote A, holds 1.1, settled 1.1
          C listens on 20000 w1 #1.1
          C→A heard 1/2, holds 1.1
        > again A→B heartbeat
          B→A heard 1/2, holds 1.1
        > deliver B→A
        > again B→A heard
        > again A→B write 0.0
          B→A written 1.1 in term 1
        > settle
        > again A→B write 1.0
          B→A written 1.1 in term 1
        > settle
        > again B→A written 1.0
          A→B install 1.1
        > state A
          A: leader in term 1, holds 1.1, settled 1.1, voters 1:ABC
          A: 20000 w1 #1.1
        > state B
          B: follower in term 1, holds 1.1, settled 1.1, voters 1:ABC
          B: 20000 w1 #1.1
        """)

    /// What it is asked for meanwhile it does not answer. It asks the next leader itself.
    static let noQuorum = GoldenScript(
        "a leader that hears no quorum steps down",
        catches: [.quorumOfLiveView: "A answered 1: 20000 #1.1"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard writes
        > silence A-B
        > silence A-C
        > wait A 700
        > request A 1 w1
        > store A
        > state A
          A: leader in term 1, holds 1.1, settled 1.0, voters 1:ABC
          A: 20000 w1 #1.1
        > wait A 400
          A is follower in term 1
        > state A
          A: follower in term 1, holds 1.1, settled 1.0, voters 1:ABC
          A: 20000 w1 #1.1
        > wait C 1000
        > timeout B
          B is candidate in term 1
          B→C prevote? term 2
        > settle
          C→B prevote yes, term 2, holds 1.0
          B is candidate in term 2
          B→C vote? term 2
          C is follower in term 2
          C→B vote yes, term 2, holds 1.0
          B is leader in term 2
          B→C write 1.0 → 2.0
          C→B written 2.0 in term 2
          C is follower of B in term 2
          B is leader in term 2, serving
        > link A-B
        > timeout B
        > settle
          A is follower of B in term 2
          A→B request 1: port w1
          B→AC write 2.0 → 2.1: grant 20000 w1
          B→A install 2.1
          B→C write 2.0 → 2.1: grant 20000 w1
          A→B written 1.1 in term 2
          C→B written 2.1 in term 2
          A→B written 2.1 in term 2
          C→B written 2.1 in term 2
          B listens on 20000 w1 #2.1
          B→A answer 1: 20000 #2.1
          A answered 1: 20000 #2.1
        > timeout B
        > settle
          A listens on 20000 w1 #2.1
          C listens on 20000 w1 #2.1
        """)

    /// B stands at once, and all vote though they hear a leader. A write that A began meanwhile is on A's disk only: B finds
    /// it there, completes it, and tells A when it is asked.
    static let handedOver = GoldenScript(
        "the lead is handed over",
        """
        > cluster ABCD of ABC
        > elect A
        > hide heartbeat heard writes
        > transfer A 1 D
          A answered 1: refused, D is not a voter that the leader can reach
        > transfer C 2 B
          C→A request 2: transfer B
        > deliver C→A request
          A→B handover term 1
          A→C answer 2: done
        > deliver A→C answer
          C answered 2: done
        > deliver A→B handover
          B is candidate in term 2
        > store B
          B→ACD vote? term 2, handed over
        > request A 3 w1
          A→BCD write 1.0 → 1.1: grant 20000 w1
        > drop A→
        > deliver B→
          A is follower in term 2
          C is follower in term 2
          D is learner in term 2
        > store ACD
          A→B vote yes, term 2, holds 1.1
          C→B vote yes, term 2, holds 1.0
          D→B vote yes, term 2, holds 1.0
        > deliver →B vote
          B is leader in term 2
          B→A fetch for term 2
        > drop B→ heartbeat
        > settle
          A→B fetched 1.1
          B→ACD write 1.1 → 2.0
          A→B written 2.0 in term 2
          C→B written 1.0 in term 2
          D→B written 1.0 in term 2
          B is leader in term 2, serving
          B listens on 20000 w1 #1.1
          B→C install 2.0
          B→D install 2.0
          C→B written 2.0 in term 2
          D→B written 2.0 in term 2
        > timeout B
        > settle
          A is follower of B in term 2
          A listens on 20000 w1 #1.1
          A→B request 3: port w1
          C is follower of B in term 2
          C listens on 20000 w1 #1.1
          D is learner of B in term 2
          D listens on 20000 w1 #1.1
        > timeout B
        > settle
          B→A answer 3: 20000 #1.1
          A answered 3: 20000 #1.1
        > state A
          A: follower in term 2, holds 2.0, settled 2.0, voters 1:ABC
          A: 20000 w1 #1.1
        > state B
          B: leader in term 2, holds 2.0, settled 2.0, voters 1:ABC
          B: 20000 w1 #1.1
        """)
}
