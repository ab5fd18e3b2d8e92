import Testing
import Timing
import TunnelWire

@testable import ClusterCore

@Suite("Memberships of whole clusters, in simulated time")
struct MembershipWorldTests {
    /// A cluster that has found together.
    private func settled(_ servers: Int, seed: UInt64) -> MembershipWorld {
        let world = MembershipWorld(servers: servers, seed: seed)
        world.run(milliseconds: 3_000 + Int(seed % 500))
        #expect(world.isHealthy, "\(servers) servers, seed \(seed)")
        #expect(world.verdicts.isEmpty, "seed \(seed)")
        return world
    }

    private func dead(_ world: MembershipWorld, _ index: Int) -> Bool { world.states(of: index).allSatisfy { $0 == .dead } }

    @Test("A killed server is known to be dead everywhere within 300 ms", arguments: 0..<150)
    func kill(seed: UInt64) {
        let count = 2 + Int(seed % 6)
        let world = self.settled(count, seed: seed)
        let victim = Int(seed / 6) % count
        world.kill(victim)
        world.run(milliseconds: 300)
        #expect(self.dead(world, victim), "\(world.states(of: victim)), seed \(seed)")
        #expect(world.verdicts.allSatisfy { $0.about == victim }, "seed \(seed)")
        world.start(victim, withDisk: seed % 3 != 0)
        world.run(milliseconds: 3_000)
        #expect(world.isHealthy, "after the restart, seed \(seed)")
    }

    @Test("A silently cut server is known to be dead everywhere within 3 s, and knows it of the others", arguments: 0..<100)
    func silence(seed: UInt64) {
        let count = 2 + Int(seed % 6)
        let world = self.settled(count, seed: 1_000 + seed)
        let victim = Int(seed / 6) % count
        world.isolate(victim)
        world.run(milliseconds: 3_000)
        let states = world.servers.indices.filter { $0 != victim }.map {
            world.servers[$0].membership.state(of: MembershipWorld.name(victim))
        }
        #expect(states.allSatisfy { $0 == .dead }, "\(states), seed \(seed)")
        #expect(world.servers[victim].membership.members.filter { $0.state == .dead }.count == count - 1, "seed \(seed)")
        #expect(world.verdicts.allSatisfy { $0.about == victim || $0.by == victim }, "seed \(seed)")
        // Before the links are given up, or after.
        world.run(milliseconds: seed % 2 == 0 ? 300 : 6_000)
        world.heal()
        world.run(milliseconds: 4_000)
        #expect(world.isHealthy, "after healing, seed \(seed)")
    }

    @Test("Nobody is taken for dead because processes stand still for a second", arguments: 0..<150)
    func pauses(seed: UInt64) {
        let count = 2 + Int(seed % 6)
        let world = self.settled(count, seed: 2_000 + seed)
        world.lossOneIn = seed % 2 == 0 ? 0 : 50
        for index in 0..<count where index == 0 || seed % 3 != 0 {
            var time = world.some(0...3_000)
            while time < 12_000 {
                world.at(time) { $0.pause(index, milliseconds: 1_000) }
                time += 1_000 + world.some(1_500...5_000)
            }
        }
        world.run(milliseconds: 14_000)
        #expect(world.verdicts.isEmpty, "\(world.verdicts), seed \(seed)")
        world.lossOneIn = 0
        world.run(milliseconds: 4_000)
        #expect(world.isHealthy, "seed \(seed)")
    }

    @Test("Nobody is taken for dead on starved machines, nor with loss that TCP gets over", arguments: 0..<60)
    func starvation(seed: UInt64) {
        let count = 2 + Int(seed % 6)
        let world = self.settled(count, seed: 3_000 + seed)
        for index in 0..<count where (Int(seed) + index) % 2 == 0 { world.starve(index, milliseconds: 300) }
        world.lossOneIn = 20
        world.run(milliseconds: 12_000)
        #expect(world.verdicts.isEmpty, "\(world.verdicts), seed \(seed)")
    }

    @Test("A link between two that breaks for long does not kill either as long as others reach it", arguments: 0..<60)
    func oneLink(seed: UInt64) {
        let count = 3 + Int(seed % 5)
        let world = self.settled(count, seed: 4_000 + seed)
        let silent = seed % 2 == 0
        world.cut(0, 1)
        if !silent { world.breakLink(0, 1, .broken) }
        world.run(milliseconds: 15_000)
        #expect(world.verdicts.isEmpty, "\(world.verdicts), seed \(seed)")
        #expect(world.isHealthy, "seed \(seed)")
    }

    @Test("After kills, cuts, pauses and lost disks all agree again, and stay so for 30 s", arguments: 0..<80)
    func healing(seed: UInt64) {
        let count = 2 + Int(seed % 6)
        let world = self.settled(count, seed: 5_000 + seed)
        for _ in 0..<12 {
            let one = Int.random(in: 0..<count, using: &world.rng)
            let other = (one + Int.random(in: 1..<count, using: &world.rng)) % count
            let time = world.some(0...15_000)
            let withDisk = world.chance(2)
            switch Int.random(in: 0..<5, using: &world.rng) {
            case 0:
                world.at(time) { $0.kill(one) }
                world.at(time + world.some(20...4_000)) { $0.start(one, withDisk: withDisk) }
            case 1: world.at(time) { $0.cut(one, other) }
            case 2: world.at(time) { $0.isolate(one) }
            case 3: world.at(time) { $0.breakLink(one, other, .broken) }
            default: world.at(time) { $0.pause(one, milliseconds: 3_000) }
            }
            world.at(time + 5_000) { $0.heal() }
        }
        world.run(milliseconds: 20_000)
        world.heal()
        world.run(milliseconds: 5_000)
        #expect(world.isHealthy, "seed \(seed)")
        let before = world.verdicts.count
        world.run(milliseconds: 30_000)
        #expect(world.isHealthy, "later, seed \(seed)")
        #expect(world.verdicts.count == before, "seed \(seed)")
    }

    @Test("One seed gives one run")
    func replay() {
        let run = { (seed: UInt64) in
            let world = MembershipWorld(servers: 5, seed: seed)
            world.lossOneIn = 20
            world.at(4_000) { $0.kill(2) }
            world.at(5_000) { $0.isolate(1) }
            world.run(milliseconds: 9_000)
            return world.trace
        }
        #expect(run(1) == run(1))
        #expect(run(1) != run(2))
    }

    @Test("A hundred servers: a kill and a silent one are known to all, nobody else is taken for dead")
    func hundred() {
        let world = MembershipWorld(servers: 100, seed: 6_000)
        world.run(milliseconds: 2_000)
        #expect(world.isHealthy)
        world.kill(17)
        world.run(milliseconds: 300)
        #expect(self.dead(world, 17))
        world.isolate(42)
        world.run(milliseconds: 6_000)
        let states = world.servers.indices.filter { $0 != 17 && $0 != 42 }.map { world.servers[$0].membership.state(of: "s42") }
        #expect(states.allSatisfy { $0 == .dead })
        #expect(world.verdicts.allSatisfy { [17, 42].contains($0.about) || $0.by == 42 })
    }
}
