import Admin
import Foundation
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Systemd
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// Has another process go on where this one stops: the same process with another program, or the service's next one.
final class Succession: AdminLifecycle {
    /// What the next program is started with.
    struct Setup: Sendable {
        /// The program's name, for messages.
        var name: String
        /// The file that this process was started from; a package manager may have replaced it since.
        var program: String
        var arguments: [String]
        var environment: [String: String]
        var configuration: String
    }

    /// What becomes of the streams.
    private enum Way: Sendable {
        case exec(hasHandoff: Bool)
        case store(limit: Int)
    }

    private let setup: Setup
    private let supervisor: Supervisor
    private let logger: Logger
    private let journal: JournalWriter?
    private let shutdown = Mutex<(@Sendable () async -> Void)?>(nil)
    private let parts = Mutex<(daemon: any DaemonService, admin: AdminSockets)?>(nil)
    private let isUnderWay = Atomic<Bool>(false)

    /// How long the answer to the one who asked has to leave before everything stops.
    private static let goodBye = Duration.milliseconds(50)
    /// How long systemd may take to store everything: it compares each descriptor with all that it has.
    private static let storeTimeout = Duration.seconds(20)

    init(_ setup: Setup, supervisor: Supervisor, journal: JournalWriter?, logger: Logger) {
        self.setup = setup
        self.supervisor = supervisor
        self.journal = journal
        self.logger = logger
    }

    /// - Parameter shutdown: begins the orderly end of the process.
    func serve(_ daemon: any DaemonService, admin: AdminSockets, shutdown: @escaping @Sendable () async -> Void) {
        self.parts.withLock { $0 = (daemon, admin) }
        self.shutdown.withLock { $0 = shutdown }
    }

    // MARK: AdminLifecycle

    func upgrade() async throws -> ActionResult {
        guard self.isUnderWay.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else {
            throw AdminError(503, "an upgrade is under way already; try again when it is over")
        }
        do {
            let formats = try await NextProgram(self.setup).vet()
            let canRead = formats.contains(HandoffFormat.newest)
            Task.detached { await self.go(.exec(hasHandoff: canRead)) }
            let text =
                canRead ? "its connections go on" : "it does not read this version's handoff, so the streams are drained first"
            return ActionResult("\(self.setup.program) takes over; \(text)")
        } catch {
            self.isUnderWay.store(false, ordering: .relaxed)
            throw error
        }
    }

    func stop(store: Int?) async throws -> ActionResult {
        if let store, store > 0, self.supervisor.environment.manager.isPresent {
            guard self.isUnderWay.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else {
                throw AdminError(503, "an upgrade is under way already; try again when it is over")
            }
            Task.detached { await self.go(.store(limit: store)) }
            return ActionResult("the service manager keeps the connections for the next process")
        }
        guard let shutdown = self.shutdown.withLock({ $0 }) else { throw AdminError(409, "it is still starting") }
        await shutdown()
        return ActionResult("the process drains and ends")
    }

    #if FAULTS
    func suffer(_ fault: String) async throws -> ActionResult {
        if fault == "exit-70" { _exit(70) }
        guard let daemon = self.parts.withLock({ $0?.daemon }), await daemon.suffer(fault) else {
            throw AdminError.notFound("no fault named \(fault)")
        }
        return ActionResult("suffers \(fault)")
    }
    #endif

    // MARK: The way over

    private func go(_ way: Way) async {
        guard let (daemon, admin) = self.parts.withLock({ $0 }) else { return }
        self.supervisor.status("another process takes over")
        try? await Task.sleep(for: Self.goodBye)
        if case .exec(hasHandoff: false) = way { await daemon.drain() }
        do {
            let limit: Int? = if case .store(let limit) = way { limit } else { nil }
            let handoff = try await daemon.freeze(listeners: admin.duplicates(), limit: limit)
            Faults.meet(.crashInFreeze)
            switch way {
            case .exec(let hasHandoff): try self.exec(handoff, isRead: hasHandoff)
            case .store: try self.leave(handoff)
            }
        } catch {
            // Nothing here can go on: what was frozen is reset when the process ends.
            self.logger.critical(
                "nobody takes over; the streams are reset", metadata: .event(.handoffFailed).with("reason", "\(error)"))
        }
        self.journal?.flush(timeout: .seconds(1))
        _exit(StartupError.Code.internalError.rawValue)
    }

    /// Does not return unless it fails.
    private func exec(_ handoff: Handoff, isRead: Bool) throws {
        var environment = self.setup.environment
        // These spoke of the descriptors and the file that this process was given.
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC", IncomingHandoff.variable] {
            environment[name] = nil
        }
        for pair in self.supervisor.environment.variablesForSuccessor(processID: getpid()) {
            let parts = pair.split(separator: "=", maxSplits: 1)
            environment[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
        }
        // One that reads no handoff listens by itself; everything is closed for it.
        if isRead { environment[IncomingHandoff.variable] = "\(handoff.file.descriptor)" }
        try handoff.file.rewind()
        Faults.damage(handoff.file)
        self.logger.notice(
            "another program takes over",
            metadata: ["program": "\(self.setup.program)", "streams": "\(handoff.carried)", "reset": "\(handoff.lost)"])
        self.journal?.flush(timeout: .seconds(1))
        self.supervisor.stopWatching()
        let kept = handoff.connections + handoff.listeners.map(\.descriptor) + [handoff.file.descriptor]
        for descriptor in kept where isRead { _ = fcntl(descriptor, F_SETFD, 0) }
        let failure = NextProgram(self.setup).execute(environment: environment)
        throw SystemCallFailure("execve \(self.setup.program)", failure)
    }

    /// Leaves everything with systemd and ends.
    private func leave(_ handoff: Handoff) throws {
        let manager = self.supervisor.environment.manager
        try handoff.file.rewind()
        Faults.damage(handoff.file)
        self.supervisor.extendTimeout(by: Self.storeTimeout)
        let listeners = handoff.listeners.filter { !$0.isActivated }.map(\.descriptor)
        try manager.store(handoff.connections, name: IncomingHandoff.connectionName, timeout: Self.storeTimeout)
        try manager.store(listeners, name: IncomingHandoff.listenerName, timeout: Self.storeTimeout)
        // Last: without it, the rest is only closed by the next process.
        try manager.store([handoff.file.descriptor], name: IncomingHandoff.fileName, timeout: Self.storeTimeout)
        let message = "the service manager keeps the connections for the next process"
        self.logger.notice("\(message)", metadata: ["streams": "\(handoff.carried)", "reset": "\(handoff.lost)"])
        self.supervisor.stopping("the next process takes over \(handoff.carried) streams")
        self.journal?.flush(timeout: .seconds(1))
        self.supervisor.stopWatching()
        _exit(0)
    }
}
