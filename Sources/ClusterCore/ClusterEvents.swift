import Timing
import TunnelWire

/// How the last link to a peer ended.
package enum LinkEnding: Equatable, Sendable {
    /// The peer said good-bye: it stops, or freezes for a restart.
    case announced
    /// Reset, or closed without a word: the process may be gone.
    case broken
    /// This end gave it up because nothing was heard.
    case silent
}

/// A peer that has proved to belong to the cluster, on a control link.
package struct PeerIdentity: Equatable, Sendable {
    package var name: ServerName
    /// Of its state directory, for the record: as a voter it is known by what it says as a member.
    package var id: WireID
    /// Of its process.
    package var instance: WireID

    package init(name: ServerName, id: WireID, instance: WireID) {
        self.name = name
        self.id = id
        self.instance = instance
    }
}

/// What happens to a `ClusterNode`.
package enum ClusterEvent: Sendable {
    /// The `deadline` has come.
    case timer
    /// The first control link with a peer is up.
    case linked(PeerIdentity)
    /// The last control link with a peer is gone.
    case unlinked(ServerName, LinkEnding)
    /// A peer's address was dialled and nobody listens there.
    case dialRefused(ServerName)
    case received(ClusterMessage, from: ServerName)
    /// What `ClusterAction.store` asked for is on disk. Answered in the order of the tickets; an answer covers all before.
    case stored(ticket: UInt64)
    /// An entry of this server's own: a new record, or none any more.
    case set(RegistryKey, RegistryRecord?)
    /// A client here wants a port. `id` is the caller's; the answer comes as `ClusterAction.answered`.
    case request(id: UInt64, PortRequest)
    /// The caller does not wait any longer.
    case withdraw(id: UInt64)
    /// This server has stopped listening on a port for good (after `ClusterAction.unbind`).
    case unbound(UInt16, token: Ballot)
    /// An operator's wish; answered like a request.
    case administer(id: UInt64, ClusterCommand)
    /// This server has a session with a client of which `owner` still lists another instance.
    case ghost(client: String, instance: WireID, owner: ServerName)
    /// This server wants to drain; answered when it may: one server at a time.
    case requestDrain(id: UInt64)
    /// This server stops for good, or until it is started again.
    case leave
    /// Another process of this server goes on within this time.
    case restart(within: Duration)
}

/// What a `ClusterNode` wants done, in this order.
package enum ClusterAction: Sendable {
    /// Dropped if there is no way to the peer now.
    case send(ClusterMessage, to: ServerName)
    /// Write this to disk, whole and durably, then report the ticket. A newer one may take the place of one that waits.
    case store(StoredState, ticket: UInt64)
    /// Dial the peer now, whatever the backoff says.
    case dial(ServerName)
    /// A member is new or has another state.
    case memberChanged(MemberView)
    /// What is known of an entry; nil: it is gone, or its owner is. Own entries are not reported.
    case entryChanged(owner: ServerName, RegistryKey, RegistryRecord?)
    case leadershipChanged(Leadership)
    /// All mapped ports that were given out, after a change.
    case portsChanged([MappedPort])
    /// Stop listening on a port that was given out under this token, then report `unbound`.
    case unbind(UInt16, token: Ballot)
    case answered(id: UInt64, RequestOutcome)
    /// End this client's session here if it has this instance and does not answer within a second.
    case challenge(client: String, instance: WireID)
    /// Ask so many clients here to prefer another server.
    case spread(Int, to: ServerName)
}

/// A member as others may see it.
package struct MemberView: Equatable, Sendable {
    package enum State: String, Sendable, CaseIterable {
        case alive, suspect, dead, left, restarting
    }

    package var name: ServerName
    package var state: State
    package var incarnation: Incarnation
    /// Where peers dial it.
    package var addresses: [PeerAddress]
    /// Of its state directory; nil while unknown.
    package var id: WireID?

    package init(name: ServerName, state: State, incarnation: Incarnation, addresses: [PeerAddress], id: WireID?) {
        self.name = name
        self.state = state
        self.incarnation = incarnation
        self.addresses = addresses
        self.id = id
    }
}

/// Who leads, as this server knows it, and what it is itself.
package struct Leadership: Equatable, Sendable {
    package enum Role: String, Sendable, CaseIterable {
        case leader, follower, candidate, learner
    }

    package var role: Role
    package var term: UInt64
    /// Nil while unknown.
    package var leader: ServerName?
    /// Of the cluster; nil before it is founded.
    package var cluster: WireID?
    package var voters: VoterSet
    /// As leader: it has committed in its term and serves requests.
    package var isServing: Bool

    package init(
        role: Role, term: UInt64, leader: ServerName?, cluster: WireID?, voters: VoterSet, isServing: Bool
    ) {
        self.role = role
        self.term = term
        self.leader = leader
        self.cluster = cluster
        self.voters = voters
        self.isServing = isServing
    }
}
