import ChaosCore

/// Says once a second how a run goes.
final class LiveWatch: Sendable {
    private struct Counts: Sendable {
        var done = 0
        var failed = 0
        var faults = 0
        var slowest = 0.0
    }

    private let traffic: ChaosTraffic
    private let cluster: ClusterWatch
    private let duration: Duration
    private let progress: @Sendable (String?) -> Void
    private let counts = MutexBox(Counts())
    private let task = MutexBox<Task<Void, Never>?>(nil)

    init(
        traffic: ChaosTraffic, cluster: ClusterWatch, duration: Duration, _ progress: @escaping @Sendable (String?) -> Void
    ) {
        self.traffic = traffic
        self.cluster = cluster
        self.duration = duration
        self.progress = progress
    }

    func noteFault() { self.counts.with { $0.faults += 1 } }

    func start() {
        let task = Task { [self] in
            var reader = RecordReader(self.traffic.records)
            let began = ContinuousClock.now
            while !Task.isCancelled {
                let news = reader.read().filter(\.isRequest)
                let counts = self.counts.with { counts in
                    counts.done += news.count { $0.what == .done }
                    counts.failed += news.count { $0.what == .failed }
                    counts.slowest = max(counts.slowest, news.compactMap(\.took).max() ?? 0)
                    return counts
                }
                self.progress(
                    LiveLine.text(
                        elapsed: ContinuousClock.now - began, whole: self.duration, faults: counts.faults,
                        leader: self.cluster.latest?.leader, done: counts.done, failed: counts.failed, slowest: counts.slowest))
                try? await Task.sleep(for: .seconds(1))
            }
        }
        self.task.with { $0 = task }
    }

    func stop() {
        self.task.with { task in
            guard task != nil else { return }
            task?.cancel()
            task = nil
            self.progress(nil)
        }
    }
}
