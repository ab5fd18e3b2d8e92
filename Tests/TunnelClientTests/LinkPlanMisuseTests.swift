import Settings
import Testing
import Timing
import TunnelSession

@testable import TunnelClient

/// What servers that mean no good, or do not work, can make a plan do.
@Suite struct LinkPlanMisuseTests {
    /// A server that tells of hundreds of addresses where nobody answers must not keep a client from its own list.
    @Test func whatIsConfiguredComesBeforeHearsay() throws {
        let configured = try literal(1)
        let hearsay = try (2...200).map(literal)
        for seed in 0..<50 as Range<UInt64> {
            var script = PlanScript(links: 1, [configured], seed: seed)
            script.plan.setEntries([configured] + hearsay, configured: 1, now: script.now, using: &script.rng)
            let first = try script.firstDial()
            #expect(first.entry == configured)
            script.fail(first)
            // Hearsay is tried while the configured server is not due, and the configured one again as soon as it is.
            let dialled = script.pass(.seconds(2))
            #expect(dialled.contains { $0.endpoint.entry == configured })
            #expect(dialled.contains { $0.endpoint.entry != configured })
        }
    }

    /// A server that ends each session as soon as it stands is dialled less and less often.
    @Test func sessionsThatEndAtOnceAreMadeLessAndLessOften() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        var sessions = 0
        for _ in 0..<600 {
            for (endpoint, _) in script.pass(.milliseconds(100)) {
                sessions += 1
                #expect(script.meet(1, at: endpoint) == .go)
                script.plan.sessionBegan(
                    endpoint, server: PlanScript.id(1), name: "controller-1", now: script.now, using: &script.rng)
                script.plan.sessionEnded(endpoint, .other, now: script.now, using: &script.rng)
            }
        }
        #expect(sessions >= 8 && sessions <= 20, "\(sessions) sessions in a minute")
    }

    /// One that lasted makes up for what went before.
    @Test func aSessionThatLastedStartsOver() throws {
        var script = PlanScript(links: 1, [try literal(1)])
        for _ in 0..<8 {
            for (endpoint, _) in script.pass(.seconds(15)) { script.fail(endpoint) }
        }
        let endpoint = try #require(script.pass(.seconds(16)).last?.endpoint)
        #expect(script.meet(1, at: endpoint) == .go)
        script.plan.sessionBegan(endpoint, server: PlanScript.id(1), name: "controller-1", now: script.now, using: &script.rng)
        script.now = script.now + .seconds(11)
        script.plan.sessionEnded(endpoint, .other, now: script.now, using: &script.rng)
        #expect(!script.pass(.milliseconds(250)).isEmpty)
    }
}
