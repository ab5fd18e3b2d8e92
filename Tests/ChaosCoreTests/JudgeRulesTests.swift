import ChaosCore
import Testing

/// Where a judge has to be lenient, and where not.
@Suite("What a judge allows for") struct JudgeRulesTests {
    // MARK: The machine

    @Test("on a busy machine a slow answer says nothing, a quick one does")
    func aBusyMachineVoids() {
        var run = MadeRun(.slowest(.new, .milliseconds(300)))
        run.add(Observation(t: 120, who: "control", kind: .new, http: "1.1", what: .done, took: 0.2), true)
        #expect(run.first.outcome == .held)
        run.request(at: 120, took: 0.6)
        #expect(run.first.outcome == .void)
    }

    @Test("what the machine itself takes is allowed for, but not what only a busy one takes")
    func theControlIsAdded() {
        var run = MadeRun(.slowest(.new, .milliseconds(300)))
        run.add(Observation(t: 120, who: "control", kind: .new, http: "1.1", what: .done, took: 0.05), true)
        run.request(at: 120, took: 0.34)
        #expect(run.first.outcome == .held)
        run.request(at: 121, took: 0.36)
        #expect(run.first.outcome == .broken)
        // Otherwise one control of 10 s would let everything pass.
        run.add(Observation(t: 130, who: "control", kind: .new, http: "1.1", what: .failed, took: 10), true)
        #expect(run.first.outcome == .held)
        run.request(at: 122, took: 0.41)
        #expect(run.first.outcome == .void)
    }

    // MARK: Requests

    @Test("a request that a fault met may be slow where it might have failed as well")
    func thoseUnderWayCountAsFailures() {
        var run = MadeRun(.slowest(.new, .milliseconds(300)), .failed(.new, .perFault(1)))
        run.request(at: 109.995, took: 7)
        #expect(run.first.outcome == .held)
        #expect(run.first.measured == "slowest 3 ms (control 3 ms); 1 slower one was under way when a fault came")
        run.request(at: 120, fails: true)
        #expect(run.first.outcome == .broken)
    }

    @Test("a request that fails is no slow one: it counts as failed")
    func failuresAreNotSlow() {
        var run = MadeRun(.slowest(.new, .milliseconds(300)), .failed(.new, .atMost(1)))
        run.request(at: 120, took: 9, fails: true)
        #expect(Judge.judge(run.scenario, run.evidence).allSatisfy { $0.outcome == .held })
    }

    @Test("who asks seldom is not silent because of that")
    func silenceNeedsQuestions() {
        var run = MadeRun(.longestSilence(.seconds(1)))
        (run.scenario.traffic.new, run.scenario.traffic.get) = (0.2, 0)
        run.evidence.observations.removeAll { $0.isRequest }
        for t in stride(from: 100.0, to: 140, by: 5) { run.request(at: t) }
        #expect(run.first.outcome == .held)
        run.evidence.observations.removeAll { $0.isRequest && $0.t == 120 }
        #expect(run.first.outcome == .broken)
    }

    @Test("what goes wrong while the next fault is at work is not the one's before")
    func aFaultAnswersForItsOwn() {
        var run = MadeRun(.recovered(.seconds(3)))
        run.evidence.faults.append(
            FaultRecord(number: 1, action: "stop", victims: ["controller-2"], began: 116, there: 116, ended: 118))
        run.request(at: 115.9, took: 1.9)
        run.request(at: 117, took: 1)
        #expect(run.first.outcome == .held)
    }

    @Test("where another fault is at work at the end of each, nobody can say what comes after one")
    func overlappingFaultsTellNothing() {
        var run = MadeRun(.recovered(.seconds(3)))
        run.request(at: 120, took: 1)
        #expect(run.first.outcome == .broken)
        run.evidence.faults.append(
            FaultRecord(number: 1, action: "stop", victims: ["controller-2"], began: 111, there: 111, ended: 130))
        #expect(run.first.outcome == .held, "the second ends alone, and well")
        run.evidence.faults = []
        #expect(run.first.outcome == .void)
    }

    // MARK: Streams

    @Test("streams that end when the traffic is told to stop have not broken")
    func theEndIsNoBreak() {
        var run = MadeRun(.broken(.atMost(0)))
        run.add(Observation(t: 140.01, who: "controller-1", kind: .exec, http: "1.1", what: .ended, took: 40, why: "closed"))
        #expect(run.first.outcome == .held)
    }

    @Test("a repetition that its taker has noticed counts once")
    func aKnownRepetitionCountsOnce() {
        var run = MadeRun(.noHarm)
        for what in [Observation.What.accepted, .harm, .accepted] {
            run.add(
                Observation(
                    t: 120, who: "apiserver-1", kind: .upload, http: "1.1", what: what, harm: what == .harm ? .repeated : nil,
                    count: 1, id: "worker-1/upload/7"))
        }
        #expect(run.first.measured == "0 lost, 1 repeated, 0 reordered, 0 corrupt")
    }

