import ChaosCore
import Foundation

/// How often kubectl is called. Each call is a process, which costs a tenth of a second of CPU and more.
package struct KubectlPlan: Sendable, Equatable {
    /// Per second.
    package var gets = 0.5
    /// Per second; each of a megabyte.
    package var lists = 0.1
    package var watches = 1
    /// Between two changes that the watches see.
    package var tick = Duration.seconds(1)
    /// After this a request has failed.
    package var patience = Duration.seconds(10)
    /// Whose log is read and where a command is run, as often as `gets`; nil: nobody's, for want of a kubelet.
    package var pod: KubectlPod?

    package init() {}
}

/// A worker's use of a genuine apiserver with kubectl, as processes on its host.
package final class KubectlTraffic: Sendable {
    private let who: String
    private let host: StageHost
    private let kubectl: KubectlCommand
    private let plan: KubectlPlan
    private let folder: String
    private let record: @Sendable (Observation) -> Void
    private let caller = ProgramCaller()
    private let task = MutexBox<Task<Void, Never>?>(nil)

    /// - Parameters:
    ///   - who: the worker's name, or `control` for what goes past the tunnel.
    ///   - kubeconfig: for the worker's forward.
    ///   - folder: where the output of watches goes.
    ///   - record: told of each observation, all of kind `kubectl`.
    package init(
        who: String, host: StageHost, program: String, kubeconfig: String, plan: KubectlPlan, folder: String,
        record: @escaping @Sendable (Observation) -> Void
    ) {
        self.who = who
        self.host = host
        self.kubectl = KubectlCommand(program: program, kubeconfig: kubeconfig, patience: plan.patience)
        self.plan = plan
        self.folder = folder
        self.record = record
    }

    package func start() {
        let task = Task { [self] in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.repeatedly(self.plan.gets) { await self.get() } }
                group.addTask { await self.repeatedly(self.plan.lists) { await self.list() } }
                if let pod = self.plan.pod {
                    group.addTask {
                        await self.repeatedly(self.plan.gets) { await self.ask("logs", self.kubectl.logs(pod)) { _ in nil } }
                    }
                    group.addTask {
                        await self.repeatedly(self.plan.gets) { await self.ask("exec", self.kubectl.exec(pod)) { _ in nil } }
                    }
                }
                for number in 0..<self.plan.watches {
                    let watch = KubectlWatch(
                        name: "kubectl-\(self.who)-\(number)", host: self.host, command: self.kubectl.watchTicker(),
                        folder: self.folder,
                        note: { self.note($0) })
                    group.addTask { await watch.run() }
                }
            }
        }
        self.task.with { $0 = task }
    }

    /// Breaks off what is under way, which counts as nothing; returns when no process is left.
    package func stop() async {
        let task = self.task.with { $0 }
        task?.cancel()
        await task?.value
    }

    private func repeatedly(_ rate: Double, _ body: @escaping @Sendable () async -> Void) async {
        guard rate > 0 else { return }
        var due = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                group.addTask(operation: body)
                due += .seconds(1 / rate)
                try? await Task.sleep(until: due, clock: .continuous)
            }
        }
    }

    private func get() async {
        await self.ask("get", self.kubectl.getTicker()) { output in
            let text = String(decoding: output, as: UTF8.self)
            return KubectlTick(text) == nil ? (.corrupt, "no ticker: \(text.prefix(60))") : nil
        }
    }

    private func list() async { await self.ask("list", self.kubectl.listBlocks(), KubectlObjects.trouble) }

    private func ask(
        _ verb: String, _ command: [String], _ check: @Sendable ([UInt8]) -> (harm: Observation.Harm, why: String)?
    ) async {
        let began = TrafficClock.now() / 1_000
        // kubectl keeps the time limit itself; this is for one that hangs.
        let outcome = await self.caller.call(self.host.command(command), within: self.plan.patience + .seconds(5))
        if Task.isCancelled { return }
        let took = TrafficClock.now() / 1_000 - began
        if let failure = outcome.failure {
            self.note(.init(t: began, what: .failed, took: took, why: "\(verb): \(failure)"))
        } else if let trouble = check(outcome.output) {
            self.note(.init(t: began + took, what: .harm, why: "\(verb): \(trouble.why)", harm: trouble.harm, count: 1))
        } else {
            self.note(.init(t: began, what: .done, took: took))
        }
    }

    private func note(_ note: KubectlNote) {
        self.record(
            Observation(
                t: note.t, who: self.who, kind: .kubectl, http: "2", what: note.what, took: note.took, why: note.why,
                harm: note.harm,
                count: note.count))
    }
}

/// What an application with kubectl noticed.
struct KubectlNote: Sendable {
    var t: Double
    var what: Observation.What
    var took: Double?
    var why: String?
    var harm: Observation.Harm?
    var count: Int?
}
