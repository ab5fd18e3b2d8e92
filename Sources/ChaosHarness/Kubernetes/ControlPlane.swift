import Foundation

/// A genuine Kubernetes control plane for a stage: etcd and kube-apiservers as processes of their own, without nodes.
package final class ControlPlane: Sendable {
    package let layout: ControlPlaneLayout
    package let programs: KubernetesPrograms
    private let leftovers: Leftovers?
    private let processes = MutexBox<[String: StagedProcess]>([:])

    private static let etcd = "etcd"

    private init(_ layout: ControlPlaneLayout, _ programs: KubernetesPrograms, _ leftovers: Leftovers?) {
        self.layout = layout
        self.programs = programs
        self.leftovers = leftovers
    }

    /// Makes the certificates and starts everything; returns when every apiserver is ready. The folder is made anew.
    package static func start(
        _ layout: ControlPlaneLayout, _ programs: KubernetesPrograms, leftovers: Leftovers? = nil
    ) async throws -> ControlPlane {
        let plane = ControlPlane(layout, programs, leftovers)
        do {
            try await plane.writeFiles()
            try plane.startEtcd()
            for apiserver in layout.apiservers { try plane.start(apiserver) }
            for apiserver in layout.apiservers { try await plane.waitReady(apiserver.name, within: .seconds(90)) }
            return plane
        } catch {
            await plane.stop()
            throw error
        }
    }

    /// Ends everything; the files stay.
    package func stop() async {
        let all = self.processes.with { $0 }
        // The apiservers first: one whose etcd is gone takes its time to end.
        for (name, process) in all.sorted(by: { $0.key < $1.key }) where name != Self.etcd { await process.stop() }
        await all[Self.etcd]?.stop()
    }

    // MARK: Single apiservers

    /// The configuration of kubectl for an apiserver itself, past the tunnel.
    package func directKubeconfig(_ name: String) -> String { self.layout.file("\(name).kubeconfig") }

    /// Writes the configuration of kubectl for a forward to the apiservers.
    ///
    /// - Returns: its path.
    package func writeKubeconfig(for worker: String, forward address: String) throws -> String {
        let path = self.layout.file("\(worker).kubeconfig")
        try self.write(self.layout.kubeconfig(address), to: path)
        return path
    }

    package func isRunning(_ name: String) -> Bool { self.processes.with { $0[name] }?.isRunning ?? false }

    /// SIGKILL; returns when it is gone.
    package func kill(_ name: String) async {
        guard let process = self.processes.with({ $0[name] }) else { return }
        process.signal(SIGKILL)
        _ = await process.waitForEnd(within: .seconds(5))
    }

    /// Starts one that has ended, and waits until it is ready.
    package func restart(_ name: String) async throws {
        guard let apiserver = self.layout.apiservers.first(where: { $0.name == name }) else {
            throw StageError("there is no apiserver \(name)")
        }
        guard !self.isRunning(name) else { return }
        try self.start(apiserver)
        try await self.waitReady(name, within: .seconds(90))
    }

    package func waitReady(_ name: String, within limit: Duration) async throws {
        guard let apiserver = self.layout.apiservers.first(where: { $0.name == name }) else {
            throw StageError("there is no apiserver \(name)")
        }
        let end = ContinuousClock.now + limit
        let kubectl = KubectlCommand(
            program: self.programs.kubectl, kubeconfig: self.directKubeconfig(name), patience: .seconds(5))
        var last = "no answer"
        while ContinuousClock.now < end {
            guard self.isRunning(name), self.isRunning(Self.etcd) else {
                let dead = self.isRunning(name) ? Self.etcd : name
                throw StageError("\(dead) ended: see \(self.layout.file("\(dead).log"))", isOfMachine: true)
            }
            let outcome = await ProgramCaller().call(apiserver.host.command(kubectl.raw("/readyz")), within: .seconds(10))
            guard let failure = outcome.failure else { return }
            last = failure
            try await Task.sleep(for: .milliseconds(250))
        }
        throw StageError(
            "\(name) is not ready within \(limit.shown): \(last); see \(self.layout.file("\(name).log"))", isOfMachine: true)
    }

    // MARK: Starting

    private func writeFiles() async throws {
        let files = FileManager.default
        try? files.removeItem(atPath: self.layout.folder)
        try files.createDirectory(
            atPath: self.layout.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for (name, text) in self.layout.extensions.sorted(by: { $0.key < $1.key }) {
            try self.write(text, to: self.layout.file(name))
        }
        for command in self.layout.certificateCommands(self.programs) {
            let outcome = await ProgramCaller().call(command, within: .seconds(60))
            if let failure = outcome.failure {
                throw StageError("\(command.prefix(2).joined(separator: " ")): \(failure)", isOfMachine: true)
            }
        }
        for apiserver in self.layout.apiservers {
            try self.write(self.layout.kubeconfig(apiserver.address), to: self.directKubeconfig(apiserver.name))
        }
    }

    private func write(_ text: String, to path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
        else {
            throw StageError("\(path) cannot be written")
        }
    }

    private func startEtcd() throws {
        try self.start(Self.etcd, self.layout.etcdCommand(self.programs), on: self.layout.etcdHost)
    }

    private func start(_ apiserver: ControlPlaneLayout.Apiserver) throws {
        try self.start(apiserver.name, self.layout.apiserverCommand(apiserver, self.programs), on: apiserver.host)
    }

    private func start(_ name: String, _ command: [String], on host: StageHost) throws {
        let process = try StagedProcess.start(
            command, name: name, log: self.layout.file("\(name).log"), in: host, leftovers: self.leftovers)
        self.processes.with { $0[name] = process }
    }
}
