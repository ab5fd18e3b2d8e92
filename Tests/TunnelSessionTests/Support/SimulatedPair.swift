import NIOCore
import Timing
import TunnelWire

@testable import TunnelSession

/// What the schedules went through in all, so that a run can say what it has shown.
struct SimulationTally: CustomStringConvertible {
    var schedules = 0
    var cuts: [Cut: Int] = [:]
    var halfHandshakes = 0
    var silences = 0
    var streams = 0
    var bytes = 0
    var resumes = 0
    var replayed: UInt64 = 0
    var steps = 0

    var allCuts: Int { self.cuts.values.reduce(0, +) }

    var description: String {
        let kinds = Cut.allCases.map { "\(self.cuts[$0] ?? 0) \($0)" }.joined(separator: ", ")
        return "\(self.schedules) schedules, \(self.allCuts) cuts (\(kinds); \(self.halfHandshakes) of them inside a handshake), "
            + "\(self.streams) streams, \(self.bytes) bytes, \(self.resumes) resumes of an end, \(self.replayed) bytes sent again, "
            + "\(self.silences) silent links found, \(self.steps) steps"
    }

    static func += (left: inout SimulationTally, right: SimulationTally) {
        left.schedules += right.schedules
        left.cuts.merge(right.cuts) { $0 + $1 }
        left.halfHandshakes += right.halfHandshakes
        left.silences += right.silences
        left.streams += right.streams
        left.bytes += right.bytes
        left.resumes += right.resumes
        left.replayed += right.replayed
        left.steps += right.steps
    }
}

/// Two sessions, a dialer's and an acceptor's, on a simulated clock over simulated links that break at any byte.
///
/// Everything follows from the seed. `run` throws ``Broken`` at the first thing that must not happen.
final class SimulatedPair {
    let dialer: SimulatedEnd
    let acceptor: SimulatedEnd
    let plan: SimulationPlan
    private(set) var tally = SimulationTally(schedules: 1)
    private var random: SplitMix64
    private var now = Moment(nanoseconds: 0)
    private var link: SimulatedLink?
    private var cutsLeft: Int
    private var dialAt: Moment?
    /// The acceptor has attached the new link, the dialer will when WELCOME arrives.
    private var welcome: (at: Moment, acceptorReceived: UInt64)?
    private var hasProgress = false

    /// Bytes received for the first time, at both ends, and the step at which the last of them came.
    private var progress: (received: UInt64, step: Int) = (0, 0)

    /// Steps without a new byte after which a schedule stands still: seconds on its clock.
    private static let mostIdleSteps = 10_000

    init(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let plan = SimulationPlan(random: &random)
        let opens = random.int(0...plan.opens)
        self.plan = plan
        self.dialer = SimulatedEnd(side: .dialer, plan: plan, opens: opens, random: SplitMix64(seed: random.next()))
        self.acceptor = SimulatedEnd(
            side: .acceptor, plan: plan, opens: plan.opens - opens, random: SplitMix64(seed: random.next()))
        self.cutsLeft = plan.cuts
        self.random = random
        self.dialAt = self.now
    }

    private var ends: [SimulatedEnd] { [self.dialer, self.acceptor] }

    func run() throws {
        while !(self.dialer.isQuiet && self.acceptor.isQuiet) { try self.step() }
        self.cutsLeft = 0
        while !self.isSettled { try self.step() }
        try self.checkNothingIsLeft()
        self.countUp()
    }

    /// Nothing is under way or unacknowledged any more.
    private var isSettled: Bool {
        guard let link = self.link, !link.isCut, link.up.inFlight == 0, link.down.inFlight == 0 else { return false }
        return self.ends.allSatisfy {
            $0.session.isAttached && $0.session.replay.unacknowledged == 0 && $0.session.control.isEmpty
        }
    }

    // MARK: One step

    private func step() throws {
        self.tally.steps += 1
        try self.checkProgress()
        self.passTime()
        self.hasProgress = false
        try self.dialOrAttach()
        self.breakLink()
        try self.deliver(to: self.dialer, from: self.acceptor)
        try self.deliver(to: self.acceptor, from: self.dialer)
        for (end, peer) in [(self.dialer, self.acceptor), (self.acceptor, self.dialer)] {
            try self.fireTimer(end)
            self.squeezeMemory(end)
            try end.act(peer: peer, now: self.now)
            try self.pump(end)
        }
        if self.tally.steps % 4 == 0 { try self.checkInvariants() }
    }

    /// A little time passes; when nothing moved, all of it until something is due.
    private func passTime() {
        self.now = self.now + self.random.microseconds(0...self.random.pick([10, 300, 1_500]))
        guard !self.hasProgress, self.random.chance(70) else { return }
        let next = [
            self.dialer.session.nextTimer, self.acceptor.session.nextTimer, self.dialAt, self.welcome?.at,
            self.link?.up.nextArrival, self.link?.down.nextArrival,
        ]
        if let soonest = next.compactMap({ $0 }).filter({ $0 > self.now }).min(), soonest - self.now < .milliseconds(100) {
            self.now = soonest
        }
    }