    @Test("what goes wrong past the tunnel is not the tunnel's")
    func harmInTheControlVoids() {
        var run = MadeRun(.noHarm)
        run.add(Observation(t: 120, who: "control", kind: .list, http: "2", what: .harm, harm: .corrupt, count: 1), true)
        #expect(run.first.outcome == .void)
    }

    // MARK: Servers

    @Test("who was struck may be held dead, and may hold others dead, for a while")
    func deathsOfTheStruckAreRight() {
        var run = MadeRun(.noFalseDeath)
        run.evidence.verdicts.append(DeathVerdict(t: 113, server: "controller-1", peer: "controller-2"))
        #expect(run.first.outcome == .held)
        run.evidence.verdicts.append(DeathVerdict(t: 125, server: "controller-2", peer: "controller-1"))
        #expect(run.first.outcome == .broken)
    }

    @Test("those whom a cut parts may hold each other dead")
    func deathsAcrossACutAreRight() {
        var run = MadeRun(.noFalseDeath)
        run.evidence.faults.append(
            FaultRecord(
                number: 1, action: "cut", victims: ["controller-1", "controller-2", "controller-3"],
                others: ["controller-2", "controller-3"], began: 119, there: 119, ended: 122))
        run.evidence.verdicts.append(DeathVerdict(t: 121, server: "controller-1", peer: "controller-2"))
        run.evidence.verdicts.append(DeathVerdict(t: 121, server: "controller-3", peer: "controller-1"))
        #expect(run.first.outcome == .held)
    }

    @Test("what others write into a log reaches a terminal as printable text only")
    func detailsArePrintable() {
        var run = MadeRun(.cleanLogs)
        run.evidence.logTroubles.append(
            LogTrouble(process: "controller-1", line: "\u{1b}[2Jé" + String(repeating: "x", count: 900)))
        let detail = run.first.details.first ?? ""
        #expect(detail.utf8.allSatisfy { (0x20...0x7e).contains($0) } && detail.utf8.count <= 200)
    }
}

@Suite("What a run has to be to be judged") struct StandingJudgeTests {
    private func standing(_ run: MadeRun) -> [Verdict] {
        Judge.judge(run.scenario, run.evidence).filter { $0.promise == "faults" }
    }

    @Test("a fault that could not be made voids the run, whatever else held")
    func aFaultThatFailsIsSaid() {
        var run = MadeRun(.failed(.new, .atMost(0)))
        run.evidence.faults[0].problem = "no such process"
        let verdicts = Judge.judge(run.scenario, run.evidence)
        #expect(verdicts.count == 2 && verdicts[0].outcome == .held && verdicts[1].outcome == .void)
    }

    @Test("a run without the faults it was made for voids itself")
    func noFaultIsSaid() {
        var run = MadeRun(.failed(.new, .atMost(0)))
        run.scenario.faults = [FaultPlan(.kill, .leader, .every(.seconds(5), first: .zero), lasts: .seconds(1)...(.seconds(1)))]
        #expect(self.standing(run).isEmpty)
        run.evidence.faults = []
        run.evidence.skipped = ["kill: there is no leader now"]
        #expect(self.standing(run).first?.outcome == .void)
        #expect(self.standing(run).first?.details == ["kill: there is no leader now"])
    }

    @Test("a kind of fault that had its time and never came is missed")
    func anAbsentKindIsSaid() {
        var run = MadeRun(.failed(.new, .atMost(0)))
        let second = Duration.seconds(1)...(.seconds(1))
        run.scenario.faults = [
            FaultPlan(.kill, .leader, .at(.zero), lasts: second), FaultPlan(.stop, .active, .at(.seconds(5)), lasts: second),
        ]
        #expect(self.standing(run).first?.measured == "none came of: stop")
        // Not one that the run was too short for, nor one that chance may leave out.
        run.scenario.faults[1].timing = .at(.seconds(25))
        #expect(self.standing(run).isEmpty)
        run.scenario.faults[1].timing = .random(second)
        #expect(self.standing(run).isEmpty)
    }

    @Test("a record with gaps says so")
    func gapsAreSaid() {
        var run = MadeRun(.failed(.new, .atMost(0)))
        run.evidence.dropped = 7
        #expect(Judge.judge(run.scenario, run.evidence).last?.outcome == .void)
    }
}

@Suite("Quantiles") struct QuantilesTests {
    @Test func theNearestRankIsOneOfTheValues() {
        let values = Quantiles((1...100).map(Double.init).shuffled())
        #expect(values.value(0.5) == 50 && values.value(0.99) == 99 && values.value(1) == 100 && values.value(0) == 1)
        #expect(Quantiles([]).value(0.5) == nil && Quantiles([7]).value(0.99) == 7)
    }
}
