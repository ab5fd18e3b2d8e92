import CSystemd
import Timing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The service manager of this process: systemd, if it started the process and waits to hear from it.
///
/// Every call says whether systemd was told: `false` means that there is none, which is not an error. A call may wait while
/// systemd is busy (its socket takes a limited number of messages), so none of them belongs on an event loop.
package struct ServiceManager: Sendable {
    /// Where messages go: the value of `$NOTIFY_SOCKET`, a path or `@` and an abstract name; `nil`: nobody listens.
    package let socket: String?

    /// libsystemd reads `$NOTIFY_SOCKET` itself, at each call.
    package init() {
        self.socket = getenv("NOTIFY_SOCKET").map { String(cString: $0) }
    }

    /// Whether somebody listens.
    package var isPresent: Bool { self.socket != nil }

    /// Start-up is done, or a reload is: `READY=1`.
    ///
    /// - Parameter status: shown by `systemctl status`; made one line of printable ASCII, 200 bytes at most.
    @discardableResult
    package func ready(status: String? = nil) throws(SystemdError) -> Bool { try self.send(.ready(status: status)) }

    /// The line that `systemctl status` shows; made one line of printable ASCII, 200 bytes at most.
    @discardableResult
    package func status(_ text: String) throws(SystemdError) -> Bool { try self.send(.status(text)) }

    /// A reload begins; ``ready(status:)`` ends it. To be sent before the configuration is read.
    @discardableResult
    package func reloading(status: String? = nil) throws(SystemdError) -> Bool {
        try self.send(.reloading(now: MonotonicTime.now, status: status))
    }

    /// The service winds down: `STOPPING=1`.
    @discardableResult
    package func stopping(status: String? = nil) throws(SystemdError) -> Bool { try self.send(.stopping(status: status)) }

    /// Start, stop or reload takes longer than the unit allows: at least `span` from now on. To be repeated before it is over.
    @discardableResult
    package func extendTimeout(by span: Duration) throws(SystemdError) -> Bool { try self.send(.extendTimeout(span)) }

    /// The process is well: `WATCHDOG=1`.
    @discardableResult
    package func watchdog() throws(SystemdError) -> Bool { try self.send(.watchdogPing) }

    /// The process is not well: systemd is to act as if the watchdog's interval had passed, now.
    @discardableResult
    package func watchdogTrigger() throws(SystemdError) -> Bool { try self.send(.watchdogTrigger) }

    /// Another process is the main one from now on. Allowed for processes of the unit only.
    @discardableResult
    package func mainPID(_ id: Int32) throws(SystemdError) -> Bool { try self.send(.mainProcess(id)) }

    /// Waits until systemd has worked through everything that was sent before (sd_notify_barrier(3)).
    ///
    /// - Throws: `ETIMEDOUT` when it has not after `timeout`.
    @discardableResult
    package func barrier(timeout: Duration) throws(SystemdError) -> Bool {
        try checked("sd_notify_barrier", sd_notify_barrier(0, timeout.wholeMicroseconds))
    }

    func send(_ message: ServiceMessage, descriptors: [CInt] = []) throws(SystemdError) -> Bool {
        let result = sd_pid_notify_with_fds(0, 0, message.text, descriptors, CUnsignedInt(descriptors.count))
        return try checked("sd_notify \(message.lines.first ?? "")", result)
    }
}
