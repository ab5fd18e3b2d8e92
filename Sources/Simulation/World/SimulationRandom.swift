import Timing

/// A source of randomness that gives the same numbers for the same seed, on every machine: SplitMix64 (Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", 2014).
package struct SimulationRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var word = self.state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }

    /// A source of its own: what is drawn from it does not move this one.
    mutating func fork() -> SimulationRandom { SimulationRandom(seed: self.next()) }

    /// A number from 0 up to, not including, 1.
    mutating func fraction() -> Double { Double(self.next() >> 11) * 0x1p-53 }

    mutating func chance(_ probability: Double) -> Bool { self.fraction() < probability }

    /// A number from 0 up to, not including, `bound`, which is at least 1.
    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: self.next() % UInt64(max(1, bound))) }

    /// A span in nanoseconds.
    mutating func span(_ range: ClosedRange<Duration>) -> Int64 {
        let low = range.lowerBound.wholeNanoseconds
        let high = range.upperBound.wholeNanoseconds
        return low + Int64(self.fraction() * Double(high - low))
    }

    /// One of them; nil when there is none.
    mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[self.below(elements.count)]
    }

    /// `count` of them, or all if there are fewer.
    mutating func sample<Element>(_ elements: [Element], _ count: Int) -> [Element] {
        Array(elements.shuffled(using: &self).prefix(count))
    }
}
