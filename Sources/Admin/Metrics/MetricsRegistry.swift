import Synchronization

/// All metrics of a process, and their text exposition.
///
/// Asking for a handle takes a lock and may allocate: do it once and keep the handle. Using a handle does neither. The number of
/// series of one metric is bounded: what exceeds it is counted in one series whose label values are all `other`, so that no name
/// from outside can fill the memory.
package final class MetricsRegistry: Sendable {
    /// What a metric is, as the `TYPE` line says it.
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    package typealias Labels = [(String, String)]

    /// The value behind one series.
    enum Cell {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    /// One metric with all its series; the key of a series is its rendered labels, which makes the order of the text
    /// deterministic.
    struct Family {
        var kind: Kind
        var help: String
        var bounds: [Double] = []
        var series: [String: Cell] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var collectors: [@Sendable () -> Void] = []
    }

    /// Buckets in seconds for durations from a fraction of a millisecond to ten seconds.
    package static let durationBuckets: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    private let maximumSeries: Int
    private let maximumFamilies: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - maximumSeries: most series of one metric, the one for the excess not counted.
    ///   - maximumFamilies: most metrics; a further one gets a handle that works and is never shown.
    package init(maximumSeries: Int = 200, maximumFamilies: Int = 500) {
        self.maximumSeries = maximumSeries
        self.maximumFamilies = maximumFamilies
    }

    /// The counter of this name and these labels; the same handle each time. A name that is taken by another kind gets a handle
    /// that is never shown.
    package func counter(_ name: String, help: String = "", labels: Labels = []) -> Counter {
        let cell = cell(name, .counter, help, [], labels) { _ in .counter(Counter()) }
        if case .counter(let counter) = cell { return counter }
        return Counter()
    }

    /// The gauge of this name and these labels; the same rules as ``counter(_:help:labels:)``.
    package func gauge(_ name: String, help: String = "", labels: Labels = []) -> Gauge {
        let cell = cell(name, .gauge, help, [], labels) { _ in .gauge(Gauge()) }
        if case .gauge(let gauge) = cell { return gauge }
        return Gauge()
    }

    /// The histogram of this name and these labels. The buckets of the first series hold for all of its metric.
    package func histogram(
        _ name: String, help: String = "", labels: Labels = [], buckets: [Double] = MetricsRegistry.durationBuckets
    ) -> Histogram {
        let cell = cell(name, .histogram, help, buckets, labels) { .histogram(Histogram(bounds: $0)) }
        if case .histogram(let histogram) = cell { return histogram }
        return Histogram(bounds: buckets)
    }

    /// Runs `body` before each exposition, for values that are cheaper to read than to keep up to date. It must not block.
    package func onScrape(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.collectors.append(body) }
    }

    /// Removes one series, for a label value that will not come back.
    package func remove(_ name: String, labels: Labels) {
        let key = Exposition.labels(labels)
        let name = Exposition.metricName(name)
        state.withLock { $0.families[name]?.series[key] = nil }
    }

    /// The Prometheus text exposition, format 0.0.4, metrics and series in alphabetical order.
    package func exposition() -> String {
        for collect in state.withLock({ $0.collectors }) { collect() }
        // The handles are shared, so what is copied out under the lock is small, and rendering does not hold up anyone who asks
        // for one.
        let families = state.withLock { $0.families }
        return Exposition.text(families)
    }

    private func cell(
        _ name: String, _ kind: Kind, _ help: String, _ bounds: [Double], _ labels: Labels, make: ([Double]) -> Cell
    ) -> Cell? {
        let name = Exposition.metricName(name)
        let key = Exposition.labels(labels)
        return state.withLock { state -> Cell? in
            if state.families[name] == nil {
                guard state.families.count < maximumFamilies else { return nil }
                state.families[name] = Family(kind: kind, help: help, bounds: bounds)
            }
            guard let family = state.families[name], family.kind == kind else { return nil }
            if let known = family.series[key] { return known }
            var chosen = key
            if family.series.count >= maximumSeries {
                chosen = Exposition.labels(labels.map { ($0.0, "other") })
                if let known = family.series[chosen] { return known }
            }
            let cell = make(family.bounds)
            state.families[name]?.series[chosen] = cell
            return cell
        }
    }
}
