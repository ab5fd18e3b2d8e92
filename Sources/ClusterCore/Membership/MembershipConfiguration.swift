import TunnelWire

/// The spans and counts of the membership. The defaults meet the goals: a killed server is known everywhere within 300 ms, a
/// silent one within 3 s, one that stands still for 1 s is not taken for dead.
package struct MembershipConfiguration: Sendable, Equatable {
    /// Between two rounds of direct probes.
    package var probeInterval: Duration = .milliseconds(500)
    /// Without an answer for this long, others are asked to probe as well.
    package var indirectAfter: Duration = .milliseconds(250)
    /// Without an answer for this long, directly or through others, a probe has failed.
    package var probeTimeout: Duration = .milliseconds(500)
    /// A helper that has had no answer from the target for this long says so.
    package var errandTimeout: Duration = .milliseconds(200)
    /// How long a suspected member has to refute when enough others suspect it too.
    package var suspicionMinimum: Duration = .seconds(1)
    /// How long when nobody else does.
    package var suspicionMaximum: Duration = .seconds(2)
    /// So many others have to share a suspicion until it is at its shortest.
    package var confirmations = 2
    /// After a broken link, and with nobody listening at its address, so long the others have to reach a member.
    package var evidenceWindow: Duration = .milliseconds(150)
    /// So many others are asked to probe a member that does not answer.
    package var indirectProbes = 3
    /// A small cluster is probed whole in each interval, one of more members than this only in part, one of many one by one:
    /// so many probes an interval are divided by the number of others.
    package var probeBudget = 36
    /// News that cannot wait goes to so many at once; the rest hear it with the probes.
    package var fanOut = 16
    /// A whole table is exchanged with one other this often: it mends what was lost on the way.
    package var syncInterval: Duration = .seconds(10)
    /// A timer that fires later than this tells that this server is itself late.
    package var latenessTolerance: Duration = .milliseconds(100)
    /// Nobody is declared dead by a timer that fired later than this; what may have arrived meanwhile is read first.
    package var convictionTolerance: Duration = .milliseconds(10)
    /// How long that may take.
    package var readingGrace: Duration = .milliseconds(100)
    /// A suspicion is put off for this server's own lateness so often at most.
    package var postponements = 8
    /// The highest multiple of the spans that a server which is itself late uses.
    package var healthLimit = 8
    /// A member that is dead or has left is remembered for this long.
    package var memory: Duration = .seconds(24 * 3600)
    /// The longest announced restart that is believed.
    package var restartLimit: Duration = .seconds(600)

    package init() {}
}
