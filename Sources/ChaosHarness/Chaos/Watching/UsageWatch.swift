import ChaosCore

/// Notes once a second what each process of the stage holds.
final class UsageWatch: Sendable {
    private let stage: ChaosStage
    private let samples = MutexBox<[ProcessSample]>([])
    private let task = MutexBox<Task<Void, Never>?>(nil)

    init(_ stage: ChaosStage) {
        self.stage = stage
    }

    func start() {
        let names = self.stage.places.servers.map(\.name) + self.stage.places.clients.map(\.name)
        let task = Task { [self] in
            while !Task.isCancelled {
                for name in names {
                    guard let pid = await self.stage.keeper.pid(name),
                        let sample = ProcessSamples.now(of: pid, name: name, at: TrafficClock.now() / 1_000)
                    else { continue }
                    self.samples.with { $0.append(sample) }
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
        self.task.with { $0 = task }
    }

    func stop() { self.task.with { $0?.cancel() } }

    var all: [ProcessSample] { self.samples.with { $0 } }
}
