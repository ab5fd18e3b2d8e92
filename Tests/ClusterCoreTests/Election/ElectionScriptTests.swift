import Testing

/// Each script is a run as it was and as it should be; read it as a story.
@Suite("Elections and assignments, step by step")
struct ElectionScriptTests {
    /// A first election: one round for the term, one for the disk, one to take over what was there.
    @Test func first() {
        play(
            """
            > cluster ABC
            > timeout A
              A is candidate in term 0
              A→BC prevote? term 1
            > deliver A→
              B→A prevote yes, term 1, holds 0.0
              C→A prevote yes, term 1, holds 0.0
            > deliver →A
              A writes term 1, vote A, 0.0
              A is candidate in term 1
            > store A
              A→BC vote? term 1
            > deliver A→
              B writes term 1, vote A, 0.0
              B is follower in term 1
              C writes term 1, vote A, 0.0
              C is follower in term 1
            > store B
              B→A vote yes, term 1, holds 0.0
            > store C
              C→A vote yes, term 1, holds 0.0
            > deliver →A
              A writes term 1, vote A, 1.0
              A is leader in term 1, voters 1:ABC
              A→BC write 0.0 → 1.0: found 1:ABC
              A→BC heartbeat 1/1, committed 0.0
            > store A
            > deliver A→
              B writes term 1, vote A, 1.0
              B is follower in term 1, voters 1:ABC
              C writes term 1, vote A, 1.0
              C is follower in term 1, voters 1:ABC
              B is follower of A in term 1
              B→A heard 1/1, holds 1.0
              C is follower of A in term 1
              C→A heard 1/1, holds 1.0
            > settle
              A→B write 0.0 → 1.0: found 1:ABC
              A→C write 0.0 → 1.0: found 1:ABC
              B→AA written 1.0 in term 1
              A writes term 1, vote A, 1.0
              A is leader in term 1, serving
              C→AA written 1.0 in term 1
            > state A
              A: leader in term 1, holds 1.0, settled 1.0, voters 1:ABC
            """)
    }

    /// B is asked, writes, and crashes before it has written: it may vote for another in the same term.
    @Test func aVoteIsOnDiskBeforeItIsSaid() {
        play(
            """
            > cluster ABC
            > hide heard heartbeat prevote prevote?
            > timeout A
              A is candidate in term 0
            > deliver A→
            > deliver →A
              A writes term 1, vote A, 0.0
              A is candidate in term 1
            > store A
              A→BC vote? term 1
            > deliver A→B vote?
              B writes term 1, vote A, 0.0
              B is follower in term 1
            > crash B
            > restart B
              B writes term 0, vote -, 0.0
            > state B
              B: follower in term 0, holds 0.0, settled 0.0, voters 0:
            > drop A→C
            > settle
            > state A
              A: candidate in term 1, holds 0.0, settled 0.0, voters 0:
            """)
    }

    /// C was cut off and wants to be elected: nobody who hears a leader listens.
    @Test func aServerThatWasAwayDisturbsNobody() {
        play(
            """
            > cluster ABC
            > elect A
            > reset A-C
              C is follower in term 1
            > timeout C
              C is candidate in term 1
              C→B prevote? term 2
            > settle
              B→C prevote no, term 1, holds 1.0
            > state C
              C: candidate in term 1, holds 1.0, settled 0.0, voters 1:ABC
            > state B
              B: follower in term 1, holds 1.0, settled 0.0, voters 1:ABC
            > state A
              A: leader in term 1, holds 1.0, settled 1.0, voters 1:ABC
            """)
    }

    /// The answer waits for the disks of A and one other.
    @Test func aPortIsAnsweredWhenAMajorityHasIt() {
        play(
            """
            > cluster ABC
            > elect A
            > hide heard heartbeat
            > register B w1
            > settle
            > request B 1 w1
              B→A request 1: port w1
            > deliver B→A
              A writes term 1, vote A, 1.1
              A→BC write 1.0 → 1.1: grant 20000 w1
            > deliver A→B write
              B writes term 1, vote A, 1.1
            > store B
              B→A written 1.1 in term 1
            > deliver B→A written
            > state A
              A: leader in term 1, holds 1.1, settled 1.0, voters 1:ABC
              A: 20000 w1 #1.1
            > store A
              A writes term 1, vote A, 1.1
              A listens on 20000 w1 #1.1
              A→B answer 1: 20000 #1.1
            > settle
              C writes term 1, vote A, 1.1
              B answered 1: 20000 #1.1
              C→A written 1.1 in term 1
            > state A
              A: leader in term 1, holds 1.1, settled 1.1, voters 1:ABC
              A: 20000 w1 #1.1
            """)
    }

