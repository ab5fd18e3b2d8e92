import Timing
import TunnelWire

@testable import TunnelSession

/// Simulated servers and local connections around a `HedgedOpener`, from one seed, with every promise checked at every
/// step. What goes wrong is collected in `faults`.
struct OpenerWorld {
    /// What a server does with an OPEN.
    private struct Server {
        var isLinked = true
        var isStopped = false
        var acceptDelay: Duration
        var dialDelay: Duration
        /// Of a hundred OPENs, how many are refused.
        var refusals: Int
    }

    /// One OPEN at one server, and what it will answer.
    private struct Asked {
        var acceptAt: Moment
        var endAt: Moment
        var isAccepted = false
        var isRefused: Bool
    }

    private struct Key: Hashable, Comparable {
        var opening: UInt64
        var path: UInt64

        static func < (left: Key, right: Key) -> Bool { (left.opening, left.path) < (right.opening, right.path) }
    }

    private var rng: SplitMix64
    private var opener = HedgedOpener()
    private(set) var now = Moment(nanoseconds: 5_000_000_000)
    private var servers: [UInt64: Server] = [:]
    private var nextPath: UInt64 = 1
    private var asked: [Key: Asked] = [:]
    private var everAsked: Set<Key> = []
    private var born: [UInt64: Moment] = [:]
    private var ended: Set<UInt64> = []
    private var openCount = 0
    private var failures = 0
    private(set) var dialHedges = 0
    private(set) var wins = 0
    private(set) var faults: [String] = []
    private let mayHedgeDial: Bool
    /// One server is never harmed and refuses nothing.
    private let hasGoodServer: Bool

    init(seed: UInt64) {
        self.rng = SplitMix64(seed: seed)
        self.mayHedgeDial = self.rng.chance(50)
        self.hasGoodServer = self.rng.chance(50)
        for index in 0..<self.rng.int(1...4) { self.addServer(isGood: index == 0 && self.hasGoodServer) }
    }

    // MARK: Running

    /// Lets it all happen for some simulated seconds, then heals everything and waits for every answer.
    mutating func run() {
        for _ in 0..<self.rng.int(20...200) { self.step() }
        for id in self.servers.keys.sorted() { self.heal(id) }
        for _ in 0..<1_200 where self.opener.pending > 0 { self.advance(.milliseconds(10)) }
        self.check(self.opener.pending == 0 && self.ended.count == self.born.count, "streams were left unanswered")
        self.check(self.opener.held == 0, "\(self.opener.held) are held at the end")
        self.check(self.asked.isEmpty, "\(self.asked.count) requests were left behind")
        self.check(self.dialHedges * 20 <= self.openCount, "\(self.dialHedges) dial hedges for \(self.openCount) streams")
        if self.hasGoodServer { self.check(self.failures == 0, "\(self.failures) failed although a server was well") }
    }

    private mutating func step() {
        switch self.rng.int(0...19) {
        case 0...7: self.openOne()
        case 8: self.abandonOne()
        case 9: self.harm()
        case 10: self.relink()
        case 11: self.endOrBegin()
        case 12: self.gossip()
        default: break
        }
        self.advance(self.rng.microseconds(self.rng.chance(10) ? 0...2_000_000 : 0...30_000))
    }

    /// Moves the clock in small steps, so that answers come at their time.
    private mutating func advance(_ span: Duration) {
        let end = self.now + span
        while self.now < end {
            var next = end
            if let timer = self.opener.nextTimer { next = min(next, max(timer, self.now)) }
            for key in self.asked.keys.sorted() where self.answers(key.path) {
                guard let ask = self.asked[key] else { continue }
                next = min(next, max(self.now, ask.isAccepted ? ask.endAt : ask.acceptAt))
            }
            self.now = next
            self.answer()
            self.opener.onTimer(now: self.now)
            self.obey()
            self.check(self.opener.nextTimer.map { $0 > self.now } ?? true, "the timer does not move on")
            if !self.faults.isEmpty { return }
        }
    }

    // MARK: What happens

    private mutating func openOne() {
        let id = self.opener.open(.service("apiserver"), now: self.now)
        self.born[id.rawValue] = self.now
        self.openCount += 1
        self.obey()
    }

    private mutating func abandonOne() {
        let alive = self.born.keys.filter { !self.ended.contains($0) }.sorted()
        guard !alive.isEmpty else { return }
        let id = self.rng.pick(alive)
        self.ended.insert(id)
        self.opener.abandon(OpeningID(rawValue: id))
        self.obey()
    }

    private mutating func harm() {
        guard let id = self.victim() else { return }
        if self.rng.chance(50) {
            self.servers[id]?.isStopped = true
        } else {
            self.servers[id]?.isLinked = false
            self.opener.pathLost(PathID(id), now: self.now)
            self.obey()
        }
    }

    private mutating func relink() {
        guard let id = self.servers.keys.sorted().first(where: { self.servers[$0]?.isLinked == false }) else { return }
        self.heal(id)
    }

    private mutating func heal(_ id: UInt64) {
        self.servers[id]?.isStopped = false
        if self.servers[id]?.isLinked == false {
            self.servers[id]?.isLinked = true
            self.opener.pathLinked(PathID(id), now: self.now)
        }
        self.opener.path(PathID(id), drains: false, now: self.now)
        self.obey()
    }

