import Timing
import TunnelWire

/// One session by which streams can be opened, named by its owner; a new session is a new path.
package struct PathID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package static func < (left: PathID, right: PathID) -> Bool { left.rawValue < right.rawValue }
}

/// What the other end of a path says of one destination.
package struct Offer: Equatable, Sendable {
    package var isHealthy: Bool
    /// Whether a dial that is slow, though accepted, may be tried a second time elsewhere.
    package var mayHedgeDial: Bool

    package init(isHealthy: Bool, mayHedgeDial: Bool = false) {
        self.isHealthy = isHealthy
        self.mayHedgeDial = mayHedgeDial
    }
}

/// Which of several paths that can serve a destination is taken, before round trips are compared: the lowest.
package enum PathPreference: Int, Comparable, Sendable {
    case first
    /// It leads over another process, which costs more.
    case second
    /// The other end is about to stop. It still serves what has no other way.
    case last

    package static func < (left: PathPreference, right: PathPreference) -> Bool { left.rawValue < right.rawValue }
}

/// What the choice knows of one path.
struct Path: Sendable {
    /// How well a path serves a destination, the best first.
    enum Fitness: Int, Comparable, Sendable {
        case fit
        /// Its target is down, says the other end: it answers at once if that is still so.
        case unhealthy
        /// The other end may not answer at all.
        case suspect
        /// The other end does not offer it.
        case unoffered

        static func < (left: Fitness, right: Fitness) -> Bool { left.rawValue < right.rawValue }
    }

    /// Decides between paths that are equally good; random, so that a fleet spreads.
    let rank: UInt64
    var preference: PathPreference
    /// A link carries the session now.
    var isLinked = true
    /// The other end takes no new streams.
    var isDraining = false
    /// Two heartbeats went unanswered.
    var isHeartbeatLate = false
    /// Since when OPENs go unanswered, nil while they do not.
    private(set) var unansweredSince: Moment?
    private(set) var missedInARow = 0
    /// The smoothed round trip of the link, nil until known.
    var roundTrip: Duration?
    /// The smoothed time from OPEN to ACCEPTED, nil until measured.
    private(set) var acceptTime: Duration?
    /// What the other end offers; nil until it has said so.
    var offers: [Destination: Offer]?

    /// How many missing ACCEPTED in a row make a path suspect.
    private static let missesForSuspicion = 3

    init(rank: UInt64, preference: PathPreference = .first) {
        self.rank = rank
        self.preference = preference
    }

    var isSuspect: Bool { self.isHeartbeatLate || self.unansweredSince != nil }

    /// Whether new streams may go there at all.
    var isUsable: Bool { self.isLinked && !self.isDraining }

    /// Whether they should go there.
    var isWell: Bool { self.isUsable && !self.isSuspect }

    func fitness(for destination: Destination) -> Fitness {
        guard let offers = self.offers else { return self.isSuspect ? .suspect : .fit }
        guard let offer = offers[destination] else { return .unoffered }
        if self.isSuspect { return .suspect }
        return offer.isHealthy ? .fit : .unhealthy
    }

    func mayHedgeDial(_ destination: Destination) -> Bool { self.offers?[destination]?.mayHedgeDial ?? false }

    /// How long to wait for ACCEPTED before the same is asked for elsewhere.
    var acceptPatience: Duration { Patience.after(self.acceptTime ?? self.roundTrip, unknown: .milliseconds(250)) }

    /// An OPEN was answered after this long; nil when a broken link was in between.
    mutating func accepted(after time: Duration?) {
        self.missedInARow = 0
        self.unansweredSince = nil
        if let time { self.acceptTime = Patience.smoothed(self.acceptTime, time) }
    }

    /// An OPEN was not answered in time. True when this makes the path suspect.
    mutating func missed(now: Moment) -> Bool {
        self.missedInARow += 1
        guard self.missedInARow >= Self.missesForSuspicion, self.unansweredSince == nil else { return false }
        self.unansweredSince = now
        return true
    }

    /// A PING that was sent at `moment` was answered: an older suspicion is unfounded.
    mutating func answeredPing(sentAt moment: Moment) {
        guard let since = self.unansweredSince, moment >= since else { return }
        self.unansweredSince = nil
        self.missedInARow = 0
    }

    /// Another link carries it.
    mutating func relinked() {
        self.isLinked = true
        self.isHeartbeatLate = false
        self.unansweredSince = nil
        self.missedInARow = 0
    }
}

/// How long to wait before something is tried a second time: three times what it usually takes, from 50 ms to 1 s.
enum Patience {
    static func after(_ usual: Duration?, unknown: Duration) -> Duration {
        guard let usual else { return unknown }
        return min(max(usual * 3, .milliseconds(50)), .seconds(1))
    }

    /// The weights of RFC 6298.
    static func smoothed(_ old: Duration?, _ sample: Duration) -> Duration { old.map { ($0 * 7 + sample) / 8 } ?? sample }
}
