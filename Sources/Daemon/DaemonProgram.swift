import Admin
import Foundation
import Logging
import Metrics
import ServiceLifecycle
import Settings
import UnixSignals

#if canImport(Glibc)
import Glibc
#endif

/// The life of a daemon's process, from the command line to the exit code.
package struct DaemonProgram<Settings: DaemonSettings>: Sendable {
    package typealias Load = @Sendable (_ path: String, Surroundings) throws(SettingsError) -> LoadedSettings<Settings>
    package typealias Make = @Sendable (LoadedSettings<Settings>, Surroundings, Logger) async throws -> any DaemonService

    private let name: String
    private let load: Load
    private let make: Make

    /// - Parameter name: the program's, for the log.
    package init(name: String, load: @escaping Load, make: @escaping Make) {
        self.name = name
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
        return await self.serve(loaded, surroundings)
    }

    private func serve(_ loaded: LoadedSettings<Settings>, _ surroundings: Surroundings) async -> Int32 {
        let registry = MetricsRegistry()
        LogSetup.bootstrap(
            format: LineFormat(rawValue: loaded.settings.log.format.rawValue) ?? .auto,
            level: loaded.settings.log.level.loggerLevel)
        MetricsSystem.bootstrap(RegistryMetricsFactory(registry))
        let logger = Logger(label: self.name)
        for notice in loaded.notices { logger.notice("configuration", metadata: ["note": "\(notice.rendered)"]) }
        do {
            let metrics = TunnelMetrics(registry: registry)
            metrics.observeProcess()
            let daemon = try await self.make(loaded, surroundings, logger)
            daemon.observe(metrics)
            try await self.group(daemon, loaded.settings, registry, logger).run()
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
        _ daemon: any DaemonService, _ settings: Settings, _ registry: MetricsRegistry, _ logger: Logger
    ) throws -> ServiceGroup {
        var listeners = [try AdminListener.unix(path: settings.admin.socket)]
        if let address = settings.admin.address { listeners.append(try AdminListener.tcp("\(address)")) }
        let admin = AdminServer(source: daemon.admin, registry: registry, listeners: listeners, logger: logger)
        // Services end in reverse: the admin API shows the drain to its end.
        let services: [any Service] = [admin, ReloadOnHangUp(daemon: daemon, logger: logger), daemon]
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

/// SIGHUP reads the configuration again.
private struct ReloadOnHangUp: Service {
    let daemon: any DaemonService
    let logger: Logger

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown()
        for await _ in signals {
            do {
                let lines = try await self.daemon.reload()
                if lines.isEmpty { self.logger.notice("configuration reloaded", metadata: ["change": "none"]) }
            } catch {
                for line in String(describing: error).split(separator: "\n") {
                    self.logger.error("reload failed; the old configuration stays", metadata: ["problem": "\(line)"])
                }
            }
        }
    }
}
