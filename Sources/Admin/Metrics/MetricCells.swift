import Synchronization

extension MetricsRegistry {
    /// A number that only grows. Incrementing is one relaxed atomic addition: no lock, no allocation, safe on an event loop.
    package final class Counter: Sendable {
        private let count = Atomic<UInt64>(0)

        package init() {}

        package func increment(by amount: Int = 1) {
            guard amount > 0 else { return }
            count.wrappingAdd(UInt64(amount), ordering: .relaxed)
        }

        /// Raises the count to `total`, for a count that is kept elsewhere and read at each scrape; a lower total changes
        /// nothing.
        package func advance(to total: UInt64) {
            count.max(total, ordering: .relaxed)
        }

        package func reset() {
            count.store(0, ordering: .relaxed)
        }

        package var value: UInt64 { count.load(ordering: .relaxed) }
    }

    /// A number that goes up and down.
    package final class Gauge: Sendable {
        private let bits = Atomic<UInt64>(Double(0).bitPattern)

        package init() {}

        package func set(_ value: Double) {
            bits.store(value.bitPattern, ordering: .relaxed)
        }

        package func set(_ value: Int) {
            set(Double(value))
        }

        package func add(_ amount: Double) {
            bits.addDouble(amount)
        }

        package func increment() { add(1) }
        package func decrement() { add(-1) }

        package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
    }

    /// A distribution over fixed buckets. An observation is two atomic additions and a compare-and-swap.
    package final class Histogram: Sendable {
        /// Upper bounds, ascending; the bucket `+Inf` follows them.
        package let bounds: [Double]
        private let buckets: [Counter]
        private let total = Atomic<UInt64>(Double(0).bitPattern)

        /// - Parameter bounds: upper bounds of the buckets, in the metric's unit; sorted, and what is not finite is left out.
        package init(bounds: [Double]) {
            self.bounds = Set(bounds.filter(\.isFinite)).sorted()
            buckets = (0...self.bounds.count).map { _ in Counter() }
        }

        /// Counts `value`; one that is not finite is dropped, for it would spoil the sum for good.
        package func observe(_ value: Double) {
            guard value.isFinite else { return }
            let index = bounds.firstIndex { value <= $0 } ?? bounds.count
            buckets[index].increment()
            total.addDouble(value)
        }

        /// Counts per bucket (not cumulative; the last is `+Inf`) and the sum of all values.
        package var snapshot: (counts: [UInt64], sum: Double) {
            (buckets.map(\.value), Double(bitPattern: total.load(ordering: .relaxed)))
        }

        package func reset() {
            for bucket in buckets { bucket.reset() }
            total.store(Double(0).bitPattern, ordering: .relaxed)
        }
    }
}

extension Atomic where Value == UInt64 {
    /// Adds to a double that is kept as its bit pattern.
    fileprivate borrowing func addDouble(_ amount: Double) {
        var seen = load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = weakCompareExchange(expected: seen, desired: next, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }
}
