import Testing
import Timing
import TunnelWire

@testable import ClusterCore

@Suite("One membership, step by step")
struct MembershipScriptTests {
    // MARK: Probes

    @Test("A member is probed every half second; its answer ends the probe")
    func probing() {
        var script = MembershipScript("a", with: ["b"])
        for round in 1...4 {
            script.run(to: round * 500 + 10)
            let pings = script.take().pings(to: "b")
            #expect(pings.count == 1)
            script.hear(.ack(sequence: pings[0], updates: []), from: "b")
        }
        #expect(script.state("b") == .alive)
        #expect(script.take().isEmpty)
    }

    @Test("A ping is answered with its sequence")
    func answer() {
        var script = MembershipScript("a", with: ["b"])
        script.run(to: 400)
        script.hear(.ping(sequence: 77, updates: []), from: "b")
        #expect(script.take().sent(to: "b").contains { if case .ack(77, _) = $0 { true } else { false } })
    }

    @Test("Without an answer others are asked after 250 ms, and what they reach is alive")
    func indirect() {
        var script = MembershipScript("a", with: ["b", "c", "d"])
        script.run(to: 500)
        for name in ["c", "d"] { script.hear(.ack(sequence: 0, updates: []), from: name) }
        _ = script.take()
        script.run(to: 749)
        #expect(script.take().requests(about: "b").isEmpty)
        script.run(to: 750)
        let requests = script.take().requests(about: "b")
        #expect(requests.keys.sorted() == ["c", "d"])
        script.hear(.indirectAck(sequence: requests["d"] ?? 0, target: "b", updates: []), from: "d")
        for name in ["c", "d"] { script.hear(.gossip(updates: []), from: name) }
        script.run(to: 999)
        #expect(script.state("b") == .alive)
    }

