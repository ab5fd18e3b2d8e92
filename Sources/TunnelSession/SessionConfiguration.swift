import TunnelWire

/// Which end of a session this is: it decides the parity of stream ids and who looks for a new link.
package enum SessionSide: Sendable {
    /// Opened the session; its streams have odd ids.
    case dialer
    /// Answered; its streams have even ids.
    case acceptor
}

/// The bounds and times of one session. Sizes in bytes.
package struct SessionConfiguration: Sendable {
    /// The most that is kept of what was sent and not yet acknowledged.
    package var replayBuffer = 16 << 20
    /// The most streams alive at once, counting both directions of opening.
    package var streams = 16_384
    /// What one stream's window may grow to.
    package var maximumStreamWindow = 8 << 20
    /// What all windows together may grow beyond the guaranteed 64 KiB each.
    package var windowGrowth = 16 << 20
    /// The most that unacknowledged control frames (CREDIT, FIN, RESET …) may take before the session ends.
    package var controlBytes = 1 << 20
    /// An idle link is probed after this long while there are streams.
    package var heartbeatInterval: Duration = .seconds(1)
    /// And after this long while there are none.
    package var idleHeartbeatInterval: Duration = .seconds(5)
    /// A link on which nothing was heard for this long, although it was probed, is closed.
    package var heartbeatTimeout: Duration = .seconds(4)
    /// How long the session waits for a new link.
    package var resumeWindow: Duration = .seconds(30)
    /// What a stream may send in its turn while others wait: with its header, one full TLS record.
    package var quantum = 16_384 - 8
    /// What the session may send, and separately what it gives credit for, in bytes a second; 0: no bound.
    package var bandwidth = 0
    /// An acknowledgement waits at most this long …
    package var acknowledgementDelay: Duration = .milliseconds(20)

    #if FAULTS
    /// So many bytes too much (or too few, below zero) are taken as received by the other end when a session is resumed.
    package var resumeError = 0
    #endif

    package init() {}

    /// … or for this many received bytes.
    package var acknowledgementBytes: UInt64 { UInt64(max(1, min(256 << 10, self.replayBuffer / 8))) }
}

/// How full the process-wide memory budget is; the driver says it, the session acts on it.
package enum MemoryPressure: Sendable {
    case none
    /// From 80 %: new streams are refused.
    case busy
    /// From 100 %: no credit is given either.
    case exhausted
}
