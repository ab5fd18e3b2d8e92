import Settings
import Testing
import Timing
import TunnelSession

@testable import TunnelClient

@Suite struct LinkPlanPropertyTests {
    /// Once everything is well: the longest wait for an address that was known to lead elsewhere, and the handshake.
    private static let healing = Duration.seconds(75 + 15 + 3)

    @Test(arguments: 0..<8)
    func whateverHappensTheLinksAreHadAgain(batch: Int) throws {
        for seed in (batch * 250)..<((batch + 1) * 250) {
            var world = try PlanWorld(seed: UInt64(seed))
            world.run(until: world.script.now + .seconds(20))
            world.heal()
            world.run(until: world.script.now + Self.healing)
            #expect(world.script.plan.hotLinks >= world.attainable, "seed \(seed)")
            // What was one too many for a minute is gone.
            world.run(until: world.script.now + .seconds(90))
            #expect((world.attainable...world.links).contains(world.script.plan.hotLinks), "seed \(seed)")
        }
    }

    @Test func aRunThatIsRepeatedTakesTheSameSteps() throws {
        for seed in 0..<20 {
            var one = try PlanWorld(seed: UInt64(seed))
            var other = try PlanWorld(seed: UInt64(seed))
            one.run(until: one.script.now + .seconds(20))
            other.run(until: other.script.now + .seconds(20))
            #expect(one.script.rng.state == other.script.rng.state && one.dice.state == other.dice.state)
            #expect(one.script.plan.nextTimer == other.script.plan.nextTimer)
        }
    }

    @Test func aFleetThatLosesOneServerSpreadsOverTheNext() throws {
        let servers = try [literal(1), literal(2), literal(3)]
        var buckets: [Int: Int] = [:]
        var total = 0
        for seed in 0..<1_000 {
            var script = PlanScript(links: 2, servers, seed: UInt64(seed) &* 7_919)
            let linked = try script.connectAll()
            let lost = script.now
            guard let first = linked.first(where: { PlanScript.server(of: $0) == 1 }) else { continue }
            script.end(first)
            guard let replacement = script.pass(.seconds(3)).first(where: { $0.endpoint != first }) else {
                Issue.record("client \(seed) finds no other server")
                continue
            }
            total += 1
            buckets[Int((replacement.at - lost).wholeMilliseconds / 100), default: 0] += 1
        }
        #expect(total > 600)
        #expect(buckets.values.allSatisfy { Double($0) <= 0.15 * Double(total) })
    }

    @Test func aFleetWithOneListStartsAtAllItsServers() throws {
        let servers = try [literal(1), literal(2), literal(3)]
        var first: [Int: Int] = [:]
        for seed in 0..<999 {
            var script = PlanScript(links: 2, servers, seed: UInt64(seed) &* 104_729)
            first[PlanScript.server(of: try script.firstDial()), default: 0] += 1
        }
        #expect(first.count == 3)
        #expect(first.values.allSatisfy { (250...420).contains($0) })
    }
}