    /// Asked twice, at two servers.
    @Test func theSameExposureGetsTheSamePort() {
        play(
            """
            > cluster ABC
            > elect A
            > hide heard heartbeat written write writes
            > register B w1
            > settle
            > request B 1 w1
              B→A request 1: port w1
            > settle
              A listens on 20000 w1 #1.1
              A→B answer 1: 20000 #1.1
              B answered 1: 20000 #1.1
            > request C 2 w1
              C→A request 2: port w1
            > settle
            > timeout A
            > settle
              B listens on 20000 w1 #1.1
              C listens on 20000 w1 #1.1
              A→C answer 2: 20000 #1.1
              C answered 2: 20000 #1.1
            > request A 3 w2
            > settle
              A answered 3: 20001 #1.2
              A listens on 20000 w1 #1.1, 20001 w2 #1.2
            > state C
              C: follower in term 1, holds 1.2, settled 1.1, voters 1:ABC
              C: 20000 w1 #1.1, 20001 w2 #1.2
            """)
    }

    /// B has the write on disk, A dies before it counts: the next leader has it settled.
    @Test func aNewLeaderFinishesWhatTheOldOneBegan() {
        play(
            """
            > cluster ABC
            > elect A
            > hide heard heartbeat prevote prevote? vote vote?
            > register B w1
            > settle
            > request B 1 w1
              B→A request 1: port w1
            > deliver B→A
              A writes term 1, vote A, 1.1
              A→BC write 1.0 → 1.1: grant 20000 w1
            > store A
            > deliver A→B write
              B writes term 1, vote A, 1.1
            > store B
              B→A written 1.1 in term 1
            > drop A→C
            > crash A
            > reset A-B
              B is follower in term 1
            > reset A-C
              C is follower in term 1
            > timeout B
              B is candidate in term 1
            > settle
              B writes term 2, vote B, 1.1
              B is candidate in term 2
              C writes term 2, vote B, 1.0
              C is follower in term 2
              B writes term 2, vote B, 2.0
              B is leader in term 2
              B→C write 1.1 → 2.0
              C→B written 1.0 in term 2
              C is follower of B in term 2
              B→C install 2.0
              C writes term 2, vote B, 2.0
              C→B written 2.0 in term 2
              B writes term 2, vote B, 2.0
              B is leader in term 2, serving
              B listens on 20000 w1 #1.1
            > state B
              B: leader in term 2, holds 2.0, settled 2.0, voters 1:ABC
              B: 20000 w1 #1.1
            > state C
              C: follower in term 2, holds 2.0, settled 0.0, voters 1:ABC
              C: 20000 w1 #1.1
            """)
    }

    /// A writes in its term while B leads in a later one: C, who promised B, does not take it.
    @Test func anOldLeadersWriteIsRefused() {
        play(
            """
            > cluster ABC
            > elect A
            > hide heard heartbeat prevote prevote? vote vote?
            > register A w1
            > settle
            > request A 1 w1
              A writes term 1, vote A, 1.1
              A→BC write 1.0 → 1.1: grant 20000 w1
            > late A→C write
            > drop A→B
            > reset A-B
              B is follower in term 1
            > reset A-C
              C is follower in term 1
            > timeout B
              B is candidate in term 1
            > settle
              B writes term 2, vote B, 1.0
              B is candidate in term 2
              C writes term 2, vote B, 1.0
              C is follower in term 2
              B writes term 2, vote B, 2.0
              B is leader in term 2
              B→C write 1.0 → 2.0
              C writes term 2, vote B, 2.0
              C is follower of B in term 2
              B→C write 1.0 → 2.0
              C→BB written 2.0 in term 2
              B writes term 2, vote B, 2.0
              B is leader in term 2, serving
            > again A→C write
            > settle
            > state C
              C: follower in term 2, holds 2.0, settled 0.0, voters 1:ABC
            > state B
              B: leader in term 2, holds 2.0, settled 2.0, voters 1:ABC
            """)
    }

