import NIOCore

extension NIODeadline {
    /// CLOCK_MONOTONIC in seconds.
    var inSeconds: Double { Double(self.uptimeNanoseconds) / 1e9 }
}

extension TimeAmount {
    var inSeconds: Double { Double(self.nanoseconds) / 1e9 }

    static func spanning(_ seconds: Double) -> TimeAmount { .nanoseconds(Int64(seconds * 1e9)) }
}
