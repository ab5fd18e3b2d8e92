import Systemd
import Testing
import Timing

extension SystemdTests {
    /// An interval of 8 s, so a tick every 2 s, late after 4 s and stuck after 8 s.
    @Suite struct WatchdogGateTests {
        private func at(_ seconds: Double) -> Moment { Moment(nanoseconds: Int64(seconds * 1e9)) }
        private func gate() -> WatchdogGate { WatchdogGate(interval: .seconds(8)) }

        @Test func aGateWithoutSourcesPings() {
            var gate = gate()
            #expect(gate.tick(now: at(0)) == .ping)
            #expect(gate.margin(now: at(0)) == 1)
            #expect(gate.nextTick(after: at(0)) == at(2))
        }

        @Test func itPingsWhileAllAnswer() {
            var gate = gate()
            let sources = ["loop 0", "loop 1", "control plane"].map { gate.register($0, now: at(0)) }
            for second in stride(from: 2.0, through: 100, by: 2) {
                #expect(gate.tick(now: at(second)) == .ping)
                for source in sources { gate.answered(source, now: at(second + 0.1)) }
            }
        }

        @Test func oneSilentSourceStopsThePings() {
            var gate = gate()
            let loop = gate.register("loop 0", now: at(0))
            let control = gate.register("control plane", now: at(0))
            var verdicts: [WatchdogGate.Verdict] = []
            for second in [2.0, 4, 6, 8, 10] {
                verdicts.append(gate.tick(now: at(second)))
                gate.answered(loop, now: at(second))
            }
            let expected: [WatchdogGate.Verdict] = [
                .ping, .withhold(late: ["control plane"]), .withhold(late: ["control plane"]), .trigger(stuck: ["control plane"]),
                .trigger(stuck: ["control plane"]),
            ]
            #expect(verdicts == expected)
            gate.answered(control, now: at(10))
            #expect(gate.tick(now: at(12)) == .ping)
        }

        @Test func theStuckAreNamedNotTheMerelyLate() {
            var gate = gate()
            _ = gate.register("first", now: at(0))
            _ = gate.register("second", now: at(4))
            for second in [2.0, 4, 6] { _ = gate.tick(now: at(second)) }
            #expect(gate.tick(now: at(8)) == .trigger(stuck: ["first"]))
            #expect(gate.tick(now: at(10)) == .trigger(stuck: ["first"]))
            #expect(gate.tick(now: at(12)) == .trigger(stuck: ["first", "second"]))
        }

        @Test func aSourceThatHasEndedIsNotWaitedFor() {
            var gate = gate()
            let source = gate.register("loop 0", now: at(0))
            for second in [2.0, 4, 6] { _ = gate.tick(now: at(second)) }
            gate.remove(source)
            #expect(gate.tick(now: at(8)) == .ping)
            gate.answered(source, now: at(9))
            #expect(gate.tick(now: at(10)) == .ping)
        }

        @Test func theMarginIsThatOfTheSlowest() {
            var gate = gate()
            _ = gate.register("slow", now: at(0))
            _ = gate.register("fast", now: at(1))
            #expect(gate.margin(now: at(2)) == 0.75)
            #expect(gate.margin(now: at(8)) == 0)
            #expect(gate.margin(now: at(12)) == -0.5)
        }

        @Test func anAnswerNeverMakesASourceOlder() {
            var gate = gate()
            let source = gate.register("loop 0", now: at(5))
            gate.answered(source, now: at(3))
            #expect(gate.margin(now: at(7)) == 0.75)
        }

        /// The process was stopped for a minute: nobody could answer, and the sources get the time they had.
        @Test func aStoppedProcessIsNotHeldAgainstItsSources() {
            var gate = gate()
            let source = gate.register("loop 0", now: at(0))
            #expect(gate.tick(now: at(2)) == .ping)
            gate.answered(source, now: at(2))
            #expect(gate.tick(now: at(62)) == .ping)
            // It is stuck for real, as is found out without another minute's grace.
            #expect(gate.tick(now: at(64)) == .withhold(late: ["loop 0"]))
            #expect(gate.tick(now: at(66)) == .withhold(late: ["loop 0"]))
            #expect(gate.tick(now: at(68)) == .trigger(stuck: ["loop 0"]))
        }

        /// The trigger comes when the interval is over, not at the tick after.
        @Test func theNextTickIsAtALimitThatComesBefore() {
            var gate = gate()
            _ = gate.register("loop 0", now: at(0))
            #expect(gate.nextTick(after: at(1)) == at(3))
            #expect(gate.nextTick(after: at(3)) == at(4))
            #expect(gate.nextTick(after: at(7.5)) == at(8))
            #expect(gate.nextTick(after: at(8)) == at(10))
        }

        /// Whatever happens when: a source that goes silent is stuck at the latest one interval later, and never before.
        @Test(arguments: 1...50)
        func aSilentSourceIsFoundWithinTheInterval(seed: UInt64) {
            var random = SplitMix(state: seed)
            var gate = gate()
            let sources = (0..<3).map { gate.register("source \($0)", now: at(0)) }
            let silent = Int.random(in: 0..<3, using: &random)
            let silence = at(Double.random(in: 0...40, using: &random))
            var now = at(0)
            var heard = at(0)
            while now < at(100) {
                switch gate.tick(now: now) {
                case .trigger(let stuck):
                    #expect(stuck == ["source \(silent)"])
                    #expect(now - heard == .seconds(8))
                    return
                case .withhold(let late):
                    #expect(late == ["source \(silent)"])
                    #expect(now - heard >= .seconds(4))
                case .ping:
                    #expect(now - heard < .seconds(4))
                }
                for (index, source) in sources.enumerated() where index != silent || now < silence {
                    let answer = now + .milliseconds(Int.random(in: 0..<1000, using: &random))
                    gate.answered(source, now: answer)
                    if index == silent { heard = answer }
                }
                now = gate.nextTick(after: now)
            }
            Issue.record("never found")
        }
    }
}

/// A small generator with a seed (Steele et al., SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