    /// One change at a time; the removed leader steps down when the others can do without it.
    @Test func aVoterIsAddedAndTheLeaderRemoved() {
        play(
            """
            > cluster ABC of ABC
            > elect A
            > hide heard heartbeat prevote prevote? vote vote? write written writes
            > add A 1 B
            > settle
            > remove A 2 C
              A is leader in term 1, serving, voters 2:AB
            > settle
              B is follower of A in term 1, voters 2:AB
              C is learner of A in term 1, voters 2:AB
              A answered 2: done
            > state A
              A: leader in term 1, holds 1.1, settled 1.1, voters 2:AB
            > remove A 3 A
              A is leader in term 1, serving, voters 3:B
            > settle
              B is follower of A in term 1, voters 3:B
              C is learner of A in term 1, voters 3:B
              A answered 3: done
              A is learner in term 1
            > state A
              A: learner in term 1, holds 1.2, settled 1.2, voters 3:B
            > state B
              B: follower in term 1, holds 1.2, settled 1.1, voters 3:B
            """)
    }

    /// B lost its disk: it counts for nothing until it is added again.
    @Test func aWipedVoterHasNoVote() {
        play(
            """
            > cluster ABC
            > elect A
            > hide heard heartbeat prevote prevote? vote vote? write written writes
            > crash B
            > reset A-B
            > reset B-C
            > wipe B
            > restart B
            > settle
            > timeout A
            > settle
              B is follower of A in term 1
              A→B install 1.0
              B is learner of A in term 1, voters 1:ABC
            > state B
              B: learner in term 1, holds 1.0, settled 0.0, voters 1:ABC
            > timeout B
              B is learner in term 1
            > add A 1 B
              A is leader in term 1, serving, voters 2:AC
            > settle
              B is learner in term 1, voters 2:AC
              C is follower of A in term 1, voters 2:AC
              A is leader in term 1, serving, voters 3:AB'C
              B is follower in term 1, voters 3:AB'C
              C is follower of A in term 1, voters 3:AB'C
              A answered 1: done
            > state B
              B: follower in term 1, holds 1.2, settled 1.1, voters 3:AB'C
            """)
    }

    /// Found by the simulator: C is removed twice and still listens. It stays among those that a port waits for.
    @Test func whoWasRemovedAndIsUpIsWaitedFor() {
        play(
            """
            > cluster ABC
            > retention 1000
            > elect A
            > hide heard heartbeat prevote prevote? vote vote? written writes install
            > register B w1
            > settle
            > request B 1 w1
              B→A request 1: port w1
            > settle
              A→BC write 1.0 → 1.1: grant 20000 w1
              A listens on 20000 w1 #1.1
              A→B answer 1: 20000 #1.1
              B answered 1: 20000 #1.1
            > timeout A
            > settle
              B listens on 20000 w1 #1.1
              C listens on 20000 w1 #1.1
            > remove A 2 C
              A is leader in term 1, serving, voters 2:AB
              A→BC write 1.1 → 1.2: voters 2:AB
            > settle
              B is follower of A in term 1, voters 2:AB
              C is learner of A in term 1, voters 2:AB
              A answered 2: done
            > remove A 3 C
            > settle
            > timeout A
            > settle
              A answered 3: done
            > state A
              A: leader in term 1, holds 1.2, settled 1.2, voters 2:AB
              A: 20000 w1 #1.1
            """)
    }

    /// A transfer asks B to stand at once; A stops serving before.
    @Test func theLeadIsHandedOver() {
        play(
            """
            > cluster ABC
            > elect A
            > hide heard heartbeat write written writes
            > transfer A 1 B
              A answered 1: done
              A→B handover term 1
            > settle
              B is candidate in term 2
              B→AC vote? term 2, handed over
              A is follower in term 2
              C is follower in term 2
              A→B vote yes, term 2, holds 1.0
              B is leader in term 2
              A is follower of B in term 2
              C is follower of B in term 2
              B is leader in term 2, serving
              C→B vote yes, term 2, holds 1.0
            > state A
              A: follower in term 2, holds 2.0, settled 1.0, voters 1:ABC
            > state B
              B: leader in term 2, holds 2.0, settled 2.0, voters 1:ABC
            """)
    }
}
