import ClusterCore
import Testing
import TunnelWire

@testable import Simulation

@Suite("The simulated world")
struct WorldTests {
    private func world(_ nodes: Int = 3) -> World {
        var world = World(.scripted(nodes: nodes))
        let isDone1 = world.run(upTo: .seconds(10)) { $0.leader != nil }
        #expect(isDone1)
        return world
    }

    private static func isSuspected(_ name: String, by world: World, _ place: Int) -> Bool {
        world.places[place].node?.members.first { $0.name == name }?.state != .alive
    }

    @Test("Servers found a cluster and know each other")
    func founding() {
        var world = self.world()
        world.run(for: .seconds(2))
        for place in 0..<3 {
            #expect(world.places[place].node?.leadership.voters.voters.count == 3)
            #expect(world.places[place].node?.members.count == 3)
            #expect((0..<3).allSatisfy { $0 == place || world.slot(place, $0) >= 0 })
        }
    }

    @Test("What is sent over a cut way waits, and arrives in its order when the way is open again")
    func stall() throws {
        var world = self.world()
        let client = RegistryKey(.client, "worker")
        world.cut([(0, 1)], for: nil)
        for count in 1...5 {
            world.register("worker", WireID(high: 0, low: UInt64(count)), at: 0)
            world.run(for: .milliseconds(20))
        }
        world.run(for: .milliseconds(100))
        #expect(world.coverage.heldMessages > 0)
        world.mend(world.faults.lastCut)
        world.run(for: .milliseconds(100))
        guard case .client(let record) = world.places[1].node?.registry.record("s0", client) else {
            Issue.record("the entry has not arrived")
            return
        }
        #expect(record.installation == WireID(high: 0, low: 5))
        #expect(world.violations.map(\.text) == [])
    }

    @Test("A killed process is known to its peers at once, a dead machine only by its silence")
    func endings() {
        var world = self.world()
        world.kill(2, withMachine: false)
        world.run(for: .milliseconds(50))
        #expect(world.slot(0, 2) < 0)
        #expect(world.coverage.brokenLinks == 2)

        var other = self.world()
        other.kill(2, withMachine: true)
        other.run(for: .seconds(2))
        #expect(other.slot(0, 2) >= 0)
        other.run(for: .seconds(4))
        #expect(other.slot(0, 2) < 0)
        #expect(other.coverage.silentLinks == 2)
    }

    @Test("A paused process reads what came in the meantime, in its order, and links that broke are made again")
    func pause() {
        var world = self.world()
        let victim = world.leader == 1 ? 2 : 1
        world.pause(victim, .seconds(8) ... .seconds(8))
        world.run(for: .seconds(7))
        #expect(world.places[victim].isPaused)
        #expect(!world.places[victim].backlog.isEmpty)
        #expect(world.slot(0, victim) < 0)
        world.run(for: .seconds(6))
        #expect(!world.places[victim].isPaused)
        #expect((0..<3).allSatisfy { $0 == victim || world.slot(victim, $0) >= 0 })
        #expect(world.violations.map(\.text) == [])
    }

    @Test("A link that breaks at one end is found out by the other, and replaced")
    func halfBroken() {
        var world = self.world()
        let links = world.coverage.links
        world.breakLink(0, 1, bothHear: false)
        world.run(for: .seconds(2))
        #expect(world.slot(0, 1) >= 0)
        #expect(world.slot(0, 1) == world.slot(1, 0))
        #expect(world.coverage.links > links)
    }

    @Test("A disk keeps what was written, and of what was being written all or nothing")
    func disk() {
        func state(_ term: UInt64) -> StoredState { StoredState(generation: 1, term: term) }
        var disk = SimulatedDisk(id: WireID(high: 0, low: 1))
        let isDone2 = disk.write(.init(state: state(1), ticket: 1))
        #expect(isDone2)
        let isDone3 = disk.write(.init(state: state(2), ticket: 2))
        #expect(!isDone3)
        let isDone4 = disk.write(.init(state: state(3), ticket: 3))
        #expect(!isDone4)
        #expect(disk.durable == nil)
        let first = disk.finish()
        #expect(first?.ticket == 1)
        #expect(first?.goesOn == true)
        #expect(disk.durable?.term == 1)
        // The second was overtaken while it waited.
        #expect(disk.writing?.ticket == 3)
        var lucky = disk
        lucky.crash(keepsWrite: true)
        #expect(lucky.durable?.term == 3)
        disk.crash(keepsWrite: false)
        #expect(disk.durable?.term == 1)
        let none = disk.finish()
        #expect(none == nil)
    }

    @Test("A clock says when it shows a moment", arguments: [0.9, 1, 1.1])
    func clock(rate: Double) {
        let clock = SimulatedClock(offset: 123_456_789, rate: rate)
        for time in [0, 1, 999, 1_000_000_007, 3_600_000_000_000] as [Int64] {
            let moment = clock.reading(at: time)
            let found = clock.time(of: moment)
            #expect(clock.reading(at: found) >= moment)
            #expect(found <= time)
            #expect(found == 0 || clock.reading(at: found - 1) < moment)
        }
    }
}
