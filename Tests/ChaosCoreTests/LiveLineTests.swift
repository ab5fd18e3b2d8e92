import ChaosCore
import Testing

@Suite("The live line") struct LiveLineTests {
    @Test func itSaysHowItGoes() {
        #expect(
            LiveLine.text(
                elapsed: .seconds(42), whole: .seconds(120), faults: 12, leader: "controller-2", done: 204, failed: 0,
                slowest: 0.041) == "00:42/02:00 · 12 faults · leader controller-2 · 204 done, 0 failed · 41 ms")
        #expect(
            LiveLine.text(elapsed: .zero, whole: .seconds(60), faults: 0, leader: nil, done: 0, failed: 0, slowest: 0)
                == "00:00/01:00 · 0 faults · leader none · 0 done, 0 failed · slowest 0 ms")
    }

    @Test("however long it gets, it fits, and no number is cut in the middle", arguments: [1, 10, 100, 10_000, 10_000_000])
    func itFitsEightyColumns(_ scale: Int) {
        for leader in [nil, "controller-2", String(repeating: "x", count: 63)] {
            let line = LiveLine.text(
                elapsed: .seconds(scale), whole: .seconds(36_000), faults: scale, leader: leader, done: scale, failed: scale,
                slowest: 123.4)
            #expect(line.count <= 80)
            #expect(line.contains("\(scale) done, \(scale) failed · ") && line.hasSuffix("123.4 s"))
        }
    }
}
