import Testing
import Timing
import TunnelWire

@testable import ClusterCore

@Suite("Joining, leaving and coming back")
struct MembershipLifeTests {
    @Test("A new link begins with the whole table, and counts as synced when the other's has come")
    func sync() {
        var script = MembershipScript("a", with: ["b"])
        script.link("c")
        guard case .sync(let members, wantsAnswer: false) = script.take().sent(to: "c").first else {
            Issue.record("no table")
            return
        }
        #expect(members == [memberNews("a"), memberNews("b")])
        script.hear(.ack(sequence: 0, updates: []), from: "c")
        #expect(!script.membership.hasSynced(with: "c"))
        script.hear(.sync(members: [memberNews("c"), memberNews("d")], wantsAnswer: true), from: "c")
        #expect(script.membership.hasSynced(with: "c"))
        #expect(script.membership.members.map(\.name) == ["a", "b", "c", "d"])
        let answers = script.take().sent(to: "c").filter { if case .sync(_, false) = $0 { true } else { false } }
        #expect(answers.count == 1)
        script.unlink("c", .announced)
        #expect(!script.membership.hasSynced(with: "c"))
    }

    @Test("A table that was lost is sent again")
    func repeatedSync() {
        var script = MembershipScript("a", with: ["b"])
        script.link("c")
        _ = script.take()
        script.run(to: 500)
        let tables = script.take().sent(to: "c").filter { if case .sync(_, true) = $0 { true } else { false } }
        #expect(tables.count == 1)
    }

    @Test("A table of many members goes out in messages of bounded size")
    func largeTable() {
        var script = MembershipScript("a", with: ["b"])
        let suffix = String(repeating: "x", count: 60)
        for number in 0..<250 { script.hear(memberNews("m\(number).\(suffix)"), from: "b") }
        _ = script.take()
        script.link("c")
        let parts = script.take().sent(to: "c")
        #expect(parts.count > 2)
        for part in parts { #expect(MembershipWireTests.encoded(part).readableBytes <= Limits.membershipMessage) }
        #expect(Set(parts.flatMap(\.updates).map(\.name)).count == 252)
        script.hear(.sync(members: [], wantsAnswer: true), from: "c")
        #expect(script.take().sent(to: "c").count >= parts.count)
    }

    @Test("News ride along with other messages, bounded and not for ever")
    func piggyback() {
        var script = MembershipScript("a", with: ["b"])
        for number in 0..<200 { script.hear(memberNews("m\(number)"), from: "b") }
        _ = script.take()
        var told: [ServerName: Int] = [:]
        for sequence in 0..<2_000 {
            script.hear(.ping(sequence: UInt64(sequence), updates: []), from: "b")
            for message in script.take().sent(to: "b") {
                #expect(message.updates.count <= 32)
                #expect(MembershipWireTests.encoded(message).readableBytes <= Limits.membershipMessage)
                for update in message.updates { told[update.name, default: 0] += 1 }
            }
        }
        #expect(told.count == 200)
        #expect(told.values.allSatisfy { $0 <= 3 * 8 })
    }

    @Test("Who leaves says so to all and probes nobody; it still answers")
    func leaving() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.leave()
        let actions = script.take()
        for name in ["b", "c"] { #expect(actions.told(name, of: "a")?.status == .left(forgetIn: 86_400_000)) }
        #expect(script.membership.deadline == nil)
        #expect(script.state("a") == .left)
        script.hear(memberNews("a", .suspect(by: ["b"])), from: "b")
        #expect(script.take().isEmpty)
        script.hear(.ping(sequence: 9, updates: []), from: "b")
        #expect(script.take().told("b", of: "a")?.status == .left(forgetIn: 86_400_000))
    }

    @Test("Good-bye is final for a life, and the next life is welcome")
    func left() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.hear(memberNews("b", .left(forgetIn: 86_400_000)), from: "b")
        script.hear(memberNews("b", counter: 9), from: "c")
        #expect(script.state("b") == .left)
        script.unlink("b", .broken)
        script.refuse("b")
        #expect(script.state("b") == .left)
        #expect(!script.take().contains(.dial("b")))
        script.hear(memberNews("b", generation: 2, life: 2), from: "c")
        #expect(script.state("b") == .alive)
    }

