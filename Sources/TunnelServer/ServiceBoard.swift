import AsyncHTTPClient
import Daemon
import Logging
import NIOCore
import NIOPosix
import Settings
import Synchronization
import Systemd
import TunnelTransport
import TunnelWire

/// The services that this server offers, what their health checks say, and which target comes next.
final class ServiceBoard: Sendable {
    /// One target of a service as it stands.
    struct Target: Sendable {
        var address: HostPort
        var health: HealthTracker
    }

    struct Service: Sendable {
        var settings: ServiceSettings
        var targets: [Target]
        /// Where the next stream begins to look.
        var turn = 0

        var isHealthy: Bool { self.targets.contains { $0.health.isHealthy } }

        init(_ settings: ServiceSettings) {
            self.settings = settings
            self.targets = settings.targets.map {
                Target(address: $0, health: HealthTracker(unhealthyAfter: settings.health.unhealthyAfter))
            }
        }
    }

    private let services: Mutex<[String: Service]>
    private let changed: Mutex<(@Sendable () -> Void)?> = Mutex(nil)
    private let logger: Logger

    init(_ settings: [ServiceSettings], logger: Logger) {
        self.services = Mutex(Self.table(settings))
        self.logger = logger
    }

    /// Called, on any thread, when a service becomes healthy or unhealthy or the list changes.
    func onChange(_ body: @escaping @Sendable () -> Void) { self.changed.withLock { $0 = body } }

    /// All services by name.
    var snapshot: [Service] {
        self.services.withLock { services in services.values.sorted { $0.settings.name < $1.settings.name } }
    }

    /// The targets to try for one stream, best first; a refusal when there are none.
    func targets(for name: String) throws(Refusal) -> [HostPort] {
        let found: Result<[HostPort], Refusal> = self.services.withLock { services in
            guard var service = services[name] else {
                return .failure(Refusal(.unknownDestination, "this server offers no service \(name)"))
            }
            service.turn &+= 1
            services[name] = service
            let healthy = service.targets.filter(\.health.isHealthy).map(\.address)
            guard !healthy.isEmpty else {
                let reason = service.targets.first?.health.reason ?? "unknown"
                return .failure(Refusal(.unhealthy, "no target of service \(name) is healthy: \(reason)"))
            }
            let first = service.turn % healthy.count
            return .success(Array(healthy[first...] + healthy[..<first]))
        }
        return try found.get()
    }

    /// New settings take the place of the old; a service that did not change keeps what is known of it.
    func replace(_ settings: [ServiceSettings]) {
        self.services.withLock { services in
            var table = Self.table(settings)
            for (name, old) in services where table[name]?.settings == old.settings { table[name] = old }
            services = table
        }
        self.notify()
    }

    private static func table(_ settings: [ServiceSettings]) -> [String: Service] {
        Dictionary(settings.map { ($0.name, Service($0)) }, uniquingKeysWith: { first, _ in first })
    }

    private func notify() { self.changed.withLock { $0 }?() }

    // MARK: Checks

    /// Checks every target at its interval until cancelled.
    func run(group: any EventLoopGroup) async {
        let probe = HealthProbe(group: group)
        var due: [String: ContinuousClock.Instant] = [:]
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let services = self.snapshot
            for service in services where due[service.settings.name].map({ $0 <= now }) ?? true {
                due[service.settings.name] = now + service.settings.health.interval
                await self.check(service, with: probe)
            }
            due = due.filter { entry in services.contains { $0.settings.name == entry.key } }
            let next = due.values.min() ?? now + .seconds(1)
            try? await Task.sleep(until: min(next, now + .seconds(1)), clock: .continuous)
        }
        await probe.shutDown()
    }

    private func check(_ service: Service, with probe: HealthProbe) async {
        await withTaskGroup(of: (HostPort, String?).self) { group in
            for target in service.targets {
                group.addTask { (target.address, await probe.check(target.address, service.settings.health)) }
            }
            for await (address, failure) in group { self.record(failure, of: address, service: service.settings.name) }
        }
    }

    private func record(_ failure: String?, of address: HostPort, service name: String) {
        let verdict: (flipped: Bool, serviceFlipped: Bool) = self.services.withLock { services in
            guard var service = services[name], let index = service.targets.firstIndex(where: { $0.address == address }) else {
                return (false, false)
            }
            let before = service.isHealthy
            let flipped = service.targets[index].health.record(failure: failure)
            services[name] = service
            return (flipped, service.isHealthy != before)
        }
        guard verdict.flipped else { return }
        let metadata: Logger.Metadata = ["service": "\(name)", "target": "\(address)", "reason": "\(failure ?? "none")"]
        if failure == nil {
            self.logger.notice("service target is healthy", metadata: metadata)
        } else {
            let event: Logger.Metadata = verdict.serviceFlipped ? .event(.serviceUnhealthy) : [:]
            self.logger.warning("service target is unhealthy", metadata: metadata.merging(event) { $1 })
        }
        if verdict.serviceFlipped { self.notify() }
    }
}
