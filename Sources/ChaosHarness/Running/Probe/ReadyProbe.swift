import ChaosCore

/// Makes short requests at a fixed rate, whether earlier ones were answered or not, and notes what became of each.
final class ReadyProbe: Sendable {
    private let who: String
    private let request: ProbeRequest
    private let every: Duration
    private let notes = MutexBox<[Observation]>([])
    private let task = MutexBox<Task<Void, Never>?>(nil)

    /// - Parameter who: whose traffic it is, in the observations.
    init(_ address: ProbeAddress, of plan: ProbePlan, who: String) throws {
        self.who = who
        self.request = try ProbeRequest(address, patience: plan.patience)
        self.every = plan.every
    }

    var observations: [Observation] { self.notes.with { $0 } }

    func start() {
        let task = Task { [self] in
            var due = ContinuousClock.now
            await withDiscardingTaskGroup { group in
                while !Task.isCancelled {
                    // What is under way is let finish; each has its own end, so there are never many.
                    group.addTask { await self.once() }
                    due += self.every
                    try? await Task.sleep(until: due, clock: .continuous)
                }
            }
        }
        self.task.with { $0 = task }
    }

    /// Returns when every request that was begun has its end.
    func stop() async {
        let task = self.task.with { $0 }
        task?.cancel()
        await task?.value
    }

    private func once() async {
        let began = TrafficClock.now() / 1_000
        let why = await self.request.ask()
        let took = TrafficClock.now() / 1_000 - began
        self.notes.with {
            $0.append(
                Observation(
                    t: began, who: self.who, kind: .new, http: "1.1", what: why == nil ? .done : .failed, took: took, why: why))
        }
    }
}