    @Test("Who announced a restart is not suspected before it is over, whatever happens")
    func restart() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.hear(memberNews("b", .restarting(within: 5_000), counter: 1), from: "b")
        script.unlink("b", .broken)
        script.refuse("b")
        for end in stride(from: 10, through: 5_400, by: 10) {
            script.run(to: end)
            script.hear(.gossip(updates: []), from: "c")
            #expect(script.state("b") == .restarting)
        }
        for end in stride(from: 5_410, through: 9_000, by: 10) {
            script.run(to: end)
            script.hear(.gossip(updates: []), from: "c")
        }
        #expect(script.state("b") == .dead)
        script.hear(memberNews("b", generation: 2, life: 2), from: "c")
        #expect(script.state("b") == .alive)
    }

    @Test("Its own restart is announced; when it does not take place it is alive again")
    func ownRestart() {
        var script = MembershipScript("a", with: ["b"])
        script.restart(until: 700)
        #expect(script.take().told("b", of: "a") == memberNews("a", .restarting(within: 700), counter: 1))
        script.run(to: 600)
        #expect(script.state("a") == .restarting)
        _ = script.take()
        script.run(to: 1_000)
        #expect(script.take().told("b", of: "a") == memberNews("a", counter: 2))
    }

    @Test("A server that lost its disk hears of its former life and takes a higher generation")
    func lostDisk() {
        var later = MembershipScript("a", life: 2, generation: 1)
        later.link("b")
        later.hear(
            .sync(
                members: [memberNews("b"), memberNews("a", .dead(forgetIn: 9), generation: 6, counter: 3)], wantsAnswer: false),
            from: "b")
        #expect(later.membership.own == Incarnation(generation: 7))
        let actions = later.take()
        #expect(actions.contains(.raisedGeneration(7)))
        #expect(actions.told("b", of: "a") == memberNews("a", generation: 7, life: 2))

        var same = MembershipScript("a", life: 2, generation: 1)
        same.link("b")
        same.hear(memberNews("a", generation: 1), from: "b")
        #expect(same.take().contains(.raisedGeneration(2)), "another process with its generation")
        same.hear(memberNews("a", .suspect(by: ["b"]), generation: 1, counter: 8), from: "b")
        #expect(same.membership.own == Incarnation(generation: 2), "of the former life")
    }

    @Test("A member that comes with a former generation is told so")
    func lostDiskOfAnother() {
        for (known, life) in [(6, 1), (1, 1), (1, 9)] {
            var script = MembershipScript("a", with: ["b"])
            script.hear(memberNews("c", generation: UInt64(known), life: UInt64(life)), from: "b")
            script.link("c", life: 5)
            _ = script.take()
            script.hear(.sync(members: [memberNews("c", generation: 1, life: 5)], wantsAnswer: true), from: "c")
            let told = script.take().sent(to: "c").flatMap(\.updates).contains {
                $0.name == "c" && $0.instance == memberIdentity("c", life: UInt64(life)).instance
            }
            #expect(told, "generation \(known), life \(life)")
        }
    }

    @Test("The highest generation that can be heard of can still be exceeded")
    func highest() {
        var script = MembershipScript("a", life: 2)
        script.hear(memberNews("a", generation: .max, counter: .max), from: "b")
        #expect(script.membership.own.generation == Limits.incarnation)
    }

    @Test("The dead are forgotten in their time, by the shortest memory, and nobody brings them back")
    func forgetting() {
        var script = MembershipScript("a", with: ["b", "c"])
        script.unlink("c", .announced)
        script.hear(memberNews("c", .dead(forgetIn: 60_000)), from: "b")
        script.run(to: 59_000)
        #expect(script.state("c") == .dead)
        script.hear(memberNews("c", .dead(forgetIn: 86_400_000)), from: "b")
        script.run(to: 71_000)
        #expect(script.state("c") == nil)
        script.hear(memberNews("c", .dead(forgetIn: 0)), from: "b")
        #expect(script.state("c") == nil)
        #expect(script.membership.members.map(\.name) == ["a", "b"])
    }

    @Test("Each change is reported once")
    func changes() {
        var script = MembershipScript("a", with: ["b"])
        script.hear(memberNews("c"), from: "b")
        script.hear(memberNews("c"), from: "b")
        script.hear(memberNews("c", .suspect(by: ["b"])), from: "b")
        script.hear(memberNews("c", .suspect(by: ["d"])), from: "b")
        #expect(script.take().changes.map(\.state) == [.alive, .suspect])
    }
}
