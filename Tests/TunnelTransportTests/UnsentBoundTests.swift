import Testing
import Timing
import TunnelSession

@testable import TunnelTransport

@Suite struct UnsentBoundTests {
    /// Writes `rate` bytes a second in steps of a millisecond for a second; returns the bounds that were asked for.
    private func run(_ bound: inout UnsentBound, rate: Int, isFull: Bool) -> [Int] {
        (0..<1_000).compactMap { step in
            bound.wrote(rate / 1_000, isFull: isFull, now: Moment(nanoseconds: Int64(step) * 1_000_000))
        }
    }

    @Test func aSlowFullLinkGetsFiveMilliseconds() {
        var bound = UnsentBound()
        _ = self.run(&bound, rate: 12_500_000, isFull: true)
        #expect((55_000...70_000).contains(bound.bytes))
    }

    @Test func theBoundStaysInItsRange() {
        var slow = UnsentBound()
        _ = self.run(&slow, rate: 100_000, isFull: true)
        #expect(slow.bytes == UnsentBound.range.lowerBound)
        var fast = UnsentBound()
        #expect(self.run(&fast, rate: 1_000_000_000, isFull: true).isEmpty)
        #expect(fast.bytes == UnsentBound.range.upperBound)
    }

    @Test func aLinkThatIsNeverFullIsNotMeasured() {
        var bound = UnsentBound()
        #expect(self.run(&bound, rate: 100_000, isFull: false).isEmpty)
    }
}
