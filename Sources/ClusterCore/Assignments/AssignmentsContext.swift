import Timing
import TunnelWire

/// What the assignments need to know of the rest of the server when something happens.
package struct AssignmentsContext: Sendable {
    /// This server's term.
    package var term: UInt64
    /// The number of a round of heartbeats that begins after this moment.
    package var nextRound: UInt64
    /// Every server that may listen on mapped ports, this one included, with its voter id where that is known.
    package var servers: [ServerName: WireID?]
    /// Those of them that this server can reach, itself included; nil: all.
    package var reachable: Set<ServerName>?
    /// Ports that clients' configurations claim, and how many do.
    package var claimed: [UInt16: Int]

    /// The voter id of a server that can be reached.
    func voter(at name: ServerName) -> WireID? {
        self.reachable?.contains(name) ?? true ? self.servers[name] ?? nil : nil
    }

    package init(
        term: UInt64, nextRound: UInt64, servers: [ServerName: WireID?], claimed: [UInt16: Int],
        reachable: Set<ServerName>? = nil
    ) {
        self.reachable = reachable
        self.term = term
        self.nextRound = nextRound
        self.servers = servers
        self.claimed = claimed
    }
}

/// What is fixed for the life of the process.
package struct AssignmentsConfiguration: Sendable {
    /// The ports that the leader gives out.
    package var ports: [ClosedRange<UInt16>]
    /// A port outlives its registration by so long.
    package var retention: Duration
    /// A leader that has not committed its first state after so long gives up.
    package var patience: Duration

    package init(ports: [ClosedRange<UInt16>], retention: Duration = .seconds(24 * 3_600), patience: Duration = .seconds(2)) {
        self.ports = ports
        self.retention = retention
        self.patience = patience
    }

    /// How long an answer of one server is waited for before it is asked again.
    var retry: Duration { .milliseconds(300) }
    /// Between two whole states sent to the same server.
    var installSpacing: Duration { .seconds(1) }
    /// How often the leader looks for ports whose registration is gone.
    var sweep: Duration { self.retention / 24 }
}

/// What the assignments want done, in this order.
package enum AssignmentsAction: Equatable, Sendable {
    /// A server may be told something by itself, too.
    case send(AssignmentsMessage, to: ServerName)
    /// To every server that can be reached but this one.
    case broadcast(AssignmentsMessage)
    /// What comes behind this in the list waits until the present state is on disk.
    case persist
    /// The present state is to be written to disk; nothing waits for it.
    case keep
    /// This server has its own write on disk: call `ownStored`.
    case ownStored(Ballot)
    /// A round of heartbeats is to begin soon.
    case wantRound
    /// The state that a quorum has is another now.
    case settled
    /// This server has committed in its term and answers requests.
    case serving
    /// This server must not lead any longer.
    case abdicate
    /// Stop listening on a port.
    case unbind(UInt16, token: Ballot)
}
