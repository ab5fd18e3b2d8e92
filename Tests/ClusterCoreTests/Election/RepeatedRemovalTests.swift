import Testing
import TunnelWire

@testable import ClusterCore

/// What makes a removed voter one that no port waits for.
@Suite struct RepeatedRemovalTests {
    private var run = AgreementScript()

    private mutating func play(_ script: String) { _ = self.run.run(script) }

    private var retired: Set<ServerName>? { self.run.world.node("A")?.assignments.state.retired }

    /// C is cut off, and B asks again since the answer is late. C may listen on ports: it was removed once, not twice.
    @Test mutating func aRequestThatIsRepeatedForgetsNobody() {
        self.play(
            """
            > cluster ABC
            > elect A
            > silence A-C
            > silence B-C
            > settle
            > remove B 2 C
            > deliver B→A request
            > wait B 500
            > settle
            """)
        #expect(self.run.world.places["B"]?.answers[2] == .done)
        #expect(self.retired == ["C"])
        // The question arrives once more, long after it was answered.
        self.play("> again B→A request\n> settle\n> timeout A\n> settle")
        #expect(self.retired == ["C"])
    }

    @Test mutating func anOperatorWhoSaysItOnceMoreIsHeard() {
        self.play(
            """
            > cluster ABC
            > elect A
            > silence A-C
            > silence B-C
            > settle
            > remove B 2 C
            > settle
            > timeout A
            > settle
            """)
        #expect(self.retired == ["C"])
        self.play("> remove B 3 C\n> settle")
        #expect(self.run.world.places["B"]?.answers[3] == .done)
        #expect(self.retired == [])
    }

    /// B has not heard that C has a vote again.
    @Test mutating func whoHasAVoteIsNotForgotten() {
        self.play(
            """
            > cluster ABC
            > elect A
            > remove A 1 C
            > settle
            > timeout A
            > settle
            > silence A-B
            > add A 2 C
            > settle
            > remove B 3 C
            """)
        #expect(self.run.world.places["B"]?.answers[3] == nil)
        self.play("> link A-B\n> settle\n> timeout A\n> wait B 500\n> settle\n> timeout A\n> settle")
        let answer = self.run.world.places["B"]?.answers[3]
        #expect(answer == .refused("C has a vote again: say it once more to remove it"))
        #expect(self.run.world.node("A")?.assignments.state.voters.voter(named: "C") != nil)
        #expect(self.retired == [])
    }
}
