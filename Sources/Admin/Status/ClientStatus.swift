/// `GET /v1/status` of a client.
package struct ClientStatus: Codable, Sendable, Equatable {
    /// Always `client`; tells the status of a client from that of a server.
    package var kind = "client"
    package var name: String
    package var version: String
    /// At least one link is up and the listeners are bound.
    package var ready: Bool
    /// Why `ready` is false.
    package var reason: String?
    package var draining: Bool
    package var links: [LinkStatus]
    /// How many streams are open.
    package var streams: Int
    package var forwards: [ForwardStatus]
    package var exposures: [ExposureStatus]
    package var process: ProcessStatus
    package var sessions: SessionTotals

    package init(
        name: String, version: String = Version.current, ready: Bool, reason: String? = nil, draining: Bool = false,
        links: [LinkStatus], streams: Int, forwards: [ForwardStatus], exposures: [ExposureStatus], process: ProcessStatus,
        sessions: SessionTotals = SessionTotals()
    ) {
        self.name = name
        self.version = version
        self.ready = ready
        self.reason = reason
        self.draining = draining
        self.links = links
        self.streams = streams
        self.forwards = forwards
        self.exposures = exposures
        self.process = process
        self.sessions = sessions
    }
}

/// One link of a client to a server.
package struct LinkStatus: Codable, Sendable, Equatable {
    package enum State: String, Codable, Sendable, CaseIterable {
        case active, standby, suspect, down
    }

    /// Name of the server; `null` until it has said it.
    @OrNull package var server: String?
    /// `host:port` that is dialled.
    package var addr: String
    package var state: State
    /// Smoothed round trip in seconds; `null` until measured and while down.
    @OrNull package var rttSeconds: Double?
    /// When it came into this state.
    package var since: Timestamp
    /// Why it is down or suspect; `null` otherwise.
    @OrNull package var reason: String?

    package init(
        server: String?, addr: String, state: State, rttSeconds: Double? = nil, since: Timestamp, reason: String? = nil
    ) {
        self._server = OrNull(wrappedValue: server)
        self.addr = addr
        self.state = state
        self._rttSeconds = OrNull(wrappedValue: rttSeconds)
        self.since = since
        self._reason = OrNull(wrappedValue: reason)
    }
}

/// One forward of a client: a listener here, a service there.
package struct ForwardStatus: Codable, Sendable, Equatable {
    /// `host:port` of the listener.
    package var listen: String
    package var service: String
    /// The listener is bound and a server that is linked offers the service as healthy.
    package var healthy: Bool
    /// Why it is not healthy; `null` otherwise.
    @OrNull package var reason: String?

    package init(listen: String, service: String, healthy: Bool, reason: String? = nil) {
        self.listen = listen
        self.service = service
        self.healthy = healthy
        self._reason = OrNull(wrappedValue: reason)
    }
}

/// One exposure as its own client sees it.
package struct ExposureStatus: Codable, Sendable, Equatable {
    package var name: String
    /// `host:port` on the client's side.
    package var target: String
    /// The mapped port on the servers; `null` when it has none.
    @OrNull package var port: Int?
    /// The target answers; while it does not, the exposure is withdrawn.
    package var healthy: Bool
    /// Why it is not healthy, or what a server has refused; `null` otherwise.
    @OrNull package var reason: String?

    package init(name: String, target: String, port: Int?, healthy: Bool, reason: String? = nil) {
        self.name = name
        self.target = target
        self._port = OrNull(wrappedValue: port)
        self.healthy = healthy
        self._reason = OrNull(wrappedValue: reason)
    }
}

/// What `/v1/status` answers: that of a server or that of a client, told apart by `kind`.
package enum DaemonStatus: Codable, Sendable, Equatable {
    case server(ServerStatus)
    case client(ClientStatus)

    /// What both have.
    package var process: ProcessStatus {
        switch self {
        case .server(let status): status.process
        case .client(let status): status.process
        }
    }

    private enum CodingKeys: CodingKey {
        case kind
    }

    package init(from decoder: any Decoder) throws {
        let kind = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .kind)
        self = kind == "client" ? .client(try ClientStatus(from: decoder)) : .server(try ServerStatus(from: decoder))
    }

    package func encode(to encoder: any Encoder) throws {
        switch self {
        case .server(let status): try status.encode(to: encoder)
        case .client(let status): try status.encode(to: encoder)
        }
    }
}
