/// One client with a session; a row of `/v1/clients`.
package struct ClientRow: Codable, Sendable, Equatable {
    package var name: String
    /// The process's instance, 32 hex digits.
    package var instance: String
    /// `host:port` the link comes from, as this server sees it.
    package var addr: String
    /// Names of the servers that hold a session with it.
    package var servers: [String]
    /// When its session began.
    package var since: Timestamp
    /// Open streams.
    package var streams: Int
    /// Names of its exposures.
    package var exposures: [String]
    package var version: String?
    /// The link is up; false while the session waits for its resumption.
    package var linked: Bool
    package var rttSeconds: Double?
    /// Resumptions of this session.
    package var resumes: Int
    /// Bytes kept for replay now.
    package var replayBytes: Int
    /// Stream bytes received from and sent to it.
    package var bytesIn: Int
    package var bytesOut: Int

    package init(
        name: String, instance: String, addr: String, servers: [String], since: Timestamp, streams: Int, exposures: [String],
        version: String? = nil, linked: Bool = true, rttSeconds: Double? = nil, resumes: Int = 0, replayBytes: Int = 0,
        bytesIn: Int = 0, bytesOut: Int = 0
    ) {
        self.name = name
        self.instance = instance
        self.addr = addr
        self.servers = servers
        self.since = since
        self.streams = streams
        self.exposures = exposures
        self.version = version
        self.linked = linked
        self.rttSeconds = rttSeconds
        self.resumes = resumes
        self.replayBytes = replayBytes
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
    }
}

/// One exposure of the cluster; a row of `/v1/exposures`.
package struct ExposureRow: Codable, Sendable, Equatable {
    package var client: String
    package var name: String
    /// The mapped port; `null` when it has none.
    @OrNull package var port: Int?
    package var healthy: Bool
    /// Names of the servers that can reach it.
    package var servers: [String]
    /// Why it is not healthy or has no listener; left out otherwise.
    package var reason: String?

    package init(client: String, name: String, port: Int?, healthy: Bool, servers: [String], reason: String? = nil) {
        self.client = client
        self.name = name
        self._port = OrNull(wrappedValue: port)
        self.healthy = healthy
        self.servers = servers
        self.reason = reason
    }
}

/// One open stream; a row of `/v1/streams`.
package struct StreamRow: Codable, Sendable, Equatable {
    package enum Kind: String, Codable, Sendable {
        /// From the client's network to a service of the servers.
        case forward
        /// From the servers' side to something of the client's network.
        case exposure
    }

    package enum State: String, Codable, Sendable {
        /// OPEN is under way: not answered yet.
        case opening
        case open
        /// One direction has ended.
        case halfClosed = "half_closed"
        case closing
    }

    /// Which end sent OPEN.
    package enum Opener: String, Codable, Sendable {
        case client, server
    }

    /// Stream id, unique within its client's session.
    package var id: UInt32
    /// Name of the client whose session carries it.
    package var client: String
    package var kind: Kind
    /// Name of the service or exposure.
    package var target: String
    /// `host:port` of the program that opened the connection; `null` when not told.
    @OrNull package var source: String?
    package var state: State
    package var openedBy: Opener
    package var since: Timestamp
    /// Bytes received from the link and sent to it, as the answering process counts them.
    package var bytesIn: Int
    package var bytesOut: Int

    package init(
        id: UInt32, client: String, kind: Kind, target: String, source: String?, state: State, openedBy: Opener,
        since: Timestamp, bytesIn: Int, bytesOut: Int
    ) {
        self.id = id
        self.client = client
        self.kind = kind
        self.target = target
        self._source = OrNull(wrappedValue: source)
        self.state = state
        self.openedBy = openedBy
        self.since = since
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
    }
}
