import NIOCore
import Timing
import TunnelWire

@testable import TunnelSession

/// What the schedules went through in all, so that a run can say what it has shown.
struct FreezeTally: CustomStringConvertible {
    var schedules = 0
    var freezes = 0
    /// Both ends were away at the same time.
    var together = 0
    /// Frozen with a link, with bytes that were fed and not decoded, and inside a frame.
    var attached = 0
    var undecoded = 0
    var incomplete = 0
    /// What was in the files: streams, streams that were not open, frames to be repeated, bytes not sent, bytes of files.
    var streams = 0
    var unopened = 0
    var replayed = 0
    var queued = 0
    var files = 0
    var cuts = 0
    var bytes = 0
    var steps = 0

    var description: String {
        "\(self.schedules) schedules, \(self.freezes) freezes (\(self.together) of both ends at once, \(self.attached) with a link, "
            + "\(self.undecoded) with bytes fed and not decoded, \(self.incomplete) inside a frame) of \(self.streams) streams "
            + "(\(self.unopened) not open yet), \(self.replayed) frames to repeat and \(self.queued) bytes not sent, "
            + "in files of \(self.files) bytes; \(self.cuts) cuts, \(self.bytes) bytes delivered, \(self.steps) steps"
    }

    static func += (left: inout FreezeTally, right: FreezeTally) {
        for field in [
            \FreezeTally.schedules, \.freezes, \.together, \.attached, \.undecoded, \.incomplete, \.streams, \.unopened,
            \.replayed, \.queued, \.files, \.cuts, \.bytes, \.steps,
        ] { left[keyPath: field] += right[keyPath: field] }
    }
}

/// Two sessions and their programs as in ``SimulatedPair``, but their processes are replaced: at random moments an end, or
/// both, is frozen into the bytes of a handoff, is away for a while, and goes on from those bytes alone.
///
/// Everything follows from the seed. `run` throws ``Broken`` at the first thing that must not happen.
final class FreezeWorld {
    let dialer: SimulatedEnd
    let acceptor: SimulatedEnd
    let plan: SimulationPlan
    var tally = FreezeTally(schedules: 1)
    var random: SplitMix64
    var now = Moment(nanoseconds: 0)
    var link: SimulatedLink?
    /// The ends that are away, and what is left of them.
    var away: [SessionSide: FrozenEnd] = [:]
    var freezesLeft: Int
    /// Spoils a frozen session, once.
    var sabotage: Sabotage?
    private var cutsLeft: Int
    private var dialAt: Moment?
    /// The acceptor has attached the new link, the dialer will when WELCOME arrives.
    private var welcome: (at: Moment, acceptorReceived: UInt64)?
    private var hasProgress = false
    /// What the programs have got done, and the step at which they did the last of it.
    private var progress: (done: Int, step: Int) = (0, 0)

    /// Steps without any after which a schedule stands still: a second on its clock, or more.
    private static let mostIdleSteps = 4_000

    init(seed: UInt64, sabotage: Sabotage? = nil) {
        var random = SplitMix64(seed: seed ^ 0xF0_2E)
        var plan = SimulationPlan(random: &random)
        plan.cuts /= 4
        let opens = random.int(0...plan.opens)
        self.plan = plan
        self.dialer = SimulatedEnd(side: .dialer, plan: plan, opens: opens, random: SplitMix64(seed: random.next()))
        self.acceptor = SimulatedEnd(
            side: .acceptor, plan: plan, opens: plan.opens - opens, random: SplitMix64(seed: random.next()))
        self.cutsLeft = plan.cuts
        self.freezesLeft = random.int(1...8)
        self.sabotage = sabotage
        self.random = random
        self.dialAt = self.now
    }

    var ends: [SimulatedEnd] { [self.dialer, self.acceptor] }

    func peer(of end: SimulatedEnd) -> SimulatedEnd { end === self.dialer ? self.acceptor : self.dialer }

    func run() throws {
        while !(self.dialer.isQuiet && self.acceptor.isQuiet) { try self.step() }
        self.cutsLeft = 0
        self.freezesLeft = 0
        while !self.isSettled { try self.step() }
        try self.checkNothingIsLeft()
        self.tally.bytes = self.ends.flatMap { $0.streams.values }.reduce(0) { $0 + $1.received }
    }

