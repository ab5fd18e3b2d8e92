import CoreMetrics

/// Puts a ``MetricsRegistry`` behind swift-metrics, so that libraries' metrics show up beside ours.
///
/// Names become Prometheus names (`hb.requests` → `hb_requests_total`), durations are in seconds. Destroying a handler keeps its
/// series: a counter that vanished and came back would look like a restart.
package struct RegistryMetricsFactory: MetricsFactory {
    let registry: MetricsRegistry

    package init(_ registry: MetricsRegistry) {
        self.registry = registry
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        CounterAdapter(counter: registry.counter(Self.name(label, suffix: "_total"), labels: dimensions))
    }

    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        // A sum of fractions may only grow, but our counters are whole: a gauge keeps it exact.
        GaugeAdapter(gauge: registry.gauge(Self.name(label, suffix: "_sum"), labels: dimensions))
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        GaugeAdapter(gauge: registry.gauge(Self.name(label), labels: dimensions))
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if !aggregate { return GaugeAdapter(gauge: registry.gauge(Self.name(label), labels: dimensions)) }
        let buckets: [Double] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 100_000, 1_000_000]
        return HistogramAdapter(histogram: registry.histogram(Self.name(label), labels: dimensions, buckets: buckets))
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        HistogramAdapter(histogram: registry.histogram(Self.name(label, suffix: "_seconds"), labels: dimensions))
    }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private static func name(_ label: String, suffix: String = "") -> String {
        let name = Exposition.metricName(label)
        return name.hasSuffix(suffix) ? name : name + suffix
    }
}

private final class CounterAdapter: CounterHandler {
    let counter: MetricsRegistry.Counter

    init(counter: MetricsRegistry.Counter) {
        self.counter = counter
    }

    func increment(by amount: Int64) { counter.increment(by: Int(amount)) }
    func reset() { counter.reset() }
}

private final class GaugeAdapter: MeterHandler, RecorderHandler, FloatingPointCounterHandler {
    let gauge: MetricsRegistry.Gauge

    init(gauge: MetricsRegistry.Gauge) {
        self.gauge = gauge
    }

    func set(_ value: Int64) { gauge.set(Double(value)) }
    func set(_ value: Double) { gauge.set(value) }
    func increment(by amount: Double) { gauge.add(amount) }
    func decrement(by amount: Double) { gauge.add(-amount) }
    func record(_ value: Int64) { gauge.set(Double(value)) }
    func record(_ value: Double) { gauge.set(value) }
    func reset() { gauge.set(0.0) }
}

private final class HistogramAdapter: RecorderHandler, TimerHandler {
    let histogram: MetricsRegistry.Histogram

    init(histogram: MetricsRegistry.Histogram) {
        self.histogram = histogram
    }

    func record(_ value: Int64) { histogram.observe(Double(value)) }
    func record(_ value: Double) { histogram.observe(value) }
    func recordNanoseconds(_ duration: Int64) { histogram.observe(Double(duration) / 1e9) }
}
