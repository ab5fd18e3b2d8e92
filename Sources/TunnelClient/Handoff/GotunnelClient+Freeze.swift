import Admin
import Daemon
import Identity
import Logging
import NIOCore
import Settings
import TunnelTransport
import TunnelWire

extension GotunnelClient {
    /// What was accepted a moment ago becomes a stream, or something that can be handed over.
    private static let settling = Duration.milliseconds(20)
    /// How long the good-byes of links may take to leave.
    private static let farewell = Duration.milliseconds(100)

    /// The records of a handoff that a client understands.
    package static let handoffKinds: Set<HandoffKind> = [.link, .board]

    package func freeze(listeners: [HandoffListener], limit: Int?) async throws -> Handoff {
        let frozenAt = BootTime.nanoseconds
        let listeners = try await listeners + self.onLoop { $0.freezeListeners() }
        try? await Task.sleep(for: Self.settling)
        var frozen = try await self.onLoop { $0.freeze() }
        let lost = ConnectionLimit.apply(limit, to: &frozen)
        let connections = frozen.connections
        for descriptor in connections { ResetOnClose.set(true, descriptor) }
        let header = HandoffHeader(
            program: "gotunnel-client", name: self.name, instance: self.instance, listeners: listeners, frozenAt: frozenAt,
            carried: connections.count, lost: lost)
        let file = try HandoffFile.make()
        var output = HandoffOutput(software: "gotunnel/\(Version.current)") { try file.write($0) }
        try output.append(.header, header)
        for (about, driver) in frozen.links {
            try output.append(.link, about)
            try output.append(driver)
        }
        try output.append(.board, FrozenBoard(registration: frozen.registration))
        try output.append(frozen.openings)
        try output.finish()
        ConnectionLimit.complain(lost: lost, kept: connections.count, self.log)
        try? await Task.sleep(for: Self.farewell)
        return Handoff(file: file, connections: connections, listeners: listeners, carried: connections.count, lost: lost)
    }
}

extension FrozenWorker: LimitedConnections {
    var all: [FrozenConnection] { self.links.flatMap(\.driver.connections) + self.openings }

    mutating func drop(where isLost: (FrozenSocket) -> Bool) {
        for index in self.links.indices { self.links[index].driver.drop(where: isLost) }
        self.openings.removeAll { $0.socket.map(isLost) ?? true }
    }
}

/// Puts what an earlier process left into a client that does not listen or dial yet.
struct ClientThaw {
    let handoff: IncomingHandoff
    let worker: NIOLoopBound<ClientWorker>
    let exposures: ExposureBoard
    let settings: ClientSettings
    let logger: Logger

    /// What cannot be understood is reset, and the client serves.
    func run() async {
        do {
            try await self.readAll()
        } catch {
            self.logger.error(
                "the handoff cannot be understood; what is left of it is reset",
                metadata: .event(.handoffFailed).with("reason", "\(error)"))
        }
    }

    private func readAll() async throws {
        // Sessions are put in their places when everything is known that they speak of.
        var input = try self.handoff.input(GotunnelClient.handoffKinds)
        var links: [(FrozenLink, FrozenDriver)] = []
        var openings: [FrozenConnection] = []
        while let record = try input.next() {
            switch record.kind {
            case .link: links.append((try record.document(FrozenLink.self), try input.readDriver()))
            case .board:
                self.exposures.thaw(version: try record.document(FrozenBoard.self).registration)
                openings = try input.readConnections()
            default: break
            }
        }
        for (about, driver) in links {
            await self.thaw(about, driver)
            Faults.meet(.crashInThaw)
        }
        for opening in openings { await self.thaw(opening) }
    }

    private func thaw(_ about: FrozenLink, _ frozen: FrozenDriver) async {
        let (sockets, worker, settings, logger) = (self.handoff.sockets, self.worker, self.settings, self.logger)
        let lost = await withCheckedContinuation { continuation in
            worker.eventLoop.execute {
                do {
                    guard let secret = SessionSecret(about.secret) else {
                        return continuation.resume(returning: frozen.connections.count)
                    }
                    let driver = try SessionDriver.thaw(
                        frozen, configuration: settings.sessionConfiguration, environment: worker.value.environment,
                        pairs: SharedPairs(), descriptor: { sockets.takeStream($0.cookie) },
                        completion: { continuation.resume(returning: $0) })
                    let ticket = ResumeTicket(server: about.peer.instance, session: about.session, secret: secret)
                    worker.value.links.thaw(about, ticket, driver)
                } catch {
                    logger.error("\(error)", metadata: .event(.handoffFailed))
                    continuation.resume(returning: frozen.connections.count)
                }
            }
        }
        guard lost > 0 else { return }
        self.handoff.outcome.lose(lost)
        logger.error(
            "connections are missing; their streams were reset", metadata: .event(.handoffFailed).with("streams", "\(lost)"))
    }

    private func thaw(_ opening: FrozenConnection) async {
        guard let socket = opening.socket, let descriptor = self.handoff.sockets.takeStream(socket.cookie) else { return }
        let worker = self.worker
        worker.eventLoop.execute {
            opening.thaw(descriptor, worker.value.environment) { socket in
                if let socket { worker.value.forwards.thaw(socket, opening.open) }
            }
        }
    }
}
