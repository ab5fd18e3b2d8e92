import Admin
import Logging
import ServiceLifecycle
import Settings
import Systemd

/// A daemon as its program runs it.
package protocol DaemonService: Service {
    var admin: any AdminSource { get }
    /// Reads the configuration again; one line for each change. Throws, with nothing changed, when the file is bad.
    func reload() async throws -> [String]
    /// Where it is in its life.
    var phase: DaemonPhase { get }
    /// One line for people: what it is and how much there is to do.
    func statusLine() async -> String
    /// What must not hang, for a watchdog.
    var probes: [WatchdogSource] { get }
    /// Lets the streams finish within the configured time; those that are left are reset.
    func drain() async
    /// Stops everything and hands over what the next process needs. This one serves nobody any more.
    ///
    /// - Parameters:
    ///   - listeners: of the program's own, to go along.
    ///   - limit: how many connections can be carried; nil: any number.
    func freeze(listeners: [HandoffListener], limit: Int?) async throws -> Handoff
    #if FAULTS
    /// Breaks something of itself, for tests; false when it knows no such fault.
    func suffer(_ fault: String) async -> Bool
    #endif
    /// Sets the gauges that are cheaper read than kept, at each scrape.
    func observe(_ metrics: TunnelMetrics)
}

/// The part of a daemon's settings that its program needs itself.
package protocol DaemonSettings: Sendable {
    var log: LogSettings { get }
    var admin: AdminSettings { get }
}

extension ServerSettings: DaemonSettings {}
extension ClientSettings: DaemonSettings {}

extension Settings.LogLevel {
    package var loggerLevel: Logger.Level { Logger.Level(rawValue: self.rawValue) ?? .info }
}
