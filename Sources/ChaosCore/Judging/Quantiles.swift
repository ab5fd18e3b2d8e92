/// The order statistics of some values, by the nearest rank. Pure.
package struct Quantiles: Sendable, Equatable {
    private let sorted: [Double]

    package init(_ values: [Double]) { self.sorted = values.sorted() }

    package var count: Int { self.sorted.count }
    package var max: Double? { self.sorted.last }

    /// The smallest value that at least this share (0 to 1) of all do not exceed; nil: there are none.
    package func value(_ share: Double) -> Double? {
        guard !self.sorted.isEmpty else { return nil }
        let rank = Int((share * Double(self.sorted.count)).rounded(.up))
        return self.sorted[Swift.min(Swift.max(rank, 1), self.sorted.count) - 1]
    }
}
