import ClusterCore
import Testing
import TunnelWire

@testable import Simulation

/// Changes of the voter set that meet changes of the leader (Ongaro, "bug in single-server membership changes", raft-dev, 2015).
@Suite("Changes of voters")
struct VoterChangeTests {
    private static let request = PortRequest(client: "worker", installation: WireID(high: 7, low: 7), exposure: "kubelet")

    private func ways(_ one: [Int], _ other: [Int]) -> [(from: Int, to: Int)] {
        one.flatMap { left in other.flatMap { right in [(left, right), (right, left)] } }
    }

    @Test("A leader that was elected by a voter set which never came into force overwrites nothing")
    func uncommittedSet() throws {
        var world = World(.scripted(nodes: 5))
        let isFounded = world.run(upTo: .seconds(10)) { $0.leader != nil }
        #expect(isFounded)
        world.run(for: .seconds(1))
        // Four voters; the fifth is to be added again by a leader that reaches nobody else.
        let old = try #require(world.leader)
        let fifth = try #require((0..<5).last { $0 != old })
        let rest = (0..<5).filter { $0 != old && $0 != fifth }
        let removal = world.administer(.removeVoter("s\(fifth)"), at: old)
        let isRemoved = world.run(upTo: .seconds(3)) { $0.answers[removal] == .done }
        #expect(isRemoved)
        world.run(for: .seconds(1))
        world.cut(self.ways([old, fifth], rest), for: nil)
        let apart = world.faults.lastCut
        world.administer(.addVoter("s\(fifth)"), at: old)
        let isLed = world.run(upTo: .seconds(10)) { world in rest.contains { world.places[$0].node?.leadership.isServing == true }
        }
        #expect(isLed)
        #expect(world.places[fifth].node?.stored.voters.voters.count == 5)
        world.run(for: .milliseconds(300))
        // The others remove the old leader: three voters, of whom one does not hear of it.
        let leader = try #require(rest.first { world.places[$0].node?.leadership.isServing == true })
        let deaf = try #require(rest.last { $0 != leader })
        world.cut(self.ways([deaf], rest.filter { $0 != deaf }), for: nil)
        let deafness = world.faults.lastCut
        let second = world.administer(.removeVoter("s\(old)"), at: leader)
        let port = world.request(Self.request, at: leader)
        let isChanged = world.run(upTo: .seconds(1)) { $0.answers[second] == .done && $0.answers[port] != nil }
        #expect(isChanged)
        // Now the deaf one hears the old leader again, which counts by five voters.
        for way in self.ways([deaf], [old, fifth]) {
            world.faults.cuts[apart]?.removeAll { $0 == way }
            if world.paths.mend(way.from, way.to), let link = world.reference(way.from, way.to) {
                world.plan(.flush(link: link, from: way.from), after: 0)
            }
        }
        world.run(for: .seconds(4))
        world.mend(apart)
        world.mend(deafness)
        world.run(for: .seconds(20))
        #expect(world.violations.map(\.text) == [])
        let holder = try #require(world.leader)
        #expect(world.grant(of: "worker", at: holder) != nil)
        #expect(world.places[holder].node?.stored.voters.voter(named: "s\(old)") == nil)
    }
}
