/// A point on a monotonic clock that the caller reads: state machines take it as an argument, `now`.
package struct Moment: Comparable, Hashable, Sendable {
    /// Nanoseconds since an origin that is fixed for the life of the process.
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static func < (left: Moment, right: Moment) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The earlier of two points that may not be there.
    package static func earlier(_ one: Moment?, _ other: Moment?) -> Moment? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    package static func + (moment: Moment, span: Duration) -> Moment {
        Moment(nanoseconds: moment.nanoseconds + span.wholeNanoseconds)
    }

    package static func - (later: Moment, earlier: Moment) -> Duration {
        .nanoseconds(later.nanoseconds - earlier.nanoseconds)
    }
}

extension Duration {
    /// The span in nanoseconds, clamped to about 292 years.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds > 0 ? .max / 2 : .min / 2 }
        return scaled + attoseconds / 1_000_000_000
    }

    /// The span in whole milliseconds.
    package var wholeMilliseconds: Int64 { self.wholeNanoseconds / 1_000_000 }

    /// The span in seconds, for status and metrics.
    package var inSeconds: Double { Double(self.wholeNanoseconds) / 1e9 }
}
