import NIOCore

/// Moments and spans as the result files write them.
///
/// They agree with the results' `started_at_ms`, so that events of other processes can be lined up with them.
enum TrafficClock {
    /// CLOCK_MONOTONIC in milliseconds, now.
    static func now() -> Double { milliseconds(NIODeadline.now()) }

    /// A moment as CLOCK_MONOTONIC in milliseconds, which every process of a machine reads alike.
    static func milliseconds(_ moment: NIODeadline) -> Double {
        rounded(Double(moment.uptimeNanoseconds) / 1_000_000)
    }

    /// A span in milliseconds.
    static func milliseconds(_ span: TimeAmount) -> Double {
        rounded(Double(span.nanoseconds) / 1_000_000)
    }

    /// Whole microseconds: finer digits mean nothing and would double the size of the files.
    private static func rounded(_ milliseconds: Double) -> Double { (milliseconds * 1000).rounded() / 1000 }
}
