import ChaosCore

#if canImport(Glibc)
import Glibc
#endif

/// Keeps programs as processes of its own, which nobody starts again when they end.
final class PlainKeeper: Keeper {
    /// How a program is started.
    struct Recipe: Sendable {
        var command: [String]
        var host: StageHost
        var log: String
        /// Added to the environment of this process.
        var environment: [String: String] = [:]
    }

    private struct Life: Sendable {
        let process: StagedProcess
        /// Whether its end was ordered.
        var wasMeant = false
    }

    private struct State: Sendable {
        var recipes: [String: Recipe] = [:]
        var lives: [Life] = []
    }

    private let state = MutexBox(State())
    let isSupervising = false

    /// The recipe counts from the next start on.
    func define(_ name: String, _ recipe: Recipe) { self.state.with { $0.recipes[name] = recipe } }

    /// What is added to the environment from the next start on.
    func setEnvironment(_ name: String, _ environment: [String: String]) {
        self.state.with { $0.recipes[name]?.environment = environment }
    }

    func start(_ name: String) async throws {
        guard let recipe = self.state.with({ $0.recipes[name] }) else { throw StageError("nobody is called \(name)") }
        let process = try StagedProcess.start(
            recipe.command, name: name, log: recipe.log, in: recipe.host, environment: recipe.environment)
        self.state.with { $0.lives.append(Life(process: process)) }
    }

    func kill(_ name: String) async {
        guard let process = self.process(name) else { return }
        self.expectEnd(of: process)
        process.signal(SIGKILL)
        _ = await process.waitForEnd(within: .seconds(5))
    }

    func signal(_ name: String, _ number: Int32) async { self.process(name)?.signal(number) }

    func stop(_ name: String) async throws {
        guard let process = self.process(name) else { return }
        self.expectEnd(of: process)
        process.signal(SIGTERM)
        guard await process.waitForEnd(within: .seconds(90)) else {
            throw StageError("\(name) did not end within 90 s of SIGTERM")
        }
    }

    func pid(_ name: String) async -> pid_t? { self.process(name).flatMap { $0.isRunning ? $0.pid : nil } }

    /// The latest of this name.
    func process(_ name: String) -> StagedProcess? {
        self.state.with { $0.lives.last { $0.process.name == name }?.process }
    }

    func expectEnd(of name: String) async {
        if let process = self.process(name) { self.expectEnd(of: process) }
    }

    /// From now on its end is no accident; one that has ended before had one.
    private func expectEnd(of process: StagedProcess) {
        guard process.isRunning else { return }
        self.state.with { state in
            for index in state.lives.indices where state.lives[index].process === process { state.lives[index].wasMeant = true }
        }
    }

    func lives() async -> [ProcessLife] {
        self.state.with { $0.lives }.map { life in
            let hasEnded = !life.process.isRunning
            return ProcessLife(
                name: life.process.name, pid: life.process.pid, started: life.process.started,
                ended: hasEnded ? life.process.ended : nil, end: hasEnded ? life.process.endText : nil, wasMeant: life.wasMeant)
        }
    }

    /// Ends everything, whatever state it is in.
    func endAll() async {
        let processes = self.state.with { $0.lives }.map(\.process).filter(\.isRunning)
        for process in processes {
            self.expectEnd(of: process)
            process.signal(SIGCONT)
            process.signal(SIGTERM)
        }
        for process in processes where !(await process.waitForEnd(within: .seconds(1))) {
            process.signal(SIGKILL)
            _ = await process.waitForEnd(within: .seconds(2))
        }
    }
}
