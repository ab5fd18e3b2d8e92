/// Something that must hold in a run; a line below `promises:`. What no scenario may go without holds always: see `always`.
package enum Promise: Sendable, Equatable, Hashable {
    // What the traffic notices. Times are promised beside the control's slowest of the same run.
    /// At most so many short requests of this kind fail.
    case failed(Observation.Kind, Count)
    /// No short request of this kind takes longer.
    case slowest(Observation.Kind, Duration)
    /// The 99th percentile of the short requests of this kind.
    case p99(Observation.Kind, Duration)
    /// The longest time in which a client finished no short request at all, although it tried.
    case longestSilence(Duration)
    /// No event of a watch is later than this, a new watch after one that broke included.
    case latestEvent(Duration)
    /// At most so many long streams (watches, execs, streams to mapped ports) end before their time.
    case broken(Count)
    /// After a fault's end, requests are as fast as before within this time.
    case recovered(Duration)

    // What the cluster does.
    /// At most so long without a server that leads.
    case leaderless(Duration)
    /// No server that ran and was reachable is declared dead.
    case noFalseDeath
    /// Mapped ports never change.
    case portsKept
    /// After the faults every server tells the same within this time.
    case agreement(Duration)

    // What the processes do.
    /// A supervised process that hangs or dies is back within this time.
    case restartedWithin(Duration)
    /// At the end nobody has more than so many files open above what it had before the faults.
    case openFiles(Int)
    /// At the end nobody holds more than so many bytes above what it held before the faults.
    case memory(Int)

    // Held always.
    /// Nothing is lost, repeated, reordered or changed within what arrives as whole.
    case noHarm
    /// At most one leader per term.
    case oneLeaderPerTerm
    /// No process ends that the run has not ended.
    case allAlive
    /// No log has a line at `error` or above, or one that is no log line.
    case cleanLogs

    /// What holds in every scenario. `without:` takes out what a fault is meant to break, such as `clean_logs`.
    package static let always: [Promise] = [.noHarm, .oneLeaderPerTerm, .allAlive, .cleanLogs]

    /// How many.
    package enum Count: Sendable, Equatable, Hashable {
        case atMost(Int)
        /// This share (0 to 1) of all that were tried.
        case share(Double)
        /// So many for each fault.
        case perFault(Int)
    }
}

/// What came of a promise.
package struct Verdict: Codable, Sendable, Equatable {
    package enum Outcome: String, Codable, Sendable {
        case held, broken
        /// The machine was too busy, or a fault could not be made: nothing can be said.
        case void
    }

    /// The promise as the file writes it: `slowest_new: 300ms`.
    package var promise: String
    package var outcome: Outcome
    /// What was measured, in a few words: `slowest 41 ms (control 12 ms)`.
    package var measured: String
    /// What broke it: times, names, numbers, the first few of them.
    package var details: [String]

    package init(promise: String, outcome: Outcome, measured: String, details: [String] = []) {
        self.promise = promise
        self.outcome = outcome
        self.measured = measured
        self.details = details
    }
}
