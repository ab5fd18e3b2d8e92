import Admin
import Daemon
import Logging
import NIOCore
import Settings
import Synchronization
import Systemd
import TunnelSession
import TunnelTransport
import TunnelWire

/// The client's exposures: what their targets' health is, what the servers made of them, and serving their streams.
final class ExposureBoard: Sendable {
    /// One exposure as it stands.
    struct Entry: Sendable {
        var settings: ExposureSettings
        var health: HealthTracker
        /// What servers have against it, by their names.
        var problems: [String: String] = [:]
        /// The mapped port that the servers chose, where they were asked to.
        var chosenPort: Int?

        /// The mapped port that leads to it; nil while there is none.
        var port: Int? { self.settings.remotePort == 0 ? self.chosenPort : self.settings.remotePort }

        /// What servers have against it, one line; nil when none has anything.
        var problem: String? {
            guard !self.problems.isEmpty else { return nil }
            return self.problems.keys.sorted().map { "\($0): \(self.problems[$0] ?? "")" }.joined(separator: "; ")
        }
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var version: UInt64 = 0
    }

    private let state = Mutex(State())
    private let logger: Logger
    private let refusalLog = OncePer(interval: .seconds(10))

    init(logger: Logger) { self.logger = logger }

    var entries: [Entry] {
        self.state.withLock { state in state.entries.values.sorted { $0.settings.name < $1.settings.name } }
    }

    /// Exposes this and nothing else; what is known of an exposure that did not change stays.
    func apply(_ exposures: [ExposureSettings]) {
        self.state.withLock { state in
            var entries: [String: Entry] = [:]
            for exposure in exposures {
                let old = state.entries[exposure.name]
                entries[exposure.name] =
                    old?.settings == exposure ? old : Entry(settings: exposure, health: HealthTracker(unhealthyAfter: 2))
            }
            state.entries = entries
        }
    }

    /// The registration to send now; its version grows each time.
    func registration() -> Register {
        let version = self.state.withLock { state in
            state.version += 1
            return state.version
        }
        let declarations = self.entries.map { entry in
            ExposureDeclaration(
                name: entry.settings.name,
                mappedPort: entry.settings.remotePort.flatMap { $0 == 0 ? nil : UInt16(exactly: $0) },
                isHealthy: entry.health.isHealthy, wantsPort: entry.settings.remotePort == 0)
        }
        return Register(version: version, exposures: declarations)
    }

    /// The version of the registration that was sent last, for the next process.
    var version: UInt64 { self.state.withLock { $0.version } }

    /// Goes on behind the registrations of another process.
    func thaw(version: UInt64) { self.state.withLock { $0.version = max($0.version, version) } }

    /// What a server answered to a registration.
    func answered(_ registered: Registered, by server: String) {
        for result in registered.results {
            let isNew = self.state.withLock { state in
                if let port = result.mappedPort, result.problem == nil { state.entries[result.name]?.chosenPort = Int(port) }
                defer { state.entries[result.name]?.problems[server] = result.problem }
                return state.entries[result.name].map { $0.problems[server] != result.problem } ?? false
            }
            guard isNew, let problem = result.problem,
                self.refusalLog.admit(kind: result.name, source: server) != nil
            else { continue }
            self.logger.error(
                "exposure refused by server",
                metadata: ["exposure": "\(result.name)", "server": "\(server)", "reason": "\(problem)"])
        }
    }

    /// There is no session with this server any more: what it had against an exposure is of no interest.
    func forget(server: String) {
        self.state.withLock { state in
            for name in state.entries.keys { state.entries[name]?.problems[server] = nil }
        }
    }

    /// Where a stream from a server leads; a refusal when it may not be.
    func target(of open: Open, client: String) throws(Refusal) -> HostPort {
        guard case .exposure(let name, let exposure) = open.destination, name == client else {
            throw Refusal(.forbidden, "this client serves its own exposures only")
        }
        guard let entry = self.state.withLock({ $0.entries[exposure] }) else {
            throw Refusal(.unknownDestination, "client \(client) exposes no \(exposure)")
        }
        guard entry.health.isHealthy else {
            throw Refusal(.unhealthy, "exposure \(exposure): \(entry.health.reason ?? "its target is down")")
        }
        return entry.settings.target
    }

    // MARK: Checks

    /// Checks every target at the interval until cancelled; `changed` is called when a verdict did.
    func run(interval: @escaping @Sendable () -> Duration, group: any EventLoopGroup, changed: @Sendable () -> Void) async {
        while !Task.isCancelled {
            if await self.checkAll(group: group) { changed() }
            try? await Task.sleep(for: interval())
        }
    }

    private func checkAll(group: any EventLoopGroup) async -> Bool {
        await withTaskGroup(of: Bool.self) { tasks in
            for entry in self.entries {
                let target = entry.settings.target
                tasks.addTask {
                    let failure = await TCPProbe.check(
                        host: target.host.description, port: target.port, timeout: .seconds(1), group: group)
                    return self.record(failure, of: entry.settings)
                }
            }
            return await tasks.reduce(false) { $0 || $1 }
        }
    }

    private func record(_ failure: String?, of exposure: ExposureSettings) -> Bool {
        let flipped = self.state.withLock { state in
            guard state.entries[exposure.name]?.settings == exposure else { return false }
            return state.entries[exposure.name]?.health.record(failure: failure) ?? false
        }
        guard flipped else { return false }
        let metadata: Logger.Metadata = [
            "exposure": "\(exposure.name)", "target": "\(exposure.target)", "reason": "\(failure ?? "none")",
        ]
        if failure == nil {
            self.logger.notice("exposure target is back", metadata: metadata)
        } else {
            self.logger.warning(
                "exposure target is down; the exposure is withdrawn",
                metadata: .event(.exposureWithdrawn).merging(metadata) { $1 })
        }
        return true
    }
}
