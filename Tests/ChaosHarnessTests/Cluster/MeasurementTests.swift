import Testing

@testable import ChaosHarness

@Suite("Measurements of a cluster")
struct MeasurementTests {
    private func measurement(_ times: [Double?], control: Double = 5, limit: Double? = 500, misses: Int = 0) -> Measurement {
        var measurement = Measurement("leader", wanted: times.count, limit: limit, allowedMisses: misses)
        for time in times { measurement.add(Sample(took: time, control: control)) }
        return measurement
    }

    @Test("quantiles are values that were measured: by nearest rank")
    func quantiles() {
        let values = (1...50).map(Double.init)
        #expect(Quantile.of(values, 0.5) == 25)
        #expect(Quantile.of(values, 0.98) == 49)
        #expect(Quantile.of(values, 1) == 50)
        #expect(Quantile.of([7], 0.01) == 7)
        #expect(Quantile.of([], 0.5) == 0)
    }

    @Test("a repetition may take the promise and its own control, not more")
    func limit() {
        #expect(self.measurement([500, 505]).verdict == .held)
        #expect(self.measurement([500, 505.1]).verdict == .broken)
        #expect(self.measurement([505.1], control: 6).verdict == .held)
    }

    @Test("one of fifty may miss, two may not; what never happened is a miss")
    func misses() {
        let good = Array(repeating: Double?(80), count: 48)
        #expect(self.measurement(good + [80, 900], misses: 1).verdict == .held)
        #expect(self.measurement(good + [80, nil], misses: 1).verdict == .held)
        let broken = self.measurement(good + [nil, 900], misses: 1)
        #expect(broken.verdict == .broken)
        #expect(broken.row.complaint == "2 of 50 took longer than 500 ms and the control, 1 of them never (allowed: 1)")
    }

    @Test("a busy machine is no judge: its repetitions do not count, for or against")
    func void() {
        var measurement = Measurement("leader", wanted: 2, limit: 500)
        measurement.add(Sample(took: 5_000, control: 101))
        #expect(measurement.verdict == .void && measurement.needsMore && measurement.voided == 1)
        measurement.add(Sample(took: 90, control: 100))
        measurement.add(Sample(took: 80, control: 3))
        #expect(measurement.verdict == .held && !measurement.needsMore)
        #expect(measurement.row.count == 2 && measurement.row.slowest == 90 && measurement.row.control == 100)
    }

    @Test("after too many void repetitions the trial gives up, and is void")
    func tooBusy() {
        var measurement = Measurement("leader", wanted: 50, limit: 500)
        while measurement.needsMore { measurement.add(Sample(took: 1, control: 1_000)) }
        #expect(measurement.samples.count == 20)
        #expect(measurement.verdict == .void)
    }

    @Test("what misses breaks the promise, however many are void")
    func brokenAndVoid() {
        var measurement = Measurement("leader", wanted: 9, limit: 500)
        measurement.add(Sample(took: nil, control: 5))
        measurement.add(Sample(took: nil, control: 500))
        #expect(measurement.verdict == .broken)
    }

    @Test("where nothing is promised, everything is told and nothing void")
    func told() {
        let measurement = self.measurement([1, 2, nil], control: 400, limit: nil)
        #expect(measurement.verdict == .told && measurement.voided == 0)
        #expect(measurement.row.never == 1 && measurement.row.median == 1 && measurement.row.complaint == nil)
    }

    @Test("long lists of values are left out of a report")
    func values() {
        #expect(self.measurement([1, nil]).row.values == [1, nil])
        #expect(self.measurement(Array(repeating: 1, count: 201)).row.values == nil)
    }
}
