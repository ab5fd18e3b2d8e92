@testable import ClusterCore

/// The voters: how a cluster begins, grows and shrinks.
extension GoldenScript {
    static let voters = [
        founding, added, removed, leaderRemoved, comesBack, wiped, addedAgain, removedTwice,
    ]

    /// No server's configuration names it as a founder, so that an operator has to say it. Said at B at the same time, it is
    /// the same cluster; said again, it is refused.
    static let founding = GoldenScript(
        "a cluster is founded once",
        """
        > cluster ABC of XYZ
        > hide heartbeat heard written writes
        > found A 1
          A is candidate in term 0
          A→BC prevote? term 1
        > deliver A→
          B→A prevote yes, term 1, holds 0.0
          C→A prevote yes, term 1, holds 0.0
        > found B 2
          B is candidate in term 0
          B→AC prevote? term 1
        > settle
          A is candidate in term 1
          A→BC vote? term 1
          A→B prevote no, term 1, holds 0.0
          C→B prevote yes, term 1, holds 0.0
          B is follower in term 1
          B→A vote yes, term 1, holds 0.0
          C is follower in term 1
          C→A vote yes, term 1, holds 0.0
          A is leader in term 1, voters 1:ABC
          A→BC write 0.0 → 1.0: found 1:ABC
          B is follower in term 1, voters 1:ABC
          C is follower in term 1, voters 1:ABC
          B is follower of A in term 1
          C is follower of A in term 1
          A answered 1: done
          A is leader in term 1, serving
        > timeout A
        > settle
          B answered 2: done
        > found A 3
          A answered 3: refused, this server belongs to a cluster already
        > found C 4
          C answered 4: refused, this server belongs to a cluster already
        > state C
          C: follower in term 1, holds 1.0, settled 1.0, voters 1:ABC
        """)

    /// D and E have learned the state. Two are asked for at once: one write after the other.
    static let added = GoldenScript(
        "voters are added one by one",
        """
        > cluster ABCDE of ABC
        > elect A
        > hide heartbeat heard written writes
        > timeout A
        > settle
        > state D
          D: learner in term 1, holds 1.0, settled 1.0, voters 1:ABC
        > add A 1 D
          A is leader in term 1, serving, voters 2:ABCD
          A→BCDE write 1.0 → 1.1: voters 2:ABCD
        > add B 2 E
          B→A request 2: add E
        > settle
          B is follower of A in term 1, voters 2:ABCD
          C is follower of A in term 1, voters 2:ABCD
          D is follower of A in term 1, voters 2:ABCD
          E is learner of A in term 1, voters 2:ABCD
          A answered 1: done
          A is leader in term 1, serving, voters 3:ABCDE
          A→BCDE write 1.1 → 1.2: voters 3:ABCDE
          A→D write 1.1 → 1.2: voters 3:ABCDE
          A→E write 1.1 → 1.2: voters 3:ABCDE
          B is follower of A in term 1, voters 3:ABCDE
          C is follower of A in term 1, voters 3:ABCDE
          D is follower of A in term 1, voters 3:ABCDE
          E is follower of A in term 1, voters 3:ABCDE
          A→B answer 2: done
          B answered 2: done
        > add A 3 D
        > timeout A
        > settle
          A answered 3: done
        > add A 4 F
          A answered 4: refused, no server called F is linked with the leader: start it, then add it
        > state A
          A: leader in term 1, holds 1.2, settled 1.2, voters 3:ABCDE
        """)

