import Admin
import Logging
import Settings
import Systemd

/// The log of a daemon: lines on standard error, or entries of the journal with fields of their own.
enum DaemonLog {
    /// To be called once. Gives the journal's writer, to be flushed before the process ends; nil where lines are written.
    static func bootstrap(_ settings: LogSettings) -> JournalWriter? {
        let level = settings.level.loggerLevel
        let format = LineFormat(rawValue: settings.format.rawValue) ?? .auto
        guard format == .auto || format == .journal, Journal.isStandardError else {
            LogSetup.bootstrap(format: format, level: level)
            return nil
        }
        let writer = JournalWriter()
        LogSetup.bootstrap(level: level) { label, level, provider in
            JournalLogHandler(label: label, sink: writer, level: level, metadataProvider: provider)
        }
        return writer
    }
}
