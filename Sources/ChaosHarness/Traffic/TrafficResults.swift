/// What `gotunnel-chaos traffic requests` saw. All times are in milliseconds, relative to ``startedAtMs``.
package struct RequestsReport: Sendable, Equatable, Codable {
    /// CLOCK_MONOTONIC in milliseconds when the first request was due: comparable within one machine, across network namespaces.
    package let startedAtMs: Double
    /// Time between two requests of one path.
    package let intervalMs: Double
    /// In the order in which they were scheduled.
    package let requests: [RequestResult]

    package init(startedAtMs: Double, intervalMs: Double, requests: [RequestResult]) {
        self.startedAtMs = startedAtMs
        self.intervalMs = intervalMs
        self.requests = requests
    }

    enum CodingKeys: String, CodingKey {
        case startedAtMs = "started_at_ms"
        case intervalMs = "interval_ms"
        case requests
    }
}

/// One HTTPS request over a connection of its own.
package struct RequestResult: Sendable, Equatable, Codable {
    /// The way that the request took.
    package enum Path: String, Sendable, Codable, CaseIterable {
        /// Through the tunnel.
        case forward
        /// Straight to a backend, from the same event loop: what the machine and the generator themselves cost.
        case control
    }

    package let path: Path
    /// When it was due. Everything else is counted from here, so a late start counts as a slow request.
    package let atMs: Double
    /// Until the end of the answer, or until it failed.
    package let tookMs: Double
    /// Until TCP was connected; nil when it never was.
    package let connectedMs: Double?
    /// Until the TLS handshake was done; nil when it never was.
    package let tlsMs: Double?
    /// Whether a complete answer with status 200 came.
    package let ok: Bool
    /// Why it failed: printable, at most 200 bytes.
    package let error: String?
    /// The backend that answered.
    package let server: String?

    package init(
        path: Path, atMs: Double, tookMs: Double, connectedMs: Double?, tlsMs: Double?, ok: Bool, error: String?,
        server: String?
    ) {
        self.path = path
        self.atMs = atMs
        self.tookMs = tookMs
        self.connectedMs = connectedMs
        self.tlsMs = tlsMs
        self.ok = ok
        self.error = error
        self.server = server
    }

    enum CodingKeys: String, CodingKey {
        case path, ok, error, server
        case atMs = "at_ms"
        case tookMs = "took_ms"
        case connectedMs = "connected_ms"
        case tlsMs = "tls_ms"
    }

    /// Writes every key: what is unknown is `null`, not missing.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(path, forKey: .path)
        try container.encode(atMs, forKey: .atMs)
        try container.encode(tookMs, forKey: .tookMs)
        try container.encode(connectedMs, forKey: .connectedMs)
        try container.encode(tlsMs, forKey: .tlsMs)
        try container.encode(ok, forKey: .ok)
        try container.encode(error, forKey: .error)
        try container.encode(server, forKey: .server)
    }
}

/// What `gotunnel-chaos traffic streams` saw. All times are in milliseconds, relative to ``startedAtMs``.
package struct StreamsReport: Sendable, Equatable, Codable {
    /// CLOCK_MONOTONIC in milliseconds when the first stream was dialled.
    package let startedAtMs: Double
    /// By id.
    package let streams: [StreamResult]
    /// For each second of the run the longest gap of any stream that ended in it; 0 when none did.
    package let stallsMs: [Double]

    package init(startedAtMs: Double, streams: [StreamResult], stallsMs: [Double] = []) {
        self.startedAtMs = startedAtMs
        self.streams = streams
        self.stallsMs = stallsMs
    }

    enum CodingKeys: String, CodingKey {
        case startedAtMs = "started_at_ms"
        case stallsMs = "stalls_ms"
        case streams
    }
}

/// One long stream that carried the counted pattern both ways.
package struct StreamResult: Sendable, Equatable, Codable {
    /// How a stream ended.
    package enum End: String, Sendable, Codable, CaseIterable {
        /// It did not: it still ran when the run was over.
        case open
        /// In order: both ends announced their end and got every byte.
        case finished
        /// The connection was reset, or failed in another way that its end is told of.
        case reset
        /// A FIN that the other end had not announced: bytes may be missing, and nothing says so.
        case eof
        /// A byte was lost, doubled, reordered or changed; ``StreamResult/error`` says where.
        case corrupt
        /// Nothing came back within the limit for opening.
        case timeout
        /// No TCP connection could be made at all.
        case failed
    }

    /// From 1.
    package let id: Int
    /// The backend at the other end; nil when it never answered.
    package let server: String?
    /// When the backend's greeting was read; nil when it never was.
    package let openedAtMs: Double?
    /// Nil for ``End/open``.
    package let endedAtMs: Double?
    package let end: End
    /// Bytes of pattern handed to the socket.
    package let bytesUp: UInt64
    /// Bytes of pattern read and found right.
    package let bytesDown: UInt64
    /// The longest time in which nothing arrived, between opening and end (or the end of the run).
    package let longestGapMs: Double
    /// When it began; nil when the stream never opened.
    package let longestGapAtMs: Double?
    /// Details of an end other than ``End/open`` and ``End/finished``: printable, at most 200 bytes.
    package let error: String?
    /// What was done to a corrupt stream: lost, doubled, reordered, changed, or unknown.
    package let harm: String?

    package init(
        id: Int, server: String?, openedAtMs: Double?, endedAtMs: Double?, end: End, bytesUp: UInt64, bytesDown: UInt64,
        longestGapMs: Double, longestGapAtMs: Double?, error: String?, harm: String? = nil
    ) {
        self.id = id
        self.server = server
        self.openedAtMs = openedAtMs
        self.endedAtMs = endedAtMs
        self.end = end
        self.bytesUp = bytesUp
        self.bytesDown = bytesDown
        self.longestGapMs = longestGapMs
        self.longestGapAtMs = longestGapAtMs
        self.error = error
        self.harm = harm
    }

    enum CodingKeys: String, CodingKey {
        case id, server, end, error, harm
        case openedAtMs = "opened_at_ms"
        case endedAtMs = "ended_at_ms"
        case bytesUp = "bytes_up"
        case bytesDown = "bytes_down"
        case longestGapMs = "longest_gap_ms"
        case longestGapAtMs = "longest_gap_at_ms"
    }

    /// Writes every key: what is unknown is `null`, not missing.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(server, forKey: .server)
        try container.encode(openedAtMs, forKey: .openedAtMs)
        try container.encode(endedAtMs, forKey: .endedAtMs)
        try container.encode(end, forKey: .end)
        try container.encode(bytesUp, forKey: .bytesUp)
        try container.encode(bytesDown, forKey: .bytesDown)
        try container.encode(longestGapMs, forKey: .longestGapMs)
        try container.encode(longestGapAtMs, forKey: .longestGapAtMs)
        try container.encode(error, forKey: .error)
        try container.encode(harm, forKey: .harm)
    }
}
