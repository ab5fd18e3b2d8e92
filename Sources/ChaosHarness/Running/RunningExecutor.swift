import ChaosCore

/// Makes faults in a running cluster: by its hosts' systemd and filter, and by its own admin sockets.
package struct RunningExecutor: FaultExecutor {
    private let faults: RunningFaults
    private let caller: any CommandCaller
    private let watch: RunningWatch
    private let sockets: String?
    /// Faults that are begun and not yet undone, by number.
    private let atWork = MutexBox<[Int: FaultSteps]>([:])

    /// What was begun and could not be undone: nothing more is to be done to the cluster.
    struct NotUndone: Error, CustomStringConvertible {
        let description: String
    }

    /// For a command that does something at once, and for one that waits until a service is up.
    private static let short = Duration.seconds(10)
    private static let long = Duration.seconds(120)
    /// How long a victim may take to come back.
    private static let patience = Duration.seconds(60)

    init(cluster: RunningCluster, run: String, caller: any CommandCaller, watch: RunningWatch, sockets: String?) {
        self.faults = RunningFaults(cluster: cluster, run: run)
        self.caller = caller
        self.watch = watch
        self.sockets = sockets
    }

    package func begin(_ fault: ResolvedFault) async throws {
        let view = self.watch.latest
        let steps = try self.faults.steps(fault) { name in
            guard let client = view?.clients.first(where: { $0.name == name }) else { return [] }
            let rest = client.linked.filter { $0 != client.active }
            return (client.active.map { [$0] } ?? []) + rest
        }
        self.atWork.with { $0[fault.number] = steps }
        do {
            try await self.carryOut(steps)
        } catch {
            let left = await self.undo(fault.number)
            if left.isEmpty { throw error }
            throw NotUndone(description: (["\(error)"] + left).joined(separator: "; "))
        }
        // What is over by itself is awaited now, as nothing else will.
        if steps.end.isEmpty { try await self.awaitAll(steps.awaited) }
    }

    package func end(_ fault: ResolvedFault) async throws {
        guard let steps = self.atWork.with({ $0[fault.number] }) else { return }
        let left = await self.undo(fault.number)
        guard left.isEmpty else { throw NotUndone(description: left.joined(separator: "; ")) }
        if !steps.end.isEmpty { try await self.awaitAll(steps.awaited) }
    }

    package func endAll() async -> [String] {
        let numbers = self.atWork.with { $0.keys.sorted() }
        // Not a child of a task that may be cancelled: commands of a cancelled one are killed.
        return await Task.detached {
            await withTaskGroup(of: [String].self) { group in
                for number in numbers { group.addTask { await self.undo(number) } }
                return await group.reduce(into: []) { $0 += $1 }
            }
        }.value
    }

    private func carryOut(_ steps: FaultSteps) async throws {
        guard !steps.end.isEmpty else {
            for command in steps.begin { try await self.run(command) }
            return
        }
        // Not broken off with this task: a command that was killed here may still be carried out there, after its undoing.
        try await Task.detached {
            for (index, command) in steps.begin.enumerated() {
                if index < steps.safeguards.count { try await self.run(steps.safeguards[index]) }
                try await self.run(command)
            }
        }.value
    }

    /// Undoes a fault, whatever becomes of the single commands; a line for each that failed.
    private func undo(_ number: Int) async -> [String] {
        guard let steps = self.atWork.with({ $0.removeValue(forKey: number) }) else { return [] }
        let work = Task.detached {
            var left: [String] = []
            for command in steps.end {
                do { try await self.run(command) } catch { left.append("\(error)") }
            }
            // Where something could not be undone, the host still does it by itself.
            guard left.isEmpty else {
                let when = "the host itself tries again \(RunningFaults.grace.shown) after the fault's time"
                return left.map { "not undone: \($0); \(when)" }
            }
            for command in steps.dismissals { try? await self.run(command) }
            return []
        }
        return await work.value
    }

    private func run(_ command: HostCommand) async throws {
        let waits = command.words.contains("restart") || command.words.contains("upgrade")
        let outcome = await self.caller.call(
            command.onThisMachine(sockets: self.sockets), within: waits ? Self.long : Self.short)
        if let failure = outcome.failure, !command.mayFail { throw StageError("\(command.text): \(failure)") }
    }

    private func awaitAll(_ names: [String]) async throws {
        for name in names {
            guard await self.watch.waitReady(name, within: Self.patience) else {
                throw StageError("\(name) is not ready \(Self.patience.shown) after its fault")
            }
        }
    }
}
