@testable import ClusterCore

/// Mapped ports: who has which, and when it may be said.
extension GoldenScript {
    static let ports = [
        answeredBySome, samePort, twoClients, halfDone, fetches, oldLeader, oldAnswer, gaps, retention, lateLeave,
    ]

    /// The answer waits for the disk of A, whose write it is, and for that of one other. All listen when they hear that it is
    /// settled.
    static let answeredBySome = GoldenScript(
        "a port is told when a majority has it on disk",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard
        > request B 1 w1
          B→A request 1: port w1
        > deliver B→A
          A writes term 1, vote A, holds 1.1, settled 1.0
          A→BC write 1.0 → 1.1: grant 20000 w1
        > deliver A→B write
          B writes term 1, vote A, holds 1.1, settled 1.0
        > store B
          B→A written 1.1 in term 1
        > deliver B→A written
        > store A
          A writes term 1, vote A, holds 1.1, settled 1.1
          A listens on 20000 w1 #1.1
          A→B answer 1: 20000 #1.1
        > deliver A→B answer
          B answered 1: 20000 #1.1
        > settle
          C writes term 1, vote A, holds 1.1, settled 1.0
          C→A written 1.1 in term 1
        > timeout A
        > settle
          B writes term 1, vote A, holds 1.1, settled 1.1
          B listens on 20000 w1 #1.1
          C writes term 1, vote A, holds 1.1, settled 1.1
          C listens on 20000 w1 #1.1
        """)

    /// It is asked twice at B, at C while it is being written, and later at A.
    static let samePort = GoldenScript(
        "the same request gets the same port",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard written writes
        > request B 1 w1
          B→A request 1: port w1
        > deliver B→A
          A→BC write 1.0 → 1.1: grant 20000 w1
        > again B→A request
        > request C 2 w1
          C→A request 2: port w1
        > deliver C→A
        > settle
          A listens on 20000 w1 #1.1
          A→B answer 1: 20000 #1.1
          B answered 1: 20000 #1.1
        > timeout A
        > settle
          B listens on 20000 w1 #1.1
          C listens on 20000 w1 #1.1
          A→B answer 1: 20000 #1.1
          A→C answer 2: 20000 #1.1
          C answered 2: 20000 #1.1
        > request A 3 w1
        > timeout A
        > settle
          A answered 3: 20000 #1.1
        """)

    /// Four ask at once for three ports. What says that there is none waits until a quorum has agreed that A still leads.
    static let twoClients = GoldenScript(
        "two clients never get one port",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard written writes
        > request A 1 w1
          A→BC write 1.0 → 1.1: grant 20000 w1
        > request B 2 w2
          B→A request 2: port w2
        > request C 3 w3
          C→A request 3: port w3
        > request C 4 w4
          C→A request 4: port w4
        > deliver →A request
        > settle
          A answered 1: 20000 #1.1
          A listens on 20000 w1 #1.1
          A→BC write 1.1 → 1.2: grant 20001 w2, grant 20002 w3
          A→C write 1.1 → 1.2: grant 20001 w2, grant 20002 w3
          B listens on 20000 w1 #1.1
          C listens on 20000 w1 #1.1
          A listens on 20000 w1 #1.1, 20001 w2 #1.2, 20002 w3 #1.2
          A→B answer 2: 20001 #1.2
          A→C answer 3: 20002 #1.2
          B answered 2: 20001 #1.2
          C answered 3: 20002 #1.2
        > timeout A
        > settle
          B listens on 20000 w1 #1.1, 20001 w2 #1.2, 20002 w3 #1.2
          C listens on 20000 w1 #1.1, 20001 w2 #1.2, 20002 w3 #1.2
          A→C answer 4: refused, no mapped port is free in the range that w4 may have
          C answered 4: refused, no mapped port is free in the range that w4 may have
        > state A
          A: leader in term 1, holds 1.2, settled 1.2, voters 1:ABC
          A: 20000 w1 #1.1, 20001 w2 #1.2, 20002 w3 #1.2
        """)

    /// B has the write on disk, A dies before it counts. Nobody was told of the port, but somebody might have been.
    static let halfDone = GoldenScript(
        "a new leader completes a half-done write",
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard prevote prevote? vote vote? writes
        > request A 1 w1
          A→BC write 1.0 → 1.1: grant 20000 w1
        > deliver A→B
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
          B is candidate in term 2
          C is follower in term 2
          B is leader in term 2
          B→C write 1.1 → 2.0
          C→B written 1.0 in term 2
          C is follower of B in term 2
          B→C install 2.0
          C→B written 2.0 in term 2
          B is leader in term 2, serving
          B listens on 20000 w1 #1.1
        > timeout B
        > settle
          C listens on 20000 w1 #1.1
        > state B
          B: leader in term 2, holds 2.0, settled 2.0, voters 1:ABC
          B: 20000 w1 #1.1
        > state C
          C: follower in term 2, holds 2.0, settled 2.0, voters 1:ABC
          C: 20000 w1 #1.1
        """)

