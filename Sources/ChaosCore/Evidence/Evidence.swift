/// All that a run has seen, with which it is judged; the raw part of `results.json`. Times as in `Observation`.
package struct Evidence: Codable, Sendable, Equatable {
    /// When the traffic was complete and the time of the scenario began.
    package var began: Double
    /// When the faults were over and the time to settle began.
    package var healed: Double
    /// When the traffic was told to stop.
    package var ended: Double
    package var faults: [FaultRecord] = []
    /// Faults that were due and did not come, and why, a line each: `kill: controller-2 suffers something already`.
    package var skipped: [String] = []
    /// What passed the tunnel, and what the apiservers noticed of it, in the order of time.
    package var observations: [Observation] = []
    /// The same traffic past the tunnel: what the machine itself costs.
    package var control: [Observation] = []
    /// How many observations the traffic had to throw away, since they came faster than they could be written.
    package var dropped = 0
    package var views: [ClusterView] = []
    package var claims: [LeaderClaim] = []
    package var verdicts: [DeathVerdict] = []
    package var lives: [ProcessLife] = []
    package var usage: [ProcessSample] = []
    package var logTroubles: [LogTrouble] = []
    package var agreement = AgreementRecord()

    package init(began: Double, healed: Double, ended: Double) {
        self.began = began
        self.healed = healed
        self.ended = ended
    }
}

/// A fault as it happened.
package struct FaultRecord: Codable, Sendable, Equatable {
    /// Its place in the schedule, from 0.
    package var number: Int
    /// `kill`, `cut` …
    package var action: String
    /// Whom it met; for a cut, both sides.
    package var victims: [String]
    /// Those of `victims` that are the other side, of what happens between two.
    package var others: [String]
    /// When it was asked for.
    package var began: Double
    /// When it was there: a process does not end, nor a filter take hold, at the moment when it is asked for.
    package var there: Double
    /// When it was undone and what it met was back (a server ready, a client linked); nil: it has no such end.
    package var ended: Double?
    /// Why it could not be done or undone; the run is void then.
    package var problem: String?

    package init(
        number: Int, action: String, victims: [String], others: [String] = [], began: Double, there: Double,
        ended: Double? = nil, problem: String? = nil
    ) {
        self.number = number
        self.action = action
        self.victims = victims
        self.others = others
        self.began = began
        self.there = there
        self.ended = ended
        self.problem = problem
    }
}

/// How the servers and clients described themselves at one moment; those that did not answer are missing.
package struct ClusterView: Codable, Sendable, Equatable {
    package struct Server: Codable, Sendable, Equatable {
        package var name: String
        /// single, leader, follower, candidate, learner.
        package var role: String
        package var term: UInt64
        package var leader: String?
        /// The peers that it holds alive.
        package var alive: [String]
        package var clients: Int
        package var streams: Int
        /// Mapped ports by `CLIENT/EXPOSURE`.
        package var ports: [String: Int]

        package init(
            name: String, role: String, term: UInt64, leader: String?, alive: [String], clients: Int, streams: Int,
            ports: [String: Int]
        ) {
            self.name = name
            self.role = role
            self.term = term
            self.leader = leader
            self.alive = alive
            self.clients = clients
            self.streams = streams
            self.ports = ports
        }
    }

    package struct Client: Codable, Sendable, Equatable {
        package var name: String
        /// Servers with a link that is up.
        package var linked: [String]
        /// Where its new streams go.
        package var active: String?
        package var streams: Int

        package init(name: String, linked: [String], active: String?, streams: Int) {
            self.name = name
            self.linked = linked
            self.active = active
            self.streams = streams
        }
    }

    package var t: Double
    package var servers: [Server]
    package var clients: [Client]

    package init(t: Double, servers: [Server], clients: [Client]) {
        self.t = t
        self.servers = servers
        self.clients = clients
    }

    /// The server that says it leads in the highest term, if one does.
    package var leader: String? {
        self.servers.filter { $0.role == "leader" || $0.role == "single" }.max { $0.term < $1.term }?.name
    }
}

/// A server's own word that it leads from now on; from its log.
package struct LeaderClaim: Codable, Sendable, Equatable {
    package var t: Double
    package var server: String
    package var term: UInt64

    package init(t: Double, server: String, term: UInt64) {
        self.t = t
        self.server = server
        self.term = term
    }
}

/// A server's word that a peer is dead; from its log.
package struct DeathVerdict: Codable, Sendable, Equatable {
    package var t: Double
    package var server: String
    package var peer: String

    package init(t: Double, server: String, peer: String) {
        self.t = t
        self.server = server
        self.peer = peer
    }
}

/// A process from its start to its end.
package struct ProcessLife: Codable, Sendable, Equatable {
    package var name: String
    package var pid: Int32
    package var started: Double
    package var ended: Double?
    /// The signal or the code with which it ended: `SIGKILL`, `exit 0`; nil while it runs.
    package var end: String?
    /// Whether the run ended it.
    package var wasMeant: Bool

    package init(name: String, pid: Int32, started: Double, ended: Double? = nil, end: String? = nil, wasMeant: Bool = false) {
        self.name = name
        self.pid = pid
        self.started = started
        self.ended = ended
        self.end = end
        self.wasMeant = wasMeant
    }
}

/// What a process held at one moment.
package struct ProcessSample: Codable, Sendable, Equatable {
    package var t: Double
    package var name: String
    /// Resident bytes.
    package var memory: Int
    package var openFiles: Int
    /// Seconds of CPU used since its start.
    package var cpu: Double

    package init(t: Double, name: String, memory: Int, openFiles: Int, cpu: Double) {
        self.t = t
        self.name = name
        self.memory = memory
        self.openFiles = openFiles
        self.cpu = cpu
    }
}

/// A line of a log at `error` or above, or one that is no log line (a crash).
package struct LogTrouble: Codable, Sendable, Equatable {
    package var process: String
    package var line: String

    package init(process: String, line: String) {
        self.process = process
        self.line = line
    }
}

/// How the servers came to tell the same story after the faults.
package struct AgreementRecord: Codable, Sendable, Equatable {
    /// Seconds from the end of the faults until every server told the same (one leader, all alive, the same registry, every
    /// client linked as often as it wants to be); nil: never, or not looked at.
    package var after: Double?
    /// What they did not agree on at the end.
    package var differences: [String] = []

    package init() {}
}