    private func dialOrAttach() throws {
        if let welcome = self.welcome, self.now >= welcome.at {
            self.welcome = nil
            try self.dialer.session.attach(peerReceived: welcome.acceptorReceived, now: self.now)
        } else if let dialAt = self.dialAt, self.now >= dialAt {
            self.dialAt = nil
            // The dialer's count travels in its HELLO; the acceptor lets go of the old link before it counts itself.
            let dialerReceived = self.dialer.session.received
            self.acceptor.session.detach(now: self.now)
            let acceptorReceived = self.acceptor.session.received
            self.link = SimulatedLink(random: &self.random, now: self.now, mayBreak: self.cutsLeft > 0)
            try self.acceptor.session.attach(peerReceived: dialerReceived, now: self.now)
            self.welcome = (self.now + self.random.microseconds(0...self.random.pick([100, 1_000])), acceptorReceived)
        }
    }

    private func breakLink() {
        guard self.link?.isCutDue(now: self.now) == true else { return }
        self.link?.makeCut(random: &self.random, now: self.now)
        if let cut = self.link?.cut { self.tally.cuts[cut, default: 0] += 1 }
        self.cutsLeft -= 1
        if self.welcome != nil {
            self.welcome = nil
            self.tally.halfHandshakes += 1
            self.dialLater()
        }
    }

    private func dialLater() { self.dialAt = self.now + self.random.microseconds(0...self.random.pick([200, 5_000])) }

    // MARK: Bytes

    private func deliver(to end: SimulatedEnd, from peer: SimulatedEnd) throws {
        for _ in 0..<self.random.int(1...5) {
            guard end.session.isAttached else { return }
            if let bytes = self.link?.read(to: end.side, random: &self.random, now: self.now) {
                self.hasProgress = true
                end.session.feed(bytes, now: self.now)
                while let event = try end.session.nextEvent(now: self.now) {
                    try end.handle(event, peer: peer, now: self.now)
                }
            } else {
                if self.link?.isOver(for: end.side, now: self.now) == true { self.loseLink(end) }
                return
            }
        }
    }

    private func loseLink(_ end: SimulatedEnd) {
        self.hasProgress = true
        end.session.detach(now: self.now)
        self.link?.close(by: end.side, random: &self.random, now: self.now)
        if end.side == .dialer { self.dialLater() }
    }

    private func fireTimer(_ end: SimulatedEnd) throws {
        guard let timer = end.session.nextTimer, timer <= self.now else { return }
        switch end.session.onTimer(now: self.now) {
        case .linkSilent:
            self.tally.silences += 1
            self.loseLink(end)
        case .resumeExpired: throw Broken("the session gave up although the link came back")
        case nil:
            guard end.session.nextTimer.map({ $0 > self.now }) != false else { throw Broken("a timer that is due at once again") }
        }
    }

    private func pump(_ end: SimulatedEnd) throws {
        var writes = self.random.pick([1, 4, 1_000])
        while writes > 0, end.session.isAttached, self.link?.isWritable(by: end.side) == true {
            let sent = end.session.sent
            guard let frame = end.session.nextWrite(now: self.now) else { break }
            try end.check(frame, isNew: end.session.sent != sent)
            self.link?.write(frame, by: end.side, now: self.now)
            if end.random.chance(10) { end.kept.append(frame) }
            writes -= 1
            self.hasProgress = true
        }
        while let id = end.session.nextHungry() {
            guard end.session.isAttached else { throw Broken("a source is read although there is no link") }
            end.streams[id]?.isReadPending = true
        }
    }

    // MARK: Trouble

    private func squeezeMemory(_ end: SimulatedEnd) {
        if self.plan.isShortOfMemory, self.random.chance(5) {
            end.session.pressure = self.random.pick([.none, .none, .busy, .exhausted])
        }
        guard self.plan.drains, end.side == .acceptor, self.random.chance(2) else { return }
        if end.session.isDraining { end.session.undrain() } else { end.session.drain(deadline: .seconds(1), reason: "test") }
    }

    private func checkProgress() throws {
        let received = self.dialer.session.received + self.acceptor.session.received
        if received > self.progress.received { self.progress = (received, self.tally.steps) }
        guard self.tally.steps - self.progress.step < Self.mostIdleSteps else {
            throw Broken("it stands still: \(self.dialer.live) \(self.acceptor.live)")
        }
    }

    private func checkInvariants() throws {
        for (end, peer) in [(self.dialer, self.acceptor), (self.acceptor, self.dialer)] {
            try end.checkInvariants()
            try end.checkCredit(against: peer)
            guard end.session.received <= peer.session.sent else { throw Broken("\(end.side) counts bytes that were not sent") }
        }
    }

    private func checkNothingIsLeft() throws {
        for (end, peer) in [(self.dialer, self.acceptor), (self.acceptor, self.dialer)] {
            try end.checkInvariants()
            try end.checkNothingIsLeft()
            guard end.session.received == peer.session.sent else {
                throw Broken("\(end.side) counts \(end.session.received) bytes of \(peer.session.sent)")
            }
            try end.checkStreams(against: peer)
        }
    }

    private func countUp() {
        for end in self.ends {
            self.tally.streams += end.streams.values.count { $0.isOpenedHere }
            self.tally.bytes += end.streams.values.reduce(0) { $0 + $1.received }
            self.tally.resumes += end.session.resumes
            self.tally.replayed += end.session.replayedBytes
        }
    }
}