    /// w1 has been told its port; C, which has never heard of it, is elected by B, which has.
    static let fetches = GoldenScript(
        "a new leader fetches what was told",
        catches: [.skipFetch: "C answered 2: 20000 #2.1"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard prevote prevote? writes
        > request A 1 w1
          A→BC write 1.0 → 1.1: grant 20000 w1
        > drop A→C
        > deliver A→B
        > store B
          B→A written 1.1 in term 1
        > deliver B→A
        > store A
          A answered 1: 20000 #1.1
          A listens on 20000 w1 #1.1
        > crash A
        > reset A-B
          B is follower in term 1
        > reset A-C
          C is follower in term 1
        > timeout C
          C is candidate in term 1
        > deliver C→B
        > deliver B→C
          C is candidate in term 2
        > store C
          C→B vote? term 2
        > deliver C→B
          B is follower in term 2
        > store B
          B→C vote yes, term 2, holds 1.1
        > deliver B→C
          C is leader in term 2
          C→B fetch for term 2
        > deliver C→B fetch
          B→C fetched 1.1
        > deliver B→C fetched
          C→B write 1.1 → 2.0
        > settle
          B is follower of C in term 2
          B→C written 2.0 in term 2
          C→B write 1.1 → 2.0
          C is leader in term 2, serving
          C listens on 20000 w1 #1.1
          B→C written 2.0 in term 2
        > request C 2 w2
          C→B write 2.0 → 2.1: grant 20001 w2
        > settle
          B listens on 20000 w1 #1.1
          B→C written 2.1 in term 2
          C answered 2: 20001 #2.1
          C listens on 20000 w1 #1.1, 20001 w2 #2.1
        > state C
          C: leader in term 2, holds 2.1, settled 2.1, voters 1:ABC
          C: 20000 w1 #1.1, 20001 w2 #2.1
        """)

    /// B leads term 2 with C when A's write of term 1 reaches C. A hears of it and steps down; its write was never answered.
    static let oldLeader = GoldenScript(
        "the write of an old leader is refused",
        catches: [.answerEarly: "A answered 1: 20000 #1.1"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard prevote prevote? writes
        > request A 1 w1
          A→BC write 1.0 → 1.1: grant 20000 w1
        > store A
        > late A→C write
        > drop A→
        > silence A-B
        > wait C 1000
        > timeout B
          B is candidate in term 1
        > settle
          B is candidate in term 2
          B→C vote? term 2
          C is follower in term 2
          C→B vote yes, term 2, holds 1.0
          B is leader in term 2
          B→C write 1.0 → 2.0
          C→B written 2.0 in term 2
          C is follower of B in term 2
          B is leader in term 2, serving
        > again A→C write
          C→A written 2.0 in term 2
        > store C
        > deliver C→A
          A is follower in term 2
        > state A
          A: follower in term 2, holds 1.1, settled 1.0, voters 1:ABC
          A: 20000 w1 #1.1
        > state C
          C: follower in term 2, holds 2.0, settled 0.0, voters 1:ABC
        """)

    /// A has led, has the port of w1 on its disk, and does not know yet that B leads: what A knows may have changed.
    static let oldAnswer = GoldenScript(
        "an old leader tells nothing that may be over",
        catches: [.answerWithoutRound: "A answered 2: 20000 #1.1"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard written writes prevote prevote? vote vote?
        > request A 1 w1
          A→BC write 1.0 → 1.1: grant 20000 w1
        > settle
          A answered 1: 20000 #1.1
          A listens on 20000 w1 #1.1
        > silence A-B
        > silence A-C
        > wait C 1000
        > timeout B
          B is candidate in term 1
        > settle
          B is candidate in term 2
          C is follower in term 2
          B is leader in term 2
          B→C write 1.1 → 2.0
          C is follower of B in term 2
          B is leader in term 2, serving
          B listens on 20000 w1 #1.1
        > state B
          B: leader in term 2, holds 2.0, settled 2.0, voters 1:ABC
          B: 20000 w1 #1.1
        > state A
          A: leader in term 1, holds 1.1, settled 1.1, voters 1:ABC
          A: 20000 w1 #1.1
        > request A 2 w1
        > wait A 1100
          A is follower in term 1
        > state A
          A: follower in term 1, holds 1.1, settled 1.1, voters 1:ABC
          A: 20000 w1 #1.1
        """)

    /// C misses a write: it refuses the next one and gets the whole state. Later this arrives once more and changes nothing.
    static let gaps = GoldenScript(
        "a write builds on the one before",
        catches: [.ignoreBase: "C: 20001 w2 #1.2", .installOlder: "C: 20000 w1 #1.1, 20001 w2 #1.2"],
        """
        > cluster ABC
        > elect A
        > hide heartbeat heard writes
        > request A 1 w1
          A→BC write 1.0 → 1.1: grant 20000 w1
        > drop A→C write
        > settle
          B→A written 1.1 in term 1
          A answered 1: 20000 #1.1
          A listens on 20000 w1 #1.1
        > request A 2 w2
          A→BC write 1.1 → 1.2: grant 20001 w2
        > deliver A→C write
          C→A written 1.0 in term 1
        > state C
          C: follower in term 1, holds 1.0, settled 0.0, voters 1:ABC
        > deliver C→A
          A→C install 1.2
        > settle
          B listens on 20000 w1 #1.1
          B→A written 1.2 in term 1
          C→A written 1.2 in term 1
          A answered 2: 20001 #1.2
          A listens on 20000 w1 #1.1, 20001 w2 #1.2
        > request A 3 w3
          A→BC write 1.2 → 1.3: grant 20002 w3
        > settle
          B listens on 20000 w1 #1.1, 20001 w2 #1.2
          B→A written 1.3 in term 1
          C listens on 20000 w1 #1.1, 20001 w2 #1.2
          C→A written 1.3 in term 1
          A answered 3: 20002 #1.3
          A listens on 20000 w1 #1.1, 20001 w2 #1.2, 20002 w3 #1.3
        > again A→C install
          C→A written 1.3 in term 1
        > state C
          C: follower in term 1, holds 1.3, settled 1.2, voters 1:ABC
          C: 20000 w1 #1.1, 20001 w2 #1.2, 20002 w3 #1.3
        """)

    /// w1 is forgotten. Its port is kept for the retention, then taken back; it is free when A, B and C have closed their
    /// listeners.
    static let retention = GoldenScript(
        "a port is given again when all have left it",
        catches: [.reuseEarly: "A→BC write 1.2 → 1.3: free 20000 #1.1"],
        """
        > retention 2400
        > ports 20001
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
        > forget B w1
        > pass 2300
          B listens on 20000 w1 #1.1
          C listens on 20000 w1 #1.1
        > state A
          A: leader in term 1, holds 1.1, settled 1.1, voters 1:ABC
          A: 20000 w1 #1.1
        > pass 500
          A→BC write 1.1 → 1.2: end 20000 #1.1
          A is to leave 20000 #1.1
          B is to leave 20000 #1.1
          C is to leave 20000 #1.1
        > unbind A
        > unbind B
          B→A left 20000 #1.1
        > settle
        > request A 2 w2
          A→BC write 1.2 → 1.3: grant 20001 w2
        > settle
          A answered 2: 20001 #1.3
          A listens on 20001 w2 #1.3
          B listens on 20001 w2 #1.3
          C listens on 20000 w1 #1.1, 20001 w2 #1.3
        > request A 3 w3
        > pass 100
          A answered 3: refused, no mapped port is free in the range that w3 may have
        > unbind C
          C→A left 20000 #1.1
        > pass 100
          A→BC write 1.3 → 1.4: free 20000 #1.1
        > request A 4 w3
          A→BC write 1.4 → 1.5: grant 20000 w3
        > pass 100
          A answered 4: 20000 #1.5
          A listens on 20000 w3 #1.5, 20001 w2 #1.3
          B listens on 20000 w3 #1.5, 20001 w2 #1.3
          C listens on 20000 w3 #1.5, 20001 w2 #1.3
        """)

    /// w1 comes back while its port is being taken back, and gets it anew. That all have left the old listener counts no
    /// more.
    static let lateLeave = GoldenScript(
        "leaving a port late frees no later grant",
        catches: [.releaseWithoutToken: "A→BC write 1.3 → 1.4: free 20000 #1.1"],
        """
        > retention 2400
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
        > forget B w1
        > pass 2800
          B listens on 20000 w1 #1.1
          C listens on 20000 w1 #1.1
          A→BC write 1.1 → 1.2: end 20000 #1.1
          A is to leave 20000 #1.1
          B is to leave 20000 #1.1
          C is to leave 20000 #1.1
        > register C w1
        > request C 2 w1
          C→A request 2: port w1
        > deliver C→A request
          A→BC write 1.2 → 1.3: grant 20000 w1
        > unbind A
        > unbind B
          B→A left 20000 #1.1
        > unbind C
          C→A left 20000 #1.1
        > settle
          A listens on 20000 w1 #1.3
          A→C answer 2: 20000 #1.3
          C answered 2: 20000 #1.3
          B listens on 20000 w1 #1.3
          C listens on 20000 w1 #1.3
        > pass 200
        > state A
          A: leader in term 1, holds 1.3, settled 1.3, voters 1:ABC
          A: 20000 w1 #1.3
        """)
}
