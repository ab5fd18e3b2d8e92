import NIOCore

/// The events of the cluster that the stand-ins speak of: number *n* happens at *n* × interval of CLOCK_MONOTONIC. All
/// processes of a machine read that clock alike, so every stand-in knows every event without being told.
package struct EventClock: Sendable, Equatable {
    package let interval: TimeAmount

    package init(interval: TimeAmount) { self.interval = interval }

    /// The latest event that has happened.
    package func latest(at now: NIODeadline) -> UInt64 {
        now.uptimeNanoseconds / UInt64(max(1, self.interval.nanoseconds))
    }

    package func due(_ number: UInt64) -> NIODeadline {
        .uptimeNanoseconds(number &* UInt64(max(1, self.interval.nanoseconds)))
    }

    /// The blocks of all watches.
    static let key = Block.key(of: "watch")

    static func block(_ number: UInt64) -> Block { Block(key: self.key, number: number, length: 256) }
}