    private mutating func endOrBegin() {
        if self.rng.chance(50), let id = self.victim() {
            self.servers[id] = nil
            self.asked = self.asked.filter { $0.key.path != id }
            self.opener.pathEnded(PathID(id), now: self.now)
        } else if self.servers.count < 5 {
            self.addServer(isGood: false)
        }
        self.obey()
    }

    private mutating func gossip() {
        guard let id = self.victim() else { return }
        switch self.rng.int(0...2) {
        case 0: self.opener.path(PathID(id), drains: self.rng.chance(50), now: self.now)
        case 1: self.opener.path(PathID(id), offers: self.offers(isHealthy: self.rng.chance(50)), now: self.now)
        default:
            let sent = self.rng.chance(50) ? self.now : nil
            self.opener.path(
                PathID(id), roundTrip: self.rng.microseconds(100...90_000), isLate: self.rng.chance(30), answeredPing: sent,
                now: self.now)
        }
        self.obey()
    }

    /// A server that may be harmed.
    private mutating func victim() -> UInt64? {
        let ids = self.servers.keys.sorted().filter { !(self.hasGoodServer && $0 == 1) }
        return ids.isEmpty ? nil : self.rng.pick(ids)
    }

    private mutating func addServer(isGood: Bool) {
        let id = self.nextPath
        self.nextPath += 1
        self.servers[id] = Server(
            acceptDelay: self.rng.microseconds(100...(isGood ? 20_000 : 90_000)),
            dialDelay: self.rng.microseconds(100...(isGood ? 300_000 : 2_000_000)),
            refusals: isGood ? 0 : self.rng.pick([0, 0, 20, 90]))
        self.opener.pathBegan(PathID(id), rank: self.rng.next(), now: self.now)
        self.opener.path(PathID(id), offers: self.offers(isHealthy: true), now: self.now)
    }

    private func offers(isHealthy: Bool) -> [Destination: Offer] {
        [.service("apiserver"): Offer(isHealthy: isHealthy, mayHedgeDial: self.mayHedgeDial)]
    }

    // MARK: Answers

    private func answers(_ path: UInt64) -> Bool { self.servers[path].map { $0.isLinked && !$0.isStopped } ?? false }

    private mutating func answer() {
        for key in self.asked.keys.sorted() where self.answers(key.path) {
            guard var ask = self.asked[key] else { continue }
            let (id, path) = (OpeningID(rawValue: key.opening), PathID(key.path))
            if !ask.isAccepted, ask.acceptAt <= self.now {
                ask.isAccepted = true
                self.asked[key] = ask
                self.opener.accepted(id, by: path, now: self.now)
            }
            if ask.isAccepted, ask.endAt <= self.now {
                if ask.isRefused {
                    self.asked[key] = nil
                    self.opener.refused(id, by: path, Refusal(.connectionRefused, "test"), now: self.now)
                } else {
                    self.opener.opened(id, by: path, now: self.now)
                }
            }
            self.obey()
        }
    }

    /// Does what the opener wants and checks that it may.
    private mutating func obey() {
        while let action = self.opener.nextAction() {
            switch action {
            case .open(let id, let path, let reason): self.ask(Key(opening: id.rawValue, path: path.rawValue), reason)
            case .cancel(let id, let path):
                let key = Key(opening: id.rawValue, path: path.rawValue)
                let isGone = self.servers[path.rawValue] == nil
                self.check(self.asked.removeValue(forKey: key) != nil || isGone, "withdrew what was not asked: \(key)")
            case .win(let id, let path):
                let ask = self.asked.removeValue(forKey: Key(opening: id.rawValue, path: path.rawValue))
                self.check(ask.map { $0.isAccepted && !$0.isRefused && $0.endAt <= self.now } ?? false, "won without OPENED")
                self.wins += 1
                self.end(id.rawValue)
            case .fail(let id, _):
                self.failures += 1
                self.end(id.rawValue)
            case .probe: break
            }
        }
    }

    private mutating func ask(_ key: Key, _ reason: AttemptReason) {
        self.check(!self.ended.contains(key.opening), "asked for a stream that is answered: \(key)")
        self.check(self.everAsked.insert(key).inserted, "asked twice at one server: \(key)")
        self.check(self.servers[key.path]?.isLinked ?? false, "asked where no link is: \(key)")
        if reason == .dialHedge { self.dialHedges += 1 }
        guard let server = self.servers[key.path] else { return }
        let acceptAt = self.now + server.acceptDelay
        self.asked[key] = Asked(
            acceptAt: acceptAt, endAt: acceptAt + server.dialDelay, isRefused: self.rng.chance(server.refusals))
    }

    private mutating func end(_ id: UInt64) {
        self.check(self.ended.insert(id).inserted, "stream \(id) was answered twice")
        self.check(!self.asked.keys.contains { $0.opening == id }, "stream \(id) ended, but is still asked for")
        let age = self.now - (self.born[id] ?? self.now)
        self.check(age <= .milliseconds(10_001), "stream \(id) was answered after \(age)")
    }

    private mutating func check(_ holds: Bool, _ fault: String) {
        if !holds, self.faults.count < 5 { self.faults.append("at \(self.now.nanoseconds / 1_000_000) ms: \(fault)") }
    }
}
