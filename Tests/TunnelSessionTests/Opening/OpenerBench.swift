import Timing
import TunnelWire

@testable import TunnelSession

/// An opener with a clock and a list of what it asked for, for tests that read like a script.
struct OpenerBench {
    var opener = HedgedOpener()
    var now = Moment(nanoseconds: 1_000_000_000)
    static let service = Destination.service("apiserver")

    /// What the opener wants done, in words: `open 1 by 2 (first)`, `cancel 1 by 2`, `win 1 by 2`, `fail 1 busy`, `probe 2`.
    mutating func actions() -> [String] {
        var words: [String] = []
        while let action = self.opener.nextAction() { words.append(Self.words(for: action)) }
        return words
    }

    private static func words(for action: HedgedOpener.Action) -> String {
        switch action {
        case .open(let id, let path, let reason): "open \(id.rawValue) by \(path.rawValue) (\(reason))"
        case .cancel(let id, let path): "cancel \(id.rawValue) by \(path.rawValue)"
        case .win(let id, let path): "win \(id.rawValue) by \(path.rawValue)"
        case .fail(let id, let refusal): "fail \(id.rawValue) \(refusal.code.label)"
        case .probe(let path): "probe \(path.rawValue)"
        }
    }

    mutating func open(_ destination: Destination = Self.service) -> [String] {
        _ = self.opener.open(destination, now: self.now)
        return self.actions()
    }

    /// A path with the service healthy and a known round trip.
    mutating func begin(
        _ path: UInt64, healthy: Bool = true, hedgeDial: Bool = false, roundTrip: Duration = .milliseconds(1), rank: UInt64? = nil
    ) -> [String] {
        self.opener.pathBegan(PathID(path), rank: rank ?? path, now: self.now)
        self.opener.path(
            PathID(path), offers: [Self.service: Offer(isHealthy: healthy, mayHedgeDial: hedgeDial)], now: self.now)
        self.beat(path, roundTrip: roundTrip)
        return self.actions()
    }

    mutating func beat(_ path: UInt64, roundTrip: Duration = .milliseconds(1), isLate: Bool = false, answered: Moment? = nil) {
        self.opener.path(PathID(path), roundTrip: roundTrip, isLate: isLate, answeredPing: answered, now: self.now)
    }

    mutating func offer(_ path: UInt64, healthy: Bool) -> [String] {
        self.opener.path(PathID(path), offers: [Self.service: Offer(isHealthy: healthy)], now: self.now)
        return self.actions()
    }

    mutating func accepted(_ id: UInt64, by path: UInt64) -> [String] {
        self.opener.accepted(OpeningID(rawValue: id), by: PathID(path), now: self.now)
        return self.actions()
    }

    mutating func opened(_ id: UInt64, by path: UInt64) -> [String] {
        self.opener.opened(OpeningID(rawValue: id), by: PathID(path), now: self.now)
        return self.actions()
    }

    mutating func refused(_ id: UInt64, by path: UInt64, _ code: RefusalCode = .connectionRefused) -> [String] {
        self.opener.refused(OpeningID(rawValue: id), by: PathID(path), Refusal(code, "test"), now: self.now)
        return self.actions()
    }

    mutating func lost(_ path: UInt64) -> [String] {
        self.opener.pathLost(PathID(path), now: self.now)
        return self.actions()
    }

    mutating func linked(_ path: UInt64) -> [String] {
        self.opener.pathLinked(PathID(path), now: self.now)
        return self.actions()
    }

    mutating func ended(_ path: UInt64) -> [String] {
        self.opener.pathEnded(PathID(path), now: self.now)
        return self.actions()
    }

    mutating func drains(_ path: UInt64, _ drains: Bool = true) -> [String] {
        self.opener.path(PathID(path), drains: drains, now: self.now)
        return self.actions()
    }

    mutating func pass(_ span: Duration) -> [String] {
        self.now = self.now + span
        self.opener.onTimer(now: self.now)
        return self.actions()
    }
}
