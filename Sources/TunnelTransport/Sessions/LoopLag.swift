import NIOCore
import Timing
import TunnelSession

/// Measures how late the timers of an event loop run: what everything on the loop waits.
package final class LoopLag {
    private static let interval = Duration.seconds(1)
    private let environment: TransportEnvironment
    private var due: Moment

    /// Measures once a second for as long as the event loop runs.
    package static func watch(_ environment: TransportEnvironment) { LoopLag(environment).next() }

    private init(_ environment: TransportEnvironment) {
        self.environment = environment
        self.due = environment.now
    }

    private func next() {
        self.due = self.environment.now + Self.interval
        self.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Self.interval.wholeNanoseconds)) {
            self.environment.metrics.loopLag.record(max(0, (self.environment.now - self.due).inSeconds))
            self.next()
        }
    }
}
