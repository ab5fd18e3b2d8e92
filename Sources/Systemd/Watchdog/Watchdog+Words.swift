/// What has a part in the process's health, and how to ask whether it still runs.
package struct WatchdogSource: Sendable {
    package let name: String
    /// Has `completion` called as soon as the source runs its next task. Must not wait: it is called on the watchdog's thread.
    /// For an event loop: `{ completion in loop.execute { completion() } }`.
    package let ask: @Sendable (_ completion: @escaping @Sendable () -> Void) -> Void

    package init(name: String, ask: @escaping @Sendable (_ completion: @escaping @Sendable () -> Void) -> Void) {
        self.name = name
        self.ask = ask
    }
}

extension Watchdog {
    /// How the process fares, for metrics.
    package struct Health: Equatable, Sendable {
        /// The share of the interval that was left to the slowest source at the last beat; 0.75 and more is healthy.
        package var margin = 1.0
        /// The smallest margin since the start.
        package var lowestMargin = 1.0
        /// Sources that have not answered for half of the interval or longer.
        package var late: [String] = []
        /// Signs of life sent since the start.
        package var pings = 0
        /// Beats since the start at which the sign of life was withheld.
        package var withheld = 0
    }

    /// What is said to systemd; a `ServiceManager`, or nothing at all where there is none.
    package struct Notifier: Sendable {
        package let ping: @Sendable () throws -> Void
        package let trigger: @Sendable () throws -> Void

        package init(ping: @escaping @Sendable () throws -> Void, trigger: @escaping @Sendable () throws -> Void) {
            self.ping = ping
            self.trigger = trigger
        }

        package init(_ manager: ServiceManager) {
            self.init(ping: { try manager.watchdog() }, trigger: { try manager.watchdogTrigger() })
        }
    }

    /// What an operator should hear of.
    package enum Event: Sendable {
        /// These sources are late; the sign of life is withheld.
        case late([String])
        /// All have answered again.
        case recovered
        /// These did not answer for a whole interval; systemd has been asked to kill the process.
        case triggered([String])
        /// systemd could not be told. Said once, until it works again.
        case notTold(any Error)
    }
}

extension Watchdog.Health {
    /// One beat.
    mutating func note(_ verdict: WatchdogGate.Verdict, margin: Double) {
        self.margin = margin
        self.lowestMargin = min(self.lowestMargin, margin)
        switch verdict {
        case .ping:
            self.late = []
            self.pings += 1
        case .withhold(let late), .trigger(let late):
            self.late = late
            self.withheld += 1
        }
    }
}
