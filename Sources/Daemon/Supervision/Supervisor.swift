import Admin
import Logging
import Synchronization
import Systemd

/// The service manager as a daemon speaks to it. Where there is none, nothing happens; what cannot be said is logged once.
package final class Supervisor: Sendable {
    /// What the manager gave to this process at its start.
    package let environment: ServiceEnvironment
    private let logger: Logger
    private let watchdog = Mutex<Watchdog?>(nil)
    private let isFailing = Mutex(false)

    package init(_ environment: ServiceEnvironment, logger: Logger) {
        self.environment = environment
        self.logger = logger
    }

    /// How the process answers its watchdog, nil when nobody waits for that.
    package var health: Watchdog.Health? { self.watchdog.withLock { $0?.health } }

    /// One line about who watches, for the log at the start.
    package func announce() {
        guard self.environment.manager.isPresent else { return self.logger.info("no service manager waits for this process") }
        let interval = self.environment.watchdog.map { "\($0.duration.inSeconds)" } ?? "off"
        self.logger.info(
            "under a service manager",
            metadata: [
                "watchdog_seconds": "\(interval)", "descriptors": "\(self.environment.descriptors.all.count)",
            ])
    }

    /// Shows at each scrape how far the process was from being killed by its watchdog.
    func observe(_ metrics: TunnelMetrics) {
        guard self.environment.watchdog != nil else { return }
        let (margin, lowest) = (metrics.watchdogMargin(.now), metrics.watchdogMargin(.lowest))
        metrics.registry.onScrape {
            guard let health = self.health else { return }
            margin.set(health.margin)
            lowest.set(health.lowestMargin)
        }
    }

    /// Everything listens.
    func ready(_ status: String) { self.say { try $0.ready(status: status) } }
    func status(_ text: String) { self.say { try $0.status(text) } }
    func reloading() { self.say { try $0.reloading(status: "reads its configuration again") } }
    func stopping(_ status: String) { self.say { try $0.stopping(status: status) } }
    func extendTimeout(by time: Duration) { self.say { try $0.extendTimeout(by: time) } }

    /// Gives signs of life from now on, as long as each of `probes` answers in time.
    func watch(_ probes: [WatchdogSource]) {
        guard let interval = self.environment.watchdog else { return }
        let watchdog = Watchdog(
            interval: interval.duration, notifier: .init(self.environment.manager), report: { [logger] in Self.log($0, logger) })
        for probe in Faults.isOn(.watchdogAlwaysFed) ? [] : probes { _ = watchdog.watch(probe) }
        watchdog.start()
        self.watchdog.withLock { $0 = watchdog }
    }

    /// No further signs of life from this program; another one is to take its place in this process.
    package func stopWatching() {
        self.watchdog.withLock { watchdog in
            watchdog?.stop()
            watchdog = nil
        }
    }

    private func say(_ message: (ServiceManager) throws -> Void) {
        do {
            try message(self.environment.manager)
            self.isFailing.withLock { $0 = false }
        } catch {
            let isNew = self.isFailing.withLock { isFailing in
                defer { isFailing = true }
                return !isFailing
            }
            if isNew { self.logger.warning("the service manager does not listen", metadata: ["reason": "\(error)"]) }
        }
    }

    private static func log(_ event: Watchdog.Event, _ logger: Logger) {
        switch event {
        case .late(let names):
            logger.warning(
                "parts of this process are late: no sign of life for the watchdog",
                metadata: .event(.watchdogLate).with("parts", names.joined(separator: ", ")))
        case .recovered: logger.notice("all parts of this process answer again")
        case .triggered(let names):
            logger.critical(
                "parts of this process are stuck: the service manager is asked to end it",
                metadata: .event(.watchdogTriggered).with("parts", names.joined(separator: ", ")))
        case .notTold(let error):
            logger.error("the watchdog cannot be told of life", metadata: ["reason": "\(error)"])
        }
    }
}

extension Logger.Metadata {
    /// Names an event that an operator may want to be woken for; see the table at ``JournalEvent``.
    package static func event(_ event: JournalEvent) -> Self { [JournalLogHandler.eventKey: "\(event.rawValue)"] }

    package func with(_ key: String, _ value: String) -> Self { self.merging([key: "\(value)"]) { $1 } }
}
