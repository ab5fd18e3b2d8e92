import Testing
import Timing
import TunnelWire

@testable import ClusterCore

@Suite("Merging what is said of members")
struct MembershipMergeTests {
    private func record(_ update: MemberUpdate) -> MemberRecord {
        MemberRecord(update, configuration: MembershipConfiguration(), now: moment(0))
    }

    @Test("Worse news of one incarnation, then the next incarnation, then the next life")
    func order() {
        let rising = [
            memberNews("b", .alive, counter: 1), memberNews("b", .restarting(within: 9), counter: 1),
            memberNews("b", .suspect(by: ["a"]), counter: 1),
            memberNews("b", .dead(forgetIn: 9), counter: 1), memberNews("b", .alive, counter: 2),
            memberNews("b", .dead(forgetIn: 9), counter: 2),
            memberNews("b", .left(forgetIn: 9), counter: 1), memberNews("b", .alive, generation: 2),
            memberNews("b", .dead(forgetIn: 9), generation: 2),
        ].map(self.record)
        for (low, one) in rising.enumerated() {
            for (high, other) in rising.enumerated() {
                let order = MemberRecord.order(one, other)
                #expect(order == (low < high ? .orderedBefore : low == high ? .equal : .orderedAfter), "\(one) and \(other)")
            }
        }
    }

    private func anything(_ rng: inout MembershipRandom) -> MemberUpdate {
        let names = ["b", "c", "d"]
        let suspecters = (0..<Int.random(in: 1...3, using: &rng)).map { _ in "s\(Int.random(in: 0...6, using: &rng))" }
        let span = UInt32.random(in: 1...100_000, using: &rng)
        let statuses: [MemberUpdate.Status] = [
            .alive, .alive, .suspect(by: suspecters), .suspect(by: suspecters), .dead(forgetIn: span), .left(forgetIn: span),
            .restarting(within: span),
        ]
        return memberNews(
            names[Int.random(in: 0...2, using: &rng)], statuses[Int.random(in: 0..<statuses.count, using: &rng)],
            generation: .random(in: 1...3, using: &rng), counter: .random(in: 0...2, using: &rng),
            life: .random(in: 1...2, using: &rng))
    }

    /// What one that heard these in this order holds, timers and its own doubts aside.
    private func table(_ updates: [MemberUpdate]) -> [ServerName: MemberRecord] {
        var script = MembershipScript("a")
        for update in updates { script.hear(update, from: "z") }
        return script.membership.records.mapValues { record in
            var record = record
            record.toldAt = nil
            return record
        }
    }

    @Test("In any order, and repeated at will, the same news give the same table", arguments: 0..<400)
    func confluence(seed: UInt64) {
        var rng = MembershipRandom(seed: seed)
        let updates = (0..<Int.random(in: 1...14, using: &rng)).map { _ in self.anything(&rng) }
        let expected = self.table(updates)
        for _ in 0..<6 {
            let repeated = updates + (0..<5).map { _ in updates[Int.random(in: 0..<updates.count, using: &rng)] }
            #expect(self.table(repeated.shuffled(using: &rng)) == expected)
        }
    }

    @Test("Tables that were passed on instead of single news agree as well", arguments: 0..<200)
    func relayed(seed: UInt64) {
        var rng = MembershipRandom(seed: seed)
        let updates = (0..<12).map { _ in self.anything(&rng) }
        let half = Int.random(in: 1..<12, using: &rng)
        let relay = { (part: [MemberUpdate]) in self.table(part).values.map { $0.update(now: moment(0)) } }
        #expect(self.table(relay(Array(updates[..<half])) + relay(Array(updates[half...]))) == self.table(updates))
    }

    @Test("Others are not believed to suspect more than a few")
    func bounded() {
        let many = (0..<9).map { memberNews("b", .suspect(by: ["s\($0)"])) }
        #expect(self.table(many)["b"]?.suspecters == ["s0", "s1", "s2", "s3"])
        #expect(self.table(many.reversed())["b"]?.suspecters == ["s0", "s1", "s2", "s3"])
    }

    @Test("Members beyond the limit are refused; those known still change")
    func crowd() {
        var script = MembershipScript("a")
        for number in 0..<400 { script.hear(memberNews("m\(number)"), from: "z") }
        #expect(script.membership.members.count == Limits.clusterMembers)
        #expect(script.state("m254") == .alive)
        #expect(script.state("m255") == nil)
        script.hear(memberNews("m3", .dead(forgetIn: 1_000)), from: "z")
        #expect(script.state("m3") == .dead)
    }
}
