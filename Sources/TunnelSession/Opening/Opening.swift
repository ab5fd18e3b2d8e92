import Timing
import TunnelWire

/// One local connection on its way to becoming a stream.
package struct OpeningID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    package static func < (left: OpeningID, right: OpeningID) -> Bool { left.rawValue < right.rawValue }
}

/// Why a stream is asked for at a path.
package enum AttemptReason: Equatable, Sendable {
    case first
    /// No ACCEPTED came in time from where it was tried before.
    case acceptHedge
    /// It was accepted, but the dial takes long.
    case dialHedge
    /// It was refused, or the link broke.
    case failover
    /// The connection was held until a session was up.
    case held
}

/// One OPEN, sent by one path.
struct Attempt: Sendable {
    /// How far it has come.
    ///
    /// ```
    /// opening → accepted → (opened: the opening is over)
    /// ```
    enum Phase: Equatable, Sendable {
        /// Can transition to: accepted.
        case opening
        /// The other end dials. Final; OPENED or REFUSED ends the attempt.
        case accepted(at: Moment)
    }

    let path: PathID
    let reason: AttemptReason
    let since: Moment
    var phase = Phase.opening
    /// When the same is to be tried elsewhere; nil when that was done or is not wanted.
    var patienceEnds: Moment?
    /// The link broke meanwhile: what it took says nothing about the path.
    var wasInterrupted = false
}

/// An opening as it stands: at most one attempt for each path.
struct Opening: Sendable {
    let destination: Destination
    let since: Moment
    var attempts: [Attempt] = []
    /// Where it was tried, the first one first.
    var tried: [PathID] = []
    /// What to tell if nothing comes of it.
    var refusal: Refusal?
    /// Since when there is nowhere to ask.
    var heldSince: Moment?
    /// A second attempt is due as soon as there is a path for it.
    var wantsHedge = false

    /// The longest an opening may take, and the longest part of it without any link.
    static let limit = Duration.seconds(10)
    static let holdLimit = Duration.seconds(5)

    var deadline: Moment { self.since + Self.limit }

    /// When time alone changes something next.
    var due: Moment {
        var due = self.deadline
        if let held = self.heldSince { due = min(due, held + Self.holdLimit) }
        for attempt in self.attempts {
            if let end = attempt.patienceEnds { due = min(due, end) }
        }
        return due
    }

    /// The first refusal tells most, unless it only said that another place should be asked.
    mutating func note(_ refusal: Refusal) {
        guard let known = self.refusal, known.code != .draining, known.code != .busy, known.code != .notHere else {
            self.refusal = refusal
            return
        }
    }
}
