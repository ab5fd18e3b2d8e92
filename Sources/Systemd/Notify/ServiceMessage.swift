import Timing

/// What a service says to its manager: lines of `NAME=value` (sd_notify(3)).
struct ServiceMessage: Equatable {
    private(set) var lines: [String]

    var text: String { self.lines.joined(separator: "\n") }

    static func ready(status: String?) -> ServiceMessage { ServiceMessage(lines: ["READY=1"]).with(status: status) }

    static func status(_ text: String) -> ServiceMessage { ServiceMessage(lines: []).with(status: text) }

    /// - Parameter now: CLOCK_MONOTONIC when the reload began. Type=notify-reload tells by it which reload is meant.
    static func reloading(now: Moment, status: String?) -> ServiceMessage {
        ServiceMessage(lines: ["RELOADING=1", "MONOTONIC_USEC=\(max(0, now.nanoseconds / 1000))"]).with(status: status)
    }

    static func stopping(status: String?) -> ServiceMessage { ServiceMessage(lines: ["STOPPING=1"]).with(status: status) }

    static func extendTimeout(_ span: Duration) -> ServiceMessage {
        ServiceMessage(lines: ["EXTEND_TIMEOUT_USEC=\(span.wholeMicroseconds)"])
    }

    static func mainProcess(_ id: Int32) -> ServiceMessage { ServiceMessage(lines: ["MAINPID=\(id)"]) }

    static let watchdogPing = ServiceMessage(lines: ["WATCHDOG=1"])
    static let watchdogTrigger = ServiceMessage(lines: ["WATCHDOG=trigger"])

    /// - Parameter poll: whether the manager watches the descriptors and drops those that hang up.
    static func store(name: String, poll: Bool) -> ServiceMessage {
        ServiceMessage(lines: ["FDSTORE=1", "FDNAME=\(name)"] + (poll ? [] : ["FDPOLL=0"]))
    }

    static func remove(name: String) -> ServiceMessage {
        ServiceMessage(lines: ["FDSTOREREMOVE=1", "FDNAME=\(name)"])
    }

    private func with(status: String?) -> ServiceMessage {
        guard let status else { return self }
        return ServiceMessage(lines: self.lines + ["STATUS=\(OneLine.clean(status))"])
    }
}
