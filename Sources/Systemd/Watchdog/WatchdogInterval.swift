import CSystemd

/// How long systemd waits between two signs of life before it kills the process (`WatchdogSec=` of the unit).
package struct WatchdogInterval: Equatable, Sendable {
    package let duration: Duration

    package init(_ duration: Duration) { self.duration = duration }

    /// Reads `$WATCHDOG_USEC` and `$WATCHDOG_PID`, and takes both out of the environment. To be called before other threads run.
    ///
    /// - Returns: `nil` when no watchdog waits for this very process.
    package static func receive() throws(SystemdError) -> WatchdogInterval? {
        var microseconds: UInt64 = 0
        guard try checked("sd_watchdog_enabled", sd_watchdog_enabled(1, &microseconds)) else { return nil }
        return WatchdogInterval(.microseconds(Int64(clamping: microseconds)))
    }
}
