import Admin
import Foundation
import Logging
import Metrics
import ServiceLifecycle
import Settings
import Systemd
import TunnelWire
import UnixSignals

#if canImport(Glibc)
import Glibc
#endif

/// The life of a daemon's process, from the command line to the exit code.
package struct DaemonProgram<Settings: DaemonSettings>: Sendable {
    package typealias Load = @Sendable (_ path: String, Surroundings) throws(SettingsError) -> LoadedSettings<Settings>
    package typealias Make =
        @Sendable (LoadedSettings<Settings>, Surroundings, Inheritance, Logger) async throws -> any DaemonService

    private let name: String
    private let load: Load
    private let make: Make
    private let handoffKinds: Set<HandoffKind>

    /// - Parameters:
    ///   - name: the program's, for the log.
    ///   - handoffKinds: the records of a handoff that it understands, besides those that all have.
    package init(name: String, handoffKinds: Set<HandoffKind>, load: @escaping Load, make: @escaping Make) {
        self.name = name
        self.handoffKinds = handoffKinds
        self.load = load
        self.make = make
    }

    /// Runs until a signal ends it. Returns the exit code (sysexits.h).
    ///
    /// - Parameters:
    ///   - configuration: what `--config` said.
    ///   - isCheck: only say whether the configuration is right.
    package func run(configuration: String?, isCheck: Bool, environment: [String: String]) async -> Int32 {
        Memory.tune()
        // What stands here now is what the next program is to be started with.
        let program = Self.ownProgram
        let inheritance: Inheritance
        do throws(SystemdError) {
            inheritance = try Inheritance.receive(program: self.name, known: self.handoffKinds)
        } catch {
            Self.say("\(self.name) cannot take over what the service manager gave it: \(error)")
            return StartupError.Code.internalError.rawValue
        }
        let surroundings = Surroundings.current(environment: environment)
        let loaded: LoadedSettings<Settings>
        do throws(SettingsError) {
            loaded = try self.load(try ConfigLocator.locate(argument: configuration, in: surroundings), surroundings)
        } catch {
            for line in error.lines { Self.say(line) }
            return StartupError.Code.configuration.rawValue
        }
        if isCheck {
            for notice in loaded.notices { print(notice.rendered) }
            print("\(loaded.path): ok")
            return 0
        }
        // From here on the secret is known to this process alone.
        unsetenv(SecretSource.variable)
        let setup = Succession.Setup(
            name: self.name, program: program, arguments: CommandLine.arguments, environment: environment,
            configuration: loaded.path)
        return await self.serve(loaded, surroundings, inheritance, setup)
    }

    /// The file that this process was started from, by which its successor will be found.
    private static var ownProgram: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments.first ?? ""
    }

    private func serve(
        _ loaded: LoadedSettings<Settings>, _ surroundings: Surroundings, _ inheritance: Inheritance, _ setup: Succession.Setup
    ) async -> Int32 {
        let registry = MetricsRegistry()
        let journal = DaemonLog.bootstrap(loaded.settings.log)
        defer { journal?.flush(timeout: .seconds(1)) }
        MetricsSystem.bootstrap(RegistryMetricsFactory(registry))
        let logger = Logger(label: self.name)
        let supervisor = Supervisor(inheritance.manager, logger: logger)
        supervisor.announce()
        inheritance.announce(logger)
        for notice in loaded.notices { logger.notice("configuration", metadata: ["note": "\(notice.rendered)"]) }
        do {
            let metrics = TunnelMetrics(registry: registry)
            metrics.observeProcess()
            let daemon = try await self.make(loaded, surroundings, inheritance, logger)
            // Only a daemon that can be has a socket.
            let sockets = try AdminSockets(loaded.settings.admin, inherited: inheritance.sockets)
            inheritance.handoff?.finish(logger)
            daemon.observe(metrics)
            supervisor.observe(metrics)
            let succession = Succession(setup, supervisor: supervisor, journal: journal, logger: logger)
            let admin = AdminServer(
                source: daemon.admin, lifecycle: succession, registry: registry, listeners: sockets.listeners, logger: logger)
            let group = self.group(daemon, admin, supervisor, logger)
            succession.serve(daemon, admin: sockets) { await group.triggerGracefulShutdown() }
            try await group.run()
            return 0
        } catch let error as AdminListenerError {
            Self.say(error.description)
            return error.exitCode
        } catch let error as StartupError {
            Self.say(error.description)
            return error.code.rawValue
        } catch {
            Self.say("\(self.name) cannot start: \(error)")
            return StartupError.exitCode(for: error)
        }
    }

    private func group(
        _ daemon: any DaemonService, _ admin: AdminServer, _ supervisor: Supervisor, _ logger: Logger
    ) -> ServiceGroup {
        // Services end in reverse: the admin API shows the drain to its end, and the service manager hears of it.
        let services: [any Service] = [
            Supervision(daemon: daemon, supervisor: supervisor), admin,
            ReloadOnHangUp(daemon: daemon, supervisor: supervisor, logger: logger), daemon,
        ]
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup, failureTerminationBehavior: .cancelGroup)
            }, gracefulShutdownSignals: [.sigterm, .sigint], logger: .quiet)
        configuration.maximumGracefulShutdownDuration = .seconds(3_600)
        return ServiceGroup(configuration: configuration)
    }

    private static func say(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}

extension Logger {
    /// For a library whose own messages would only repeat ours.
    fileprivate static var quiet: Logger {
        Logger(label: "lifecycle", factory: { _ in SwiftLogNoOpLogHandler() })
    }
}
