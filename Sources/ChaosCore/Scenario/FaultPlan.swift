/// One kind of fault of a scenario, and when it comes.
package struct FaultPlan: Sendable, Equatable {
    package var action: FaultAction
    /// Whom it meets.
    package var who: Target
    /// The other side, of what happens between two.
    package var other: Target?
    package var timing: Timing
    /// How long it lasts until it is undone (`kill`: until started again); nil: what has no end, or a moment.
    package var lasts: ClosedRange<Duration>?
    /// The line of the file.
    package var line: Int

    package init(
        _ action: FaultAction, _ who: Target, other: Target? = nil, _ timing: Timing, lasts: ClosedRange<Duration>? = nil,
        line: Int = 0
    ) {
        self.action = action
        self.who = who
        self.other = other
        self.timing = timing
        self.lasts = lasts
        self.line = line
    }

    /// From the end of the warm-up.
    package enum Timing: Sendable, Equatable {
        /// Once.
        case at(Duration)
        /// At `first`, and then again after every such time.
        case every(Duration, first: Duration)
        /// Again and again, after a time drawn from the range with the seed.
        case random(ClosedRange<Duration>)
    }
}

/// What is done to somebody.
package enum FaultAction: Sendable, Equatable {
    /// SIGKILL; started again at the end.
    case kill
    /// The same, and its state directory is gone when it starts again.
    case killWithDisk
    /// SIGSTOP; SIGCONT at the end.
    case stop
    /// SIGTERM, and started again when it has ended; in order (systemctl restart where it is supervised).
    case restart
    /// `gotunnelctl upgrade`.
    case upgrade
    /// `gotunnelctl drain`; undrain at the end.
    case drain
    /// `gotunnelctl move` of a client to another of its servers.
    case move
    /// A client that loses its power: unreachable at once, with no word; started again as another instance at the end.
    case reboot
    /// Its TCP connections with the other are reset, all at once; needs root.
    case reset
    /// Every packet between the two is dropped.
    case cut
    /// Every packet from the first to the second is dropped.
    case cutOneWay
    /// Every server is cut from all others but its neighbours in a ring: with five, each sees a majority, none the same.
    case ring
    /// The link between the two is cut and back again, for this long each.
    case flap(Duration)
    /// This share (0 to 1) of the packets that reach it is dropped.
    case loss(Double)
    /// What it sends is limited to so many bytes a second.
    case rate(Int)
    /// What it sends is late by this.
    case delay(Duration)
    /// It gets this share (0 to 1) of one CPU.
    case starve(Double)
    /// No further files than it has now, and this many.
    case exhaustFiles(Int)
    /// The disk of its state is full.
    case fillDisk
    /// Its clocks run so many times as fast, from its next start on.
    case clock(Double)
    /// One of its threads does not answer any more: `loop`, `control` or `disk`; for a build that can break itself.
    case hang(String)
    /// Every token is replaced by a new one: both are taken, then clients get the new one, then the old one goes.
    case rotateToken
    /// A server that is a voter is ended for good, a spare one takes its place in the voter set.
    case replaceVoter
    /// All clients of the fleet lose their links at once.
    case dropFleet
}

/// Whom a fault meets; resolved when it comes.
package enum Target: Sendable, Equatable, Hashable {
    case named(String)
    /// One, drawn with the seed.
    case anyServer, anyClient, anyApiserver
    /// The next in turn at each time.
    case eachServer, eachClient, eachApiserver, eachPeer
    case allServers, allClients, allApiservers
    case leader, follower
    /// The server that takes the first client's new streams, and its apiserver.
    case active, activeApiserver
    /// Everybody else (the other side of a cut).
    case everyone
}
