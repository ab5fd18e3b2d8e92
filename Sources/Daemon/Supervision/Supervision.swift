import ServiceLifecycle
import Systemd

/// Where a daemon is in its life.
package enum DaemonPhase: Sendable {
    /// Can transition to: serving, ending.
    case starting
    /// Everything listens. Can transition to: ending.
    case serving
    /// It was told to end, and lets streams finish. Final.
    case ending
}

/// Tells the supervisor how the daemon is, from its start to its end.
struct Supervision: Service {
    private let daemon: any DaemonService
    private let supervisor: Supervisor

    /// How often it looks until everything listens.
    private static let startInterval = Duration.milliseconds(20)
    /// How often the line of status is looked at, and how often a drain asks for more time.
    private static let interval = Duration.seconds(1)
    /// What a drain asks for: several times the interval, so that one late task ends nothing.
    private static let respite = Duration.seconds(15)

    init(daemon: any DaemonService, supervisor: Supervisor) {
        self.daemon = daemon
        self.supervisor = supervisor
    }

    func run() async throws {
        self.supervisor.watch(self.daemon.probes + [Self.taskProbe])
        await cancelWhenGracefulShutdown { await self.report() }
    }

    private func report() async {
        var known = DaemonPhase.starting
        var told: String?
        while !Task.isCancelled {
            let phase = self.daemon.phase
            let line = phase == .starting ? nil : await self.daemon.statusLine()
            switch phase {
            case .starting: break
            case .serving:
                if known != .serving {
                    self.supervisor.ready(line ?? "")
                } else if let line, line != told {
                    self.supervisor.status(line)
                }
            case .ending:
                if known != .ending {
                    self.supervisor.stopping(line ?? "")
                } else if let line, line != told {
                    self.supervisor.status(line)
                }
                self.supervisor.extendTimeout(by: Self.respite)
            }
            (known, told) = (phase, line)
            try? await Task.sleep(for: phase == .starting ? Self.startInterval : Self.interval)
        }
    }

    /// The threads that asynchronous functions run on.
    private static let taskProbe = WatchdogSource(name: "tasks") { answer in Task { answer() } }
}
