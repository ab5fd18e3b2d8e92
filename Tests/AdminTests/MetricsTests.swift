import CoreMetrics
import Testing

@testable import Admin

@Suite struct MetricsTests {
    @Test func expositionIsSortedEscapedAndComplete() {
        let registry = MetricsRegistry()
        registry.gauge("zeta", help: "Last by name.").set(1.5)
        registry.counter("alpha_total", help: "A back\\slash\nand a line.", labels: [("reason", "b\"q\\z\nx")]).increment(by: 3)
        registry.counter("alpha_total", labels: [("reason", "a")]).increment()
        let histogram = registry.histogram("mid_seconds", labels: [("x", "1")], buckets: [0.1, 1])
        for value in [0.05, 0.1, 0.5, 7] { histogram.observe(value) }
        #expect(
            registry.exposition() == """
                # HELP alpha_total A back\\\\slash?and a line.
                # TYPE alpha_total counter
                alpha_total{reason="a"} 1
                alpha_total{reason="b\\"q\\\\z?x"} 3
                # TYPE mid_seconds histogram
                mid_seconds_bucket{x="1",le="0.1"} 2
                mid_seconds_bucket{x="1",le="1"} 3
                mid_seconds_bucket{x="1",le="+Inf"} 4
                mid_seconds_sum{x="1"} 7.65
                mid_seconds_count{x="1"} 4
                # HELP zeta Last by name.
                # TYPE zeta gauge
                zeta 1.5

                """)
    }

    @Test func labelsAreSortedAndTheSameSeriesIsTheSameHandle() {
        let registry = MetricsRegistry()
        registry.counter("c", labels: [("b", "2"), ("a", "1")]).increment()
        registry.counter("c", labels: [("a", "1"), ("b", "2")]).increment()
        #expect(registry.exposition() == "# TYPE c counter\nc{a=\"1\",b=\"2\"} 2\n")
    }

    @Test func incrementsFromManyTasksAreAllCounted() async {
        let registry = MetricsRegistry()
        let counter = registry.counter("c")
        let gauge = registry.gauge("g")
        let histogram = registry.histogram("h", buckets: [1])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<5000 {
                        counter.increment()
                        gauge.add(2)
                        gauge.decrement()
                        histogram.observe(0.5)
                        registry.counter("shared", labels: [("k", "v")]).increment()
                    }
                }
            }
        }
        #expect(counter.value == 40_000)
        #expect(gauge.value == 40_000)
        #expect(histogram.snapshot.counts == [40_000, 0])
        #expect(histogram.snapshot.sum == 20_000)
        #expect(registry.counter("shared", labels: [("k", "v")]).value == 40_000)
    }

    @Test func seriesBeyondTheBoundShareOne() {
        let registry = MetricsRegistry(maximumSeries: 3)
        for index in 0..<1000 { registry.counter("c", labels: [("client", "k\(index)")]).increment() }
        let text = registry.exposition()
        #expect(text.split(separator: "\n").count == 5)
        #expect(text.contains("c{client=\"other\"} 997\n"))
        #expect(text.contains("c{client=\"k2\"} 1\n"))
    }

    @Test func metricsBeyondTheBoundAndKindsThatClashAreNotShown() {
        let registry = MetricsRegistry(maximumFamilies: 1)
        registry.counter("a").increment()
        registry.gauge("a").set(5)
        registry.counter("b").increment()
        #expect(registry.exposition() == "# TYPE a counter\na 1\n")
    }

    @Test(arguments: [
        (0.0, "0"), (12, "12"), (-3, "-3"), (0.25, "0.25"), (1e20, "1e+20"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
        (.nan, "NaN"),
    ]) func numbersReadAsPrometheusReadsThem(value: Double, text: String) {
        #expect(Exposition.number(value) == text)
    }

    @Test(arguments: [("hb.requests", "hb_requests"), ("9lives", "_9lives"), ("", "_"), ("a b\nc", "a_b_c"), ("ns:x", "ns:x")])
    func namesBecomeValid(name: String, valid: String) {
        #expect(Exposition.metricName(name) == valid)
    }

    @Test func valuesThatAreNotNumbersDoNotSpoilASum() {
        let histogram = MetricsRegistry.Histogram(bounds: [2, .infinity, 1, 1])
        #expect(histogram.bounds == [1, 2])
        histogram.observe(.nan)
        histogram.observe(.infinity)
        histogram.observe(1)
        #expect(histogram.snapshot.sum == 1)
        #expect(histogram.snapshot.counts == [1, 0, 0])
    }

    @Test func aScrapeRunsTheCollectorsFirst() {
        let registry = MetricsRegistry()
        let (gauge, counter) = (registry.gauge("g"), registry.counter("c"))
        registry.onScrape {
            gauge.increment()
            counter.advance(to: 7)
        }
        _ = registry.exposition()
        #expect(registry.exposition() == "# TYPE c counter\nc 7\n# TYPE g gauge\ng 2\n")
    }

    @Test func swiftMetricsLandInTheRegistry() {
        let registry = MetricsRegistry()
        let factory = RegistryMetricsFactory(registry)
        factory.makeCounter(label: "hb.requests", dimensions: [("path", "/x")]).increment(by: 2)
        factory.makeTimer(label: "hb.duration", dimensions: []).recordNanoseconds(2_000_000)
        factory.makeMeter(label: "queue", dimensions: []).set(4.0)
        factory.makeRecorder(label: "last", dimensions: [], aggregate: false).record(9 as Int64)
        factory.makeRecorder(label: "sizes", dimensions: [], aggregate: true).record(9 as Int64)
        let text = registry.exposition()
        #expect(text.contains("hb_requests_total{path=\"/x\"} 2\n"))
        #expect(text.contains("hb_duration_seconds_bucket{le=\"0.0025\"} 1\n"))
        #expect(text.contains("hb_duration_seconds_sum 0.002\n"))
        #expect(text.contains("\nqueue 4\n"))
        #expect(text.contains("\nlast 9\n"))
        #expect(text.contains("sizes_bucket{le=\"5\"} 0\nsizes_bucket{le=\"10\"} 1\n"))
    }

    @Test func theCatalogueHasEveryNameOfTheContract() {
        let registry = MetricsRegistry()
        let metrics = TunnelMetrics(registry: registry)
        metrics.streamsReset(reason: "peer").increment()
        metrics.streamRefusals(code: "busy").increment()
        metrics.handshakeFailures(reason: "proof").increment()
        metrics.links(.active).set(2)
        metrics.observeProcess()
        let text = registry.exposition()
        let names = Set(text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] })
        for name in [
            "links", "streams", "streams_opened_total", "streams_reset_total", "stream_refusals_total", "bytes_total",
            "stream_open_seconds", "session_resumes_total", "resumed_bytes_total", "session_replay_bytes",
            "heartbeat_rtt_seconds",
            "handshakes_total", "handshake_failures_total", "clients", "event_loop_lag_seconds", "open_fds", "memory_bytes",
            "memory_budget_bytes", "build_info",
        ] {
            #expect(names.contains("gotunnel_\(name)"))
        }
        #expect(text.contains("gotunnel_links{state=\"active\"} 2\n"))
        #expect(text.contains("gotunnel_build_info{version=\"\(Version.current)\"} 1\n"))
        #expect(metrics.openFds.value > 0)
        #expect(metrics.residentMemory.value > 1_000_000)
    }
}