    /// Not one whose removal would leave too few that are up; one that is down can be.
    static let removed = GoldenScript(
        "a voter is removed",
        """
        > cluster ABCD
        > elect A
        > hide heartbeat heard written writes
        > remove B 1 D
          B→A request 1: remove D
        > settle
          A is leader in term 1, serving, voters 2:ABC
          A→BCD write 1.0 → 1.1: voters 2:ABC
          B is follower of A in term 1, voters 2:ABC
          C is follower of A in term 1, voters 2:ABC
          D is learner of A in term 1, voters 2:ABC
          A→B answer 1: done
          B answered 1: done
        > crash C
        > reset A-C
        > reset B-C
        > reset C-D
        > remove A 2 B
        > remove A 3 X
        > timeout A
        > settle
          A answered 2: refused, without B only 1 of 2 voters would be up: start or remove the others first
          A answered 3: refused, no server called X has or had a vote
        > remove A 4 C
          A is leader in term 1, serving, voters 3:AB
          A→BD write 1.1 → 1.2: voters 3:AB
        > settle
          B is follower of A in term 1, voters 3:AB
          D is learner of A in term 1, voters 3:AB
          A answered 4: done
        > state A
          A: leader in term 1, holds 1.2, settled 1.2, voters 3:AB
        > state D
          D: learner in term 1, holds 1.2, settled 1.1, voters 3:AB
        """)

    /// It leads until those that remain have that on disk; B and C then elect one of them and keep what was given out.
    static let leaderRemoved = GoldenScript(
        "the leader itself is removed",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard writes prevote prevote?
        > request A 1 w1
          A→BC write 1.0 → 1.1: grant 20000 w1
        > settle
          B→A written 1.1 in term 1
          C→A written 1.1 in term 1
          A answered 1: 20000 #1.1
          A listens on 20000 w1 #1.1
        > remove A 2 A
          A is leader in term 1, serving, voters 2:BC
          A→BC write 1.1 → 1.2: voters 2:BC
        > deliver A→
          B is follower of A in term 1, voters 2:BC
          B listens on 20000 w1 #1.1
          C is follower of A in term 1, voters 2:BC
          C listens on 20000 w1 #1.1
        > store AB
          B→A written 1.2 in term 1
        > deliver B→A
        > store C
          C→A written 1.2 in term 1
        > deliver C→A
          A answered 2: done
          A is learner in term 1
          A→B handover term 1
        > settle
          B is candidate in term 2
          B→AC vote? term 2, handed over
          A is learner in term 2
          A→B vote yes, term 2, holds 1.2
          C is follower in term 2
          C→B vote yes, term 2, holds 1.2
          B is leader in term 2
          B→AC write 1.2 → 2.0
          A→B written 2.0 in term 2
          C→B written 2.0 in term 2
          A is learner of B in term 2
          C is follower of B in term 2
          B is leader in term 2, serving
        > state A
          A: learner in term 2, holds 2.0, settled 1.2, voters 2:BC
          A: 20000 w1 #1.1
        > state B
          B: leader in term 2, holds 2.0, settled 2.0, voters 2:BC
          B: 20000 w1 #1.1
        """)

    /// C was down when it was removed and believes itself a voter. Nobody listens to it; it learns what is so, and stands no
    /// more.
    static let comesBack = GoldenScript(
        "a removed voter that comes back has no vote",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard written writes
        > crash C
        > reset A-C
        > reset B-C
        > remove A 1 C
          A is leader in term 1, serving, voters 2:AB
          A→B write 1.0 → 1.1: voters 2:AB
        > settle
          B is follower of A in term 1, voters 2:AB
          A answered 1: done
        > request A 2 w1
          A→B write 1.1 → 1.2: grant 20000 w1
        > settle
          A answered 2: 20000 #1.2
          A listens on 20000 w1 #1.2
        > timeout A
        > settle
          B listens on 20000 w1 #1.2
        > restart C
          C is follower in term 1, voters 1:ABC
        > timeout C
          C is candidate in term 1
          C→AB prevote? term 2
        > deliver C→
          A→C prevote no, term 1, holds 1.2
          B→C prevote no, term 1, holds 1.2
        > deliver →C
        > timeout A
        > settle
          C is follower of A in term 1
          A→C install 1.2
          C is learner of A in term 1, voters 2:AB
        > timeout A
        > settle
          C listens on 20000 w1 #1.2
        > wait C 5000
          C is learner in term 1
        > state C
          C: learner in term 1, holds 1.2, settled 1.2, voters 2:AB
          C: 20000 w1 #1.2
        """)