    /// Nothing is under way or unacknowledged any more.
    private var isSettled: Bool {
        guard self.away.isEmpty, let link = self.link, !link.isCut, link.up.inFlight == 0, link.down.inFlight == 0 else {
            return false
        }
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
        try self.thawWhoIsDue()
        try self.freezeSomebody()
        try self.dialOrAttach()
        self.breakLink()
        for end in self.ends { try self.deliver(to: end) }
        for end in self.ends where self.away[end.side] == nil {
            try self.fireTimer(end)
            self.squeezeMemory(end)
            try end.act(peer: self.peer(of: end), now: self.now)
            try self.pump(end)
        }
        if self.tally.steps % 16 == 0 { try self.checkInvariants() }
    }

    /// A little time passes; when nothing moved, all of it until something is due.
    private func passTime() {
        self.now = self.now + self.random.microseconds(0...self.random.pick([10, 300, 1_500]))
        guard !self.hasProgress, self.random.chance(70) else { return }
        let next =
            self.ends.map(\.session.nextTimer) + self.away.values.map(\.until)
            + [self.dialAt, self.welcome?.at, self.link?.up.nextArrival, self.link?.down.nextArrival]
        if let soonest = next.compactMap({ $0 }).filter({ $0 > self.now }).min(), soonest - self.now < .milliseconds(100) {
            self.now = soonest
        }
    }

    private func thawWhoIsDue() throws {
        for end in self.ends {
            guard let frozen = self.away[end.side], self.now >= frozen.until else { continue }
            self.away[end.side] = nil
            try self.thaw(end, from: frozen)
            self.hasProgress = true
            if end.side == .dialer { self.dialLater() }
            try self.checkInvariants()
        }
    }

    private func freezeSomebody() throws {
        guard self.freezesLeft > 0, self.random.chance(2) else { return }
        let isTogether = self.random.chance(20)
        let first = self.random.pick(self.ends)
        for end in isTogether ? self.ends : [first] where self.away[end.side] == nil {
            self.freezesLeft -= 1
            try self.freeze(end)
            self.hasProgress = true
            // A handshake that was under way fails, whoever's it was.
            if self.welcome != nil || end.side == .dialer { self.dialAt = nil }
            if self.welcome != nil, end.side == .acceptor { self.dialLater() }
            self.welcome = nil
        }
    }

    private func dialOrAttach() throws {
        if let welcome = self.welcome, self.now >= welcome.at {
            self.welcome = nil
            try self.dialer.session.attach(peerReceived: welcome.acceptorReceived, now: self.now)
        } else if let dialAt = self.dialAt, self.now >= dialAt {
            guard self.away.isEmpty else { return self.dialLater() }
            self.dialAt = nil
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
        self.tally.cuts += 1
        self.cutsLeft -= 1
        if self.welcome != nil {
            self.welcome = nil
            self.dialLater()
        }
    }

    private func dialLater() { self.dialAt = self.now + self.random.microseconds(0...self.random.pick([200, 5_000])) }

    // MARK: Bytes

    private func deliver(to end: SimulatedEnd) throws {
        for _ in 0..<self.random.int(1...5) {
            guard end.session.isAttached else { return }
            if let bytes = self.link?.read(to: end.side, random: &self.random, now: self.now) {
                self.hasProgress = true
                end.session.feed(bytes, now: self.now)
                while let event = try end.session.nextEvent(now: self.now) {
                    try end.handle(event, peer: self.peer(of: end), now: self.now)
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
        case .linkSilent: self.loseLink(end)
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
        while let id = end.session.nextHungry() { end.streams[id]?.isReadPending = true }
    }

    private func squeezeMemory(_ end: SimulatedEnd) {
        if self.plan.isShortOfMemory, self.random.chance(5) {
            end.session.pressure = self.random.pick([.none, .none, .busy, .exhausted])
        }
        guard self.plan.drains, end.side == .acceptor, self.random.chance(2) else { return }
        if end.session.isDraining { end.session.undrain() } else { end.session.drain(deadline: .seconds(1), reason: "test") }
    }

    private func checkProgress() throws {
        var done = 0
        for end in self.ends {
            done -= end.opensLeft
            for stream in end.streams.values {
                done += stream.received + stream.sent - stream.unconsumed + (stream.isOver ? 1 : 0)
            }
        }
        if done != self.progress.done { self.progress = (done, self.tally.steps) }
        guard self.tally.steps - self.progress.step < Self.mostIdleSteps else {
            throw Broken("it stands still: \(self.dialer.live) \(self.acceptor.live)")
        }
    }
}
