import Daemon
import Settings
import Systemd
import TunnelTransport

/// What a service manager is told of a server.
extension GotunnelServer {
    package var phase: DaemonPhase {
        if self.isEnding { return .ending }
        return self.isServing ? .serving : .starting
    }

    /// `leader of 3, 42 clients, 310 streams`.
    package func statusLine() async -> String {
        let view = await self.context.cluster.view()
        let isSingle = self.settings.withLock { $0.cluster == nil }
        let streams = await self.streamCount()
        let voters = view.leadership?.voters.voters.count ?? 0
        let role =
            switch view.role {
            case _ where isSingle: "single server"
            case .leader: "leader of \(voters)"
            case .follower: "follower of \(view.leadership?.leader ?? "nobody"), one of \(voters)"
            default: "\(view.role.rawValue), no leader known"
            }
        let what = self.context.isDraining ? "drains; \(role)" : role
        return "\(what), \(Self.count(self.context.clients, "client")), \(Self.count(streams, "stream"))"
    }

    private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// Every event loop, and the control plane with its disk.
    package var probes: [WatchdogSource] {
        let loops = self.context.loops.enumerated().map { index, loop in
            WatchdogSource(name: "event loop \(index + 1)") { answer in loop.eventLoop.execute(answer) }
        }
        let cluster = self.context.cluster
        return loops + [WatchdogSource(name: "control plane") { cluster.whenAlive($0) }]
    }
}