    @Test("An answer to an older request proves nothing")
    func staleHelp() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.run(to: 760)
        let sequence = script.take().requests(about: "b")["c"] ?? 0
        script.hear(.indirectAck(sequence: sequence + 1_000, target: "b", updates: []), from: "c")
        script.run(to: 1_001)
        #expect(script.state("b") == .suspect)
    }

    @Test("Whoever never answers is suspected after half a second and dead after two more; with others who agree after one")
    func silence() {
        for confirmed in [false, true] {
            var script = MembershipScript("a", with: ["b", "c", "d"])
            script.run(to: 500)
            for end in stride(from: 510, through: 3_300, by: 10) {
                for name in ["c", "d"] { script.hear(.gossip(updates: []), from: name) }
                if confirmed, end == 1_100 { script.hear(memberNews("b", .suspect(by: ["c", "d"])), from: "c") }
                script.run(to: end)
                let expected: MemberView.State = end < 1_000 ? .alive : end < (confirmed ? 2_000 : 3_000) ? .suspect : .dead
                #expect(script.state("b") == expected, "at \(end), confirmed \(confirmed)")
            }
            let told = script.take().sent(to: "c").flatMap(\.updates).first {
                if case .dead = $0.status { $0.name == "b" } else { false }
            }
            #expect(told?.status == .dead(forgetIn: 86_400_000))
        }
    }

    // MARK: Refutation

    @Test("A suspicion of itself is contradicted with a higher counter, everywhere")
    func refutation() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.hear(memberNews("a", .suspect(by: ["c"]), counter: 4), from: "b")
        #expect(script.membership.own == Incarnation(generation: 1, counter: 5))
        let actions = script.take()
        for name in ["b", "c"] {
            #expect(actions.told(name, of: "a") == memberNews("a", counter: 5))
        }
        script.hear(memberNews("a", .dead(forgetIn: 1), counter: 4), from: "b")
        #expect(script.membership.own.counter == 5, "old news change nothing")
        script.hear(memberNews("a", .dead(forgetIn: 1), counter: 5), from: "b")
        #expect(script.membership.own.counter == 6)
    }

    @Test("A contradiction ends a suspicion; one of the same incarnation does not end a death")
    func overriding() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.hear(memberNews("b", .suspect(by: ["c"])), from: "c")
        #expect(script.state("b") == .suspect)
        script.hear(memberNews("b"), from: "c")
        #expect(script.state("b") == .suspect)
        script.hear(memberNews("b", counter: 1), from: "c")
        #expect(script.state("b") == .alive)
        script.unlink("b", .announced)
        script.hear(memberNews("b", .dead(forgetIn: 1_000), counter: 1), from: "c")
        script.hear(memberNews("b", counter: 1), from: "c")
        #expect(script.state("b") == .dead)
        script.hear(memberNews("b", counter: 2), from: "c")
        #expect(script.state("b") == .alive)
    }

    @Test("Any word of a member ends a suspicion begun here, and it is told so that it can contradict")
    func signOfLife() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.run(to: 1_100)
        #expect(script.state("b") == .suspect)
        _ = script.take()
        script.hear(.gossip(updates: []), from: "b")
        #expect(script.state("b") == .alive)
        #expect(script.take().told("b", of: "b")?.status == .suspect(by: ["a"]))
    }

    @Test("Others' suspicion stays until it is contradicted, but nobody who is heard dies of it")
    func othersSuspicion() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.hear(memberNews("b", .suspect(by: ["c"])), from: "c")
        for end in stride(from: 100, through: 6_000, by: 100) {
            script.run(to: end)
            for name in ["b", "c"] { script.hear(.gossip(updates: []), from: name) }
        }
        #expect(script.state("b") == .suspect)
        #expect(script.take().told("b", of: "b")?.status == .suspect(by: ["c"]))
    }

    @Test("Who was cut off holds all others dead: a member that is heard here is asked, and does not die of it")
    func deathsOfTheReturning() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.hear(memberNews("b", .dead(forgetIn: 60_000)), from: "c")
        let actions = script.take()
        #expect(script.state("b") == .suspect && actions.changes.map(\.state) == [.suspect])
        #expect(actions.pings(to: "b").count == 1 && actions.told("b", of: "b")?.status == .suspect(by: ["c"]))
        script.hear(memberNews("b", counter: 1), from: "b")
        #expect(script.state("b") == .alive)
        // Nor of the same said again.
        script.hear(memberNews("b", .dead(forgetIn: 60_000)), from: "c")
        #expect(script.state("b") == .alive)
    }

    @Test("The word of another counts of who is not linked, was not heard for two rounds, or is in doubt here")
    func deathsThatAreBelieved() {
        for how in 0..<3 {
            var script = MembershipScript("a", with: ["b", "c"])
            switch how {
            case 0: script.unlink("b", .announced)
            case 1: script.sleep(to: 1_001)
            default: script.hear(memberNews("b", .suspect(by: ["c"])), from: "c")
            }
            script.hear(memberNews("b", .dead(forgetIn: 60_000)), from: "c")
            #expect(script.state("b") == .dead, "\(how)")
        }
    }

    @Test("A dead member that speaks is told that it is dead")
    func deadSpeaks() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.unlink("b", .announced)
        script.hear(memberNews("b", .dead(forgetIn: 5_000)), from: "c")
        _ = script.take()
        script.hear(.gossip(updates: []), from: "b")
        #expect(script.take().told("b", of: "b")?.status == .dead(forgetIn: 5_000))
        #expect(script.state("b") == .dead)
    }

    @Test("A dead member with a link is probed, and hears so of its death")
    func deadIsProbed() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.unlink("b", .announced)
        script.hear(memberNews("b", .dead(forgetIn: 60_000)), from: "c")
        script.link("b")
        _ = script.take()
        script.run(to: 510)
        let actions = script.take()
        #expect(actions.pings(to: "b").count == 1)
        #expect(actions.told("b", of: "b")?.status == .dead(forgetIn: 59_500))
        script.unlink("b", .silent)
        script.run(to: 3_000)
        #expect(script.take().pings(to: "b").isEmpty)
    }

    // MARK: Evidence

    @Test("A broken link: suspected, dialled and asked about at once; dead when refused and nobody reaches it")
    func evidence() {
        var script = MembershipScript("a", with: ["b", "c", "d"])
        script.run(to: 100)
        script.unlink("b", .broken)
        let actions = script.take()
        #expect(actions.contains(.dial("b")))
        #expect(script.state("b") == .suspect)
        #expect(actions.told("c", of: "b")?.status == .suspect(by: ["a"]))
        let requests = actions.requests(about: "b")
        #expect(requests.keys.sorted() == ["c", "d"])
        for name in ["c", "d"] {
            script.hear(.indirectNack(sequence: requests[name] ?? 0, target: "b", hasLink: false, updates: []), from: name)
            #expect(script.state("b") == .suspect)
        }
        script.refuse("b")
        #expect(script.state("b") == .dead)
        #expect(script.take().told("d", of: "b")?.status == .dead(forgetIn: 86_400_000))
    }

    @Test("When not all helpers answer, 150 ms are waited for")
    func evidenceWindow() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.run(to: 100)
        script.unlink("b", .broken)
        script.refuse("b")
        script.run(to: 249)
        #expect(script.state("b") == .suspect)
        script.run(to: 250)
        #expect(script.state("b") == .dead)
    }

    @Test("With nobody to ask, a refused dial is enough; a broken link alone is not")
    func evidenceOfTwo() {
        var script = MembershipScript("a", with: ["b"])
        script.run(to: 100)
        script.unlink("b", .broken)
        script.run(to: 400)
        #expect(script.state("b") == .suspect)
        script.refuse("b")
        #expect(script.state("b") == .dead)
    }

    @Test("What others reach does not die of a broken link here")
    func evidenceRefuted() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.run(to: 100)
        script.unlink("b", .broken)
        let sequence = script.take().requests(about: "b")["c"] ?? 0
        script.refuse("b")
        script.hear(.indirectAck(sequence: sequence, target: "b", updates: []), from: "c")
        #expect(script.state("b") == .alive)
        script.run(to: 400)
        #expect(script.state("b") == .alive)
    }

    @Test("A first refused dial asks for a second; with a link none counts")
    func refusedOnly() {
        var script = MembershipScript("a", with: ["b"])
        script.refuse("b")
        #expect(script.state("b") == .alive)
        script.hear(.gossip(updates: [memberNews("c")]), from: "b")
        script.refuse("c")
        #expect(script.state("c") == .suspect)
        #expect(script.take().contains(.dial("c")))
        script.refuse("c")
        script.run(to: 151)
        #expect(script.state("c") == .dead)
    }

    @Test("A new link clears the evidence")
    func relinked() {
        var script = MembershipScript("a", with: ["b"])
        script.unlink("b", .broken)
        script.link("b")
        #expect(script.state("b") == .alive)
        script.run(to: 400)
        #expect(script.state("b") == .alive)
    }

    @Test("An announced end is no evidence, a silent one is a failed probe")
    func endings() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.unlink("b", .announced)
        #expect(script.state("b") == .alive)
        script.unlink("c", .silent)
        #expect(script.state("c") == .suspect)
    }

    // MARK: Errands

    @Test("Asked for help it pings; the answer, or that there was none, goes back")
    func errands() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.hear(.pingRequest(sequence: 50, target: "c", updates: []), from: "b")
        let sequence = script.take().pings(to: "c").first ?? 0
        script.hear(.ack(sequence: sequence &- 1, updates: []), from: "c")
        #expect(script.take().sent(to: "b").isEmpty, "another ping's answer")
        script.hear(.ack(sequence: sequence, updates: []), from: "c")
        #expect(script.take().answers(to: "b") == [.indirectAck(sequence: 50, target: "c", updates: [])])

        script.hear(.pingRequest(sequence: 51, target: "c", updates: []), from: "b")
        script.run(to: 200)
        #expect(script.take().answers(to: "b").contains(.indirectNack(sequence: 51, target: "c", hasLink: true, updates: [])))

        script.hear(.pingRequest(sequence: 52, target: "c", updates: []), from: "b")
        script.unlink("c", .announced)
        #expect(script.take().answers(to: "b") == [.indirectNack(sequence: 52, target: "c", hasLink: false, updates: [])])
        script.hear(.pingRequest(sequence: 53, target: "c", updates: []), from: "b")
        #expect(script.take().answers(to: "b") == [.indirectNack(sequence: 53, target: "c", hasLink: false, updates: [])])
    }

    // MARK: This server's own lateness

    @Test("Who slept through the end of a suspicion does not convict on waking up, but later")
    func pauseGrace() {
        for sleep in [1_030, 1_200, 1_900, 9_000] {
            var script = MembershipScript("a", with: ["b"])
            script.run(to: 1_100)
            #expect(script.state("b") == .suspect)
            script.sleep(to: sleep + 1_000)
            script.timer()
            #expect(script.state("b") == .suspect, "slept until \(sleep + 1_000)")
            script.run(to: sleep + 1_050)
            #expect(script.state("b") == .suspect)
            script.run(to: sleep + 12_000)
            #expect(script.state("b") == .dead)
        }
    }

    @Test("The timer that convicts has to be on time; a little late, it waits for what is to be read, but not for ever")
    func convictionGrace() {
        var script = MembershipScript("a", with: ["b"])
        script.run(to: 1_990)
        script.sleep(to: 2_030)
        script.timer()
        #expect(script.state("b") == .suspect)
        var postponed = 0
        while script.state("b") == .suspect, postponed < 20, let deadline = script.membership.deadline {
            script.sleep(to: Int((deadline - moment(0)).wholeMilliseconds) + 40)
            script.timer()
            postponed += 1
        }
        #expect(script.state("b") == .dead)
    }

    @Test("Who slept during a probe does not suspect on waking up")
    func pausedProbe() {
        var script = MembershipScript("a", with: ["b"])
        script.run(to: 600)
        script.sleep(to: 1_600)
        script.timer()
        #expect(script.state("b") == .alive)
        script.hear(.ack(sequence: 1, updates: []), from: "b")
        script.run(to: 1_650)
        #expect(script.state("b") == .alive)
    }

    @Test("A late server gives others more time, and less again when it is well")
    func health() {
        var script = MembershipScript("a", with: ["b"])
        for end in [1_200, 2_900, 4_900] {
            script.sleep(to: end)
            script.timer()
        }
        let late = script.membership.multiplier
        #expect(late > 1)
        script.hear(.ack(sequence: 0, updates: []), from: "b")
        #expect(script.membership.multiplier == late - 1)
        for end in stride(from: 5_000, through: 20_000, by: 20) {
            script.run(to: end)
            script.hear(.gossip(updates: []), from: "b")
        }
        #expect(script.membership.multiplier == 1)
    }

    @Test("Helpers that talk, but not of what they were asked, tell that this server hears late")
    func missingNacks() {
        for talks in [false, true] {
            var script = MembershipScript("a", with: ["b", "c"])
            script.run(to: 500)
            script.hear(.gossip(updates: []), from: "c")
            script.run(to: 800)
            if talks { script.hear(.gossip(updates: []), from: "c") }
            script.run(to: 1_000)
            #expect(script.state("b") == .suspect)
            #expect(script.membership.multiplier == (talks ? 2 : 1))
        }
    }
}
