import Admin
import Logging
import ServiceLifecycle
import Settings

/// A daemon as its program runs it.
package protocol DaemonService: Service {
    var admin: any AdminSource { get }
    /// Reads the configuration again; one line for each change. Throws, with nothing changed, when the file is bad.
    func reload() async throws -> [String]
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
