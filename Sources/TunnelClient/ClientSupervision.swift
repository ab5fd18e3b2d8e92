import Daemon
import NIOCore
import Systemd

/// What a service manager is told of a client.
extension GotunnelClient {
    package var phase: DaemonPhase {
        if self.isDraining { return .ending }
        return self.isRunning ? .serving : .starting
    }

    /// `2 links: controller-1 active, controller-2 standby; 12 streams`.
    package func statusLine() async -> String {
        guard let (links, streams) = try? await self.onLoop({ worker in (worker.links.states, worker.streamCount) }) else {
            return "stops"
        }
        let linked = links.filter { $0.state != .down }
        let text = linked.map { "\($0.server ?? $0.address) \($0.state.rawValue)" }.joined(separator: ", ")
        let count = "\(linked.count) link\(linked.count == 1 ? "" : "s")"
        let streamText = "\(streams) stream\(streams == 1 ? "" : "s")"
        return (self.isDraining ? "stops; " : "") + (linked.isEmpty ? "no link to a server" : "\(count): \(text)") + "; "
            + streamText
    }

    package var probes: [WatchdogSource] {
        let loop = self.eventLoop
        return [WatchdogSource(name: "event loop") { answer in loop.execute(answer) }]
    }
}
