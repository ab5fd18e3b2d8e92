import ChaosCore

/// Changes the ticker again and again, past the tunnel, with whichever apiserver answers.
package final class KubectlTicker: Sendable {
    private let plane: ControlPlane
    private let every: Duration
    private let patience = Duration.seconds(5)
    private let caller = ProgramCaller()
    private let task = MutexBox<Task<Void, Never>?>(nil)
    private let last = MutexBox(0)

    package init(_ plane: ControlPlane, every: Duration) {
        self.plane = plane
        self.every = every
    }

    /// The number that was written last.
    package var number: Int { self.last.with { $0 } }

    /// Makes the ticker and the blocks.
    package func prepare() async throws {
        guard let first = self.plane.layout.apiservers.first else { throw StageError("there is no apiserver") }
        let file = self.plane.layout.file("objects.yaml")
        try KubectlObjects.manifest.write(toFile: file, atomically: true, encoding: .utf8)
        let command = first.host.command(self.kubectl(first.name).create(file))
        if let failure = await self.caller.call(command, within: .seconds(60)).failure {
            throw StageError("kubectl create: \(failure)")
        }
    }

    package func start() {
        let task = Task { [self] in
            while !Task.isCancelled {
                await self.tick()
                try? await Task.sleep(for: self.every)
            }
        }
        self.task.with { $0 = task }
    }

    package func stop() async {
        let task = self.task.with { $0 }
        task?.cancel()
        await task?.value
    }

    /// Writes the next number; again and again the very same, which changes nothing where it had been written unnoticed.
    private func tick() async {
        let number = self.number + 1
        let at = TrafficClock.now() / 1_000
        while !Task.isCancelled {
            for apiserver in self.plane.layout.apiservers where self.plane.isRunning(apiserver.name) {
                let command = apiserver.host.command(self.kubectl(apiserver.name).tick(number, at: at))
                if await self.caller.call(command, within: self.patience + .seconds(2)).failure == nil {
                    return self.last.with { $0 = number }
                }
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func kubectl(_ apiserver: String) -> KubectlCommand {
        KubectlCommand(
            program: self.plane.programs.kubectl, kubeconfig: self.plane.directKubeconfig(apiserver), patience: self.patience)
    }
}