    /// C has voted for B in term 2, then lost its disk. It does not know that, but A does not count it: it is another voter.
    static let wiped = GoldenScript(
        "a voter without its disk has no vote",
        catches: [.voteWithoutDisk: "A is candidate in term 2"],
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
        > deliver C→B
          B writes term 2, vote B, holds 2.0, settled 0.0
          B is leader in term 2
          B→C write 1.0 → 2.0
        > crash C
        > wipe C
        > restart C
          C writes term 0, vote -, holds 0.0, settled 0.0
          C writes life 2, term 0, vote -, holds 0.0, settled 0.0
        > silence B-C
        > wait C 1000
        > wait A 1100
          A is follower in term 1
        > timeout A
          A is candidate in term 1
          A→C prevote? term 2
        > deliver A→C prevote?
          C→A prevote yes, term 2, holds 0.0
        > deliver C→A prevote
        > store A
        > state A
          A: candidate in term 1, holds 1.0, settled 1.0, voters 1:ABC
        > state B
          B: leader in term 2, holds 2.0, settled 0.0, voters 1:ABC
        """)

    /// B learns the state but counts for nothing. Adding it takes two writes: the voter that it was goes first.
    static let addedAgain = GoldenScript(
        "a voter without its disk is added again",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard written writes
        > crash B
        > reset A-B
        > reset B-C
        > wipe B
        > restart B
        > timeout A
        > settle
          B is follower of A in term 1
          A→B install 1.0
          B is learner of A in term 1, voters 1:ABC
        > wait B 5000
          B is learner in term 1
        > state B
          B: learner in term 1, holds 1.0, settled 0.0, voters 1:ABC
        > add A 1 B
          A is leader in term 1, serving, voters 2:AC
          A→BC write 1.0 → 1.1: voters 2:AC
        > settle
          B is learner in term 1, voters 2:AC
          C is follower of A in term 1, voters 2:AC
          A is leader in term 1, serving, voters 3:AB'C
          A→BC write 1.1 → 1.2: voters 3:AB'C
          B is follower in term 1, voters 3:AB'C
          C is follower of A in term 1, voters 3:AB'C
          A answered 1: done
        > timeout A
        > settle
          B is follower of A in term 1
        > state B
          B: follower in term 1, holds 1.2, settled 1.2, voters 3:AB'C
        """)

    /// C is removed twice and still listens on the port: it stays among those that have to leave it, since it is not down.
    static let removedTwice = GoldenScript(
        "a removed voter that is up is waited for",
        """
        > retention 1000
        > cluster ABC
        > elect A
        > hide heartbeat heard written writes
        > register B w1
        > request B 1 w1
          B→A request 1: port w1
        > settle
          A→BC write 1.0 → 1.1: grant 20000 w1
          A listens on 20000 w1 #1.1
          A→B answer 1: 20000 #1.1
          B answered 1: 20000 #1.1
        > remove A 2 C
          A is leader in term 1, serving, voters 2:AB
          A→BC write 1.1 → 1.2: voters 2:AB
        > settle
          B is follower of A in term 1, voters 2:AB
          B listens on 20000 w1 #1.1
          C is learner of A in term 1, voters 2:AB
          C listens on 20000 w1 #1.1
          A answered 2: done
        > remove A 3 C
        > timeout A
        > settle
          A answered 3: done
        > forget B w1
        > pass 1300
          A→BC write 1.2 → 1.3: end 20000 #1.1
          A is to leave 20000 #1.1
          B is to leave 20000 #1.1
          C is to leave 20000 #1.1
        > unbind A
        > unbind B
          B→A left 20000 #1.1
        > settle
        > state A
          A: leader in term 1, holds 1.3, settled 1.3, voters 2:AB
          A: 20000 w1 #1.1 ending
        > unbind C
          C→A left 20000 #1.1
        > settle
          A→BC write 1.3 → 1.4: free 20000 #1.1
        > state A
          A: leader in term 1, holds 1.4, settled 1.4, voters 2:AB
        """)
}
