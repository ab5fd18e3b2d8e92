import ChaosCore

/// Carries a schedule out: each fault at its time, for its time, whatever the others do.
struct FaultRunner: Sendable {
    private let stage: ChaosStage
    private let cluster: ClusterWatch
    private let faults: StageFaults
    private let say: @Sendable (String) -> Void
    private let book = MutexBox(Book())

    private struct Book: Sendable {
        var records: [FaultRecord] = []
        /// What did not come, and why.
        var skipped: [String] = []
        /// Who suffers something now; a name as often as it does.
        var struck: [String] = []
        var turns = TargetTurns()
    }

    init(_ stage: ChaosStage, _ cluster: ClusterWatch, say: @escaping @Sendable (String) -> Void) {
        self.stage = stage
        self.cluster = cluster
        self.faults = StageFaults(stage)
        self.say = say
    }

    /// The servers that have to be there at the end: those that began, and those that took another's place.
    var expectedServers: [String] {
        let gone = self.faults.gone.with { $0 }
        let joined = self.faults.joined.with { $0 }
        return self.stage.places.servers.filter { (!$0.isSpare && !gone.contains($0.name)) || joined.contains($0.name) }.map(
            \.name)
    }

    /// What was due and did not come, and why, a line each.
    var skipped: [String] { self.book.with { $0.skipped } }

    /// Returns when the time is over and everything is undone.
    func run(_ schedule: [ScheduledFault], for duration: Duration) async throws -> [FaultRecord] {
        let began = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for fault in schedule {
                group.addTask {
                    try await Task.sleep(until: began + fault.at, clock: .continuous)
                    try await self.carryOut(fault)
                }
            }
            try await group.waitForAll()
        }
        try await Task.sleep(until: began + duration, clock: .continuous)
        return self.book.with { $0.records }.sorted { $0.number < $1.number }
    }

    private func carryOut(_ fault: ScheduledFault) async throws {
        let cast = TargetCast(
            servers: self.expectedServers, clients: self.stage.places.clients.map(\.name),
            apiservers: self.stage.places.servers.filter { !$0.isSpare }.map(\.apiserver))
        let view = self.cluster.latest
        let met = self.book.with { book in
            let met = TargetResolver.resolve(fault, cast: cast, view: view, struck: book.struck, turns: &book.turns)
            book.struck += met.victims
            return met
        }
        guard !met.victims.isEmpty else {
            let reason = met.reason ?? "nobody to meet"
            self.book.with { $0.skipped.append("\(fault.name): \(reason)") }
            return self.say("\(fault.name): skipped, \(reason)")
        }
        defer { self.book.with { book in Self.remove(met.victims, from: &book.struck) } }
        var record = FaultRecord(
            number: fault.number, action: fault.name, victims: met.victims + met.others, others: met.others, began: Self.now(),
            there: Self.now())
        self.say("\(fault.name) \((met.victims + met.others).joined(separator: " ↔ "))")
        do {
            let there = MutexBox(record.began)
            let undo = try await self.faults.begin(fault.plan.action, met.victims, others: met.others) {
                there.with { $0 = Self.now() }
            }
            record.there = there.with { $0 }
            if let undo {
                // Also when the run is broken off: what was begun is undone.
                try? await Task.sleep(for: fault.lasts ?? .zero)
                try await undo()
            }
            record.ended = Self.now()
        } catch {
            if Task.isCancelled { throw CancellationError() }
            record.problem = "\(error)"
            self.say("\(fault.name) could not be done: \(error)")
        }
        let done = record
        self.book.with { $0.records.append(done) }
    }

    private static func remove(_ names: [String], from struck: inout [String]) {
        for name in names { if let index = struck.firstIndex(of: name) { struck.remove(at: index) } }
    }

    private static func now() -> Double { TrafficClock.now() / 1_000 }
}
