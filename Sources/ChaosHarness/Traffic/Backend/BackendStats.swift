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
        case finished, corrupt, reset, eof
    }
}
