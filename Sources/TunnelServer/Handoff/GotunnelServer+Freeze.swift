import Admin
import Daemon
import Logging
import NIOCore
import TunnelTransport
import TunnelWire

extension GotunnelServer {
    /// How long the other servers wait for the next process.
    private static let absence = Duration.seconds(15)
    /// What was accepted a moment ago becomes a stream, or something that can be handed over.
    private static let settling = Duration.milliseconds(20)
    /// How long the good-byes of links may take to leave.
    private static let farewell = Duration.milliseconds(100)

    /// The records of a handoff that a server understands.
    package static let handoffKinds: Set<HandoffKind> = [.client, .inbound, .lane, .openings]

    package func drain() async { _ = await self.drain(wait: true) }

    package func freeze(listeners: [HandoffListener], limit: Int?) async throws -> Handoff {
        let frozenAt = BootTime.nanoseconds
        await self.pauseCluster(within: Self.absence)
        var listeners = listeners
        if let link = await self.freezeListener() { listeners.append(link) }
        listeners += await self.eachLoop { $0.freezePorts() }.flatMap { $0 }
        try? await Task.sleep(for: Self.settling)
        var frozen = FrozenLoops(loops: await self.eachLoop { $0.freeze() })
        let lost = ConnectionLimit.apply(limit, to: &frozen)
        let connections = frozen.connections
        for descriptor in connections { ResetOnClose.set(true, descriptor) }
        let header = HandoffHeader(
            program: "gotunnel-server", name: self.context.name, instance: self.context.instance, listeners: listeners,
            frozenAt: frozenAt, carried: connections.count, lost: lost)
        let file = try HandoffFile.make()
        var output = HandoffOutput(software: "gotunnel/\(Version.current)") { try file.write($0) }
        try output.append(.header, header)
        for loop in frozen.loops { try output.append(loop) }
        try output.finish()
        ConnectionLimit.complain(lost: lost, kept: connections.count, self.context.logger)
        try? await Task.sleep(for: Self.farewell)
        return Handoff(
            file: file, connections: connections, listeners: listeners, carried: connections.count, lost: lost)
    }
}

/// All event loops of a server.
private struct FrozenLoops {
    var loops: [FrozenLoop]
}

extension FrozenLoops: LimitedConnections {
    var all: [FrozenConnection] { self.loops.flatMap { $0.drivers.flatMap(\.connections) + $0.openings } }

    mutating func drop(where isLost: (FrozenSocket) -> Bool) {
        for index in self.loops.indices { self.loops[index].drop(where: isLost) }
    }
}

extension FrozenLoop {
    fileprivate mutating func drop(where isLost: (FrozenSocket) -> Bool) {
        for index in self.clients.indices { self.clients[index].driver.drop(where: isLost) }
        for index in self.inbound.indices { self.inbound[index].driver.drop(where: isLost) }
        for index in self.lanes.indices { self.lanes[index].driver.drop(where: isLost) }
        self.openings.removeAll { $0.socket.map(isLost) ?? true }
    }
}
