/// `GET /v1/status` of a server.
///
/// Times are RFC 3339 UTC, sizes bytes, durations seconds; in JSON the keys are these names in snake_case.
package struct ServerStatus: Codable, Sendable, Equatable {
    /// What a server is in its cluster.
    package enum Role: String, Codable, Sendable {
        case leader, follower, candidate, learner
        /// A server without `server.cluster`.
        case single
    }

    /// Always `server`; tells the status of a server from that of a client.
    package var kind = "server"
    package var name: String
    package var version: String
    package var role: Role
    /// The Raft term; 0 on a single server.
    package var term: UInt64
    /// Name of the leader; `null` while there is none, and on a single server.
    @OrNull package var leader: String?
    /// The id of the cluster, in hexadecimal; `null` before it is founded, and on a single server.
    @OrNull package var cluster: String?
    /// Names of the voters, sorted; empty on a single server.
    package var voters: [String]
    package var ready: Bool
    /// Why `ready` is false.
    package var reason: String?
    package var draining: Bool
    package var peers: [PeerStatus]
    /// How many clients have a session here.
    package var clients: Int
    /// How many streams are open here.
    package var streams: Int
    package var services: [ServiceStatus]
    package var process: ProcessStatus
    package var sessions: SessionTotals

    package init(
        name: String, version: String = Version.current, role: Role = .single, term: UInt64 = 0, leader: String? = nil,
        cluster: String? = nil, voters: [String] = [], ready: Bool, reason: String? = nil, draining: Bool,
        peers: [PeerStatus] = [], clients: Int, streams: Int,
        services: [ServiceStatus], process: ProcessStatus, sessions: SessionTotals = SessionTotals()
    ) {
        self.name = name
        self.version = version
        self.role = role
        self.term = term
        self._leader = OrNull(wrappedValue: leader)
        self._cluster = OrNull(wrappedValue: cluster)
        self.voters = voters
        self.ready = ready
        self.reason = reason
        self.draining = draining
        self.peers = peers
        self.clients = clients
        self.streams = streams
        self.services = services
        self.process = process
        self.sessions = sessions
    }
}

/// One peer as this server sees it; a row of `/v1/peers`.
package struct PeerStatus: Codable, Sendable, Equatable {
    package enum State: String, Codable, Sendable, CaseIterable {
        case alive, suspect, dead, left, restarting
    }

    package var name: String
    /// `host:port` that peers dial.
    package var addr: String
    package var state: State
    /// Smoothed round trip in seconds; `null` until measured.
    @OrNull package var rttSeconds: Double?
    /// Version of the program there; `null` until it has been heard.
    @OrNull package var version: String?

    package init(name: String, addr: String, state: State, rttSeconds: Double? = nil, version: String? = nil) {
        self.name = name
        self.addr = addr
        self.state = state
        self._rttSeconds = OrNull(wrappedValue: rttSeconds)
        self._version = OrNull(wrappedValue: version)
    }
}

/// A service that a server offers.
package struct ServiceStatus: Codable, Sendable, Equatable {
    package var name: String
    /// At least one target is healthy.
    package var healthy: Bool
    package var targets: [Target]

    /// One address behind a service.
    package struct Target: Codable, Sendable, Equatable {
        /// `host:port`.
        package var addr: String
        package var healthy: Bool
        /// What the last failed check said; `null` while healthy.
        @OrNull package var reason: String?

        package init(addr: String, healthy: Bool, reason: String? = nil) {
            self.addr = addr
            self.healthy = healthy
            self._reason = OrNull(wrappedValue: reason)
        }
    }

    package init(name: String, healthy: Bool, targets: [Target]) {
        self.name = name
        self.healthy = healthy
        self.targets = targets
    }
}

/// The process behind a status: age and memory.
package struct ProcessStatus: Codable, Sendable, Equatable {
    package var pid: Int32
    package var startedAt: Timestamp
    package var uptimeSeconds: Double
    /// Bytes charged to the memory budget (replay and stream buffers).
    package var memoryBytes: Int
    /// `limits.memory_budget`.
    package var memoryBudgetBytes: Int
    /// Resident set of the whole process.
    package var residentBytes: Int
    package var openFds: Int
    /// How this process took over from the one before; nil if it began anew.
    package var handoff: HandoffStatus?

    package init(
        pid: Int32, startedAt: Timestamp, uptimeSeconds: Double, memoryBytes: Int, memoryBudgetBytes: Int, residentBytes: Int,
        openFds: Int, handoff: HandoffStatus? = nil
    ) {
        self.handoff = handoff
        self.pid = pid
        self.startedAt = startedAt
        self.uptimeSeconds = uptimeSeconds
        self.memoryBytes = memoryBytes
        self.memoryBudgetBytes = memoryBudgetBytes
        self.residentBytes = residentBytes
        self.openFds = openFds
    }
}

/// What became of the connections of the process before.
package struct HandoffStatus: Codable, Sendable, Equatable {
    /// `exec` or `store`.
    package var carrier: String
    /// Streams, and connections that were to become streams.
    package var carried: Int
    package var lost: Int
    /// From the moment when everything stopped until this process went on, in seconds.
    package var pauseSeconds: Double
    package var at: Timestamp

    package init(carrier: String, carried: Int, lost: Int, pauseSeconds: Double, at: Timestamp) {
        self.carrier = carrier
        self.carried = carried
        self.lost = lost
        self.pauseSeconds = pauseSeconds
        self.at = at
    }
}

/// What the sessions of a process have come to since its start.
package struct SessionTotals: Codable, Sendable, Equatable {
    /// Sessions whose link is up.
    package var linked: Int
    /// Sessions without a link that wait for their resumption.
    package var waiting: Int
    /// Resumptions since the start.
    package var resumes: Int
    /// Bytes sent again by resumptions since the start.
    package var resumedBytes: Int
    /// Bytes kept for replay now.
    package var replayBytes: Int
    /// Bytes received from and sent to the other ends of the sessions that there are.
    package var bytesIn: Int
    package var bytesOut: Int

    package init(
        linked: Int = 0, waiting: Int = 0, resumes: Int = 0, resumedBytes: Int = 0, replayBytes: Int = 0, bytesIn: Int = 0,
        bytesOut: Int = 0
    ) {
        self.linked = linked
        self.waiting = waiting
        self.resumes = resumes
        self.resumedBytes = resumedBytes
        self.replayBytes = replayBytes
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
    }
}
