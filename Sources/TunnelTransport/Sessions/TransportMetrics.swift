import CoreMetrics
import Synchronization
import TunnelSession
import TunnelWire

/// What the sessions of a process have come to since its start, for status.
package final class TransportTotals: Sendable {
    private let resumeCount = Atomic<Int>(0)
    private let resumedByteCount = Atomic<Int>(0)

    /// Resumptions.
    package var resumes: Int { self.resumeCount.load(ordering: .relaxed) }
    /// Bytes sent again by resumptions.
    package var resumedBytes: Int { self.resumedByteCount.load(ordering: .relaxed) }

    func resumed(bytes: UInt64) {
        self.resumeCount.wrappingAdd(1, ordering: .relaxed)
        self.resumedByteCount.wrappingAdd(Int(clamping: bytes), ordering: .relaxed)
    }
}

/// The counters that links, sessions and streams feed. Made once, after the metrics backend is in place.
package struct TransportMetrics: Sendable {
    package let totals = TransportTotals()
    let bytesIn = Counter(label: "gotunnel_bytes_total", dimensions: [("direction", "in")])
    let bytesOut = Counter(label: "gotunnel_bytes_total", dimensions: [("direction", "out")])
    let streamsOpenedLocally = Counter(label: "gotunnel_streams_opened_total", dimensions: [("opener", "local")])
    let streamsOpenedByPeer = Counter(label: "gotunnel_streams_opened_total", dimensions: [("opener", "peer")])
    let openSeconds = Recorder(label: "gotunnel_stream_open_seconds", aggregate: true)
    let roundTripSeconds = Recorder(label: "gotunnel_heartbeat_rtt_seconds", aggregate: true)
    let resumes = Counter(label: "gotunnel_session_resumes_total")
    let resumedBytes = Counter(label: "gotunnel_resumed_bytes_total")
    let streams = Meter(label: "gotunnel_streams")
    let replayBytes = Meter(label: "gotunnel_session_replay_bytes")
    let links = Meter(label: "gotunnel_links", dimensions: [("state", "active")])
    let linksLost = Counter(label: "gotunnel_links_lost_total")
    let handshakes = Counter(label: "gotunnel_handshakes_total", dimensions: [("result", "accepted")])
    let loopLag = Recorder(label: "gotunnel_event_loop_lag_seconds", aggregate: true)
    private let acceptHedges = Counter(label: "gotunnel_hedged_opens_total", dimensions: [("stage", "accept")])
    private let dialHedges = Counter(label: "gotunnel_hedged_opens_total", dimensions: [("stage", "dial")])
    private let failovers = Counter(label: "gotunnel_failovers_total")
    private let heldOpens = Counter(label: "gotunnel_held_opens_total")
    private let failedHandshakes = Counter(label: "gotunnel_handshakes_total", dimensions: [("result", "failed")])
    private let resets: [ResetCode: Counter]
    private let refusals: [RefusalCode: Counter]
    private let violations: [WireError.Kind: Counter]
    private let rejected: [HandshakeFailure: Counter]

    package init() {
        self.resets = Self.counters("gotunnel_streams_reset_total", "reason") { (code: ResetCode) in code.label }
        self.refusals = Self.counters("gotunnel_stream_refusals_total", "code") { (code: RefusalCode) in code.label }
        self.violations = Self.counters("gotunnel_protocol_violations_total", "kind") { (kind: WireError.Kind) in kind.rawValue }
        self.rejected = Self.counters("gotunnel_handshake_failures_total", "reason") { (kind: HandshakeFailure) in kind.rawValue }
    }

    func reset(_ code: ResetCode) { self.resets[code]?.increment() }
    func attempted(_ reason: AttemptReason) {
        switch reason {
        case .first: break
        case .acceptHedge: self.acceptHedges.increment()
        case .dialHedge: self.dialHedges.increment()
        case .failover: self.failovers.increment()
        case .held: self.heldOpens.increment()
        }
    }
    func refused(_ code: RefusalCode) { self.refusals[code]?.increment() }
    func violation(_ kind: WireError.Kind) { self.violations[kind]?.increment() }
    package func rejected(_ failure: HandshakeFailure) {
        self.failedHandshakes.increment()
        self.rejected[failure]?.increment()
    }

    private static func counters<Key: CaseIterable & Hashable>(
        _ name: String, _ label: String, value: (Key) -> String
    ) -> [Key: Counter] {
        var counters: [Key: Counter] = [:]
        for key in Key.allCases { counters[key] = Counter(label: name, dimensions: [(label, value(key))]) }
        return counters
    }
}

/// Why a handshake came to nothing; one series each.
package enum HandshakeFailure: String, Sendable, CaseIterable {
    /// Not TLS 1.3 with our ALPN: a scanner, a plain TCP or HTTP client.
    case tls
    /// Not our frames, or fields that cannot be.
    case malformed
    /// The five seconds were over.
    case timeout
    /// The connection ended before the handshake did.
    case disconnected
    /// A wrong, unknown or missing secret.
    case authentication
    /// A name that this secret may not use.
    case forbidden
    case version
    /// The session to resume is not here.
    case resume
    /// As many clients as are allowed.
    case busy
    /// More handshakes at a time than are allowed.
    case overload
    /// The dialer has a session with this server already, or enough of them.
    case unwanted
}
