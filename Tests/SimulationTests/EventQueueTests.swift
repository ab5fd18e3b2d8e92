import Testing

@testable import Simulation

@Suite("The queue of events")
struct EventQueueTests {
    @Test("gives the soonest first, and of equals the one planned first")
    func order() {
        var queue = EventQueue<Int>()
        var random = SimulationRandom(seed: 7)
        var expected: [(at: Int64, event: Int)] = []
        for event in 0..<2_000 {
            let at = Int64(random.below(300))
            queue.push(event, at: at)
            expected.append((at, event))
        }
        expected.sort { ($0.at, $0.event) < ($1.at, $1.event) }
        for next in expected {
            #expect(queue.nextAt == next.at)
            let popped = queue.pop()
            #expect(popped?.at == next.at)
            #expect(popped?.event == next.event)
        }
        #expect(queue.pop() == nil)
        #expect(queue.isEmpty)
    }

    @Test("takes events while others leave")
    func mixed() {
        var queue = EventQueue<Int64>()
        var random = SimulationRandom(seed: 11)
        var now: Int64 = 0
        for _ in 0..<5_000 {
            let at = now + Int64(random.below(50))
            queue.push(at, at: at)
            if random.chance(0.5), let (at, event) = queue.pop() {
                #expect(at >= now)
                #expect(at == event)
                now = at
            }
        }
        while let (at, _) = queue.pop() {
            #expect(at >= now)
            now = at
        }
    }
}
