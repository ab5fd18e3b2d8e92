/// What a backend counted since its start: the body of its `GET /stats`.
package struct BackendStats: Sendable, Equatable, Codable {
    /// HTTPS connections accepted, without those whose first request was for `/readyz` or `/stats`.
    ///
    /// A connection that never sent a request counts, so that opens which a client gave up are seen:
    /// `https_connections / requests` is the number of connections that one request costs.
    package var httpsConnections = 0
    /// HTTPS connections whose first request was for `/readyz` or `/stats`.
    package var probeConnections = 0
    /// Requests answered, other than for `/readyz` and `/stats`.
    package var requests = 0
    /// TCP connections to the pattern server accepted, health checks among them.
    package var patternConnections = 0
    /// Those of them on which a stream introduced itself.
    package var patternStreams = 0
    /// Streams that ended in order, with every byte.
    package var finished = 0
    /// Streams on which a byte was lost, doubled, reordered or changed.
    package var corrupt = 0
    /// What was done to those: lost, doubled, reordered, changed, or unknown.
    package var harms: [String: Int] = [:]
    /// Streams that were reset.
    package var reset = 0
    /// Streams whose FIN came unannounced.
    package var eof = 0

    package init() {}

    enum CodingKeys: String, CodingKey {
        case httpsConnections = "https_connections"
        case probeConnections = "probe_connections"
        case requests
        case patternConnections = "pattern_connections"
        case patternStreams = "pattern_streams"
        case finished, corrupt, harms, reset, eof
    }
}

extension BackendStats {
    /// What two backends counted together.
    static func + (one: BackendStats, other: BackendStats) -> BackendStats {
        var sum = one
        sum.httpsConnections += other.httpsConnections
        sum.probeConnections += other.probeConnections
        sum.requests += other.requests
        sum.patternConnections += other.patternConnections
        sum.patternStreams += other.patternStreams
        sum.finished += other.finished
        sum.corrupt += other.corrupt
        sum.harms.merge(other.harms, uniquingKeysWith: +)
        sum.reset += other.reset
        sum.eof += other.eof
        return sum
    }
}
