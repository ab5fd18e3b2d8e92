import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// SplitMix64: the same numbers for the same seed.
struct MembershipRandom: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { self.state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

func moment(_ milliseconds: Int) -> Moment { Moment(nanoseconds: Int64(milliseconds) * 1_000_000) }

/// The number stands for the member's disk and process.
func memberIdentity(_ name: ServerName, life: UInt64 = 1) -> PeerIdentity {
    PeerIdentity(name: name, id: WireID(high: 1, low: life), instance: WireID(high: 2, low: life))
}

func memberNews(
    _ name: ServerName, _ status: MemberUpdate.Status = .alive, generation: UInt64 = 1, counter: UInt64 = 0, life: UInt64 = 1
) -> MemberUpdate {
    let who = memberIdentity(name, life: life)
    return MemberUpdate(
        name: name, incarnation: Incarnation(generation: generation, counter: counter), status: status,
        addresses: [PeerAddress(host: "\(name).example", port: 17_000)], id: who.id, instance: who.instance)
}

/// One membership and a script of what happens to it; times are milliseconds since its start.
struct MembershipScript {
    var membership: Membership
    var rng = MembershipRandom(seed: 7)
    /// What it did since `take` was last called.
    private var done: [MembershipAction] = []
    /// When its driver last looked at the clock.
    private(set) var now = 0

    init(_ name: ServerName = "a", life: UInt64 = 1, generation: UInt64 = 1) {
        let who = memberIdentity(name, life: life)
        self.membership = Membership(
            own: name, addresses: [PeerAddress(host: "\(name).example", port: 17_000)], id: who.id, instance: who.instance,
            incarnation: Incarnation(generation: generation), now: moment(0))
    }

    /// With these members linked and known since the start.
    init(_ name: ServerName = "a", with others: [ServerName]) {
        self.init(name)
        for other in others {
            self.link(other)
            self.hear(.sync(members: [memberNews(other)], wantsAnswer: false), from: other)
        }
        _ = self.take()
    }

    /// Lets time pass, every timer on its time.
    mutating func run(to end: Int) {
        while let deadline = self.membership.deadline, deadline <= moment(end) {
            self.done += self.membership.onTimer(now: deadline, rng: &self.rng)
        }
        self.now = end
    }

    /// Lets time pass without a timer: the process stands still.
    mutating func sleep(to end: Int) { self.now = end }

    mutating func timer() { self.done += self.membership.onTimer(now: moment(self.now), rng: &self.rng) }

    mutating func link(_ name: ServerName, life: UInt64 = 1) {
        self.done += self.membership.linked(memberIdentity(name, life: life), now: moment(self.now), rng: &self.rng)
    }

    mutating func unlink(_ name: ServerName, _ ending: LinkEnding) {
        self.done += self.membership.unlinked(name, ending, now: moment(self.now), rng: &self.rng)
    }

    mutating func refuse(_ name: ServerName) {
        self.done += self.membership.dialRefused(name, now: moment(self.now), rng: &self.rng)
    }

    mutating func hear(_ message: MembershipMessage, from name: ServerName) {
        self.done += self.membership.received(message, from: name, now: moment(self.now), rng: &self.rng)
    }

    mutating func hear(_ update: MemberUpdate, from name: ServerName) { self.hear(.gossip(updates: [update]), from: name) }

    mutating func leave() { self.done += self.membership.leave(now: moment(self.now)) }

    mutating func restart(until end: Int) { self.done += self.membership.restarting(until: moment(end), now: moment(self.now)) }

    mutating func take() -> [MembershipAction] {
        defer { self.done = [] }
        return self.done
    }

    func state(_ name: ServerName) -> MemberView.State? { self.membership.state(of: name) }
}

extension [MembershipAction] {
    func sent(to name: ServerName) -> [MembershipMessage] {
        self.compactMap { action in
            guard case .send(let message, name) = action else { return nil }
            return message
        }
    }

    /// The last thing that this member was told of another.
    func told(_ name: ServerName, of member: ServerName) -> MemberUpdate? {
        self.sent(to: name).flatMap(\.updates).last { $0.name == member }
    }

    func pings(to name: ServerName) -> [UInt64] {
        self.sent(to: name).compactMap { message in
            guard case .ping(let sequence, _) = message else { return nil }
            return sequence
        }
    }

    /// Who was asked to ping this member, and the sequence.
    func requests(about member: ServerName) -> [ServerName: UInt64] {
        var requests: [ServerName: UInt64] = [:]
        for case .send(.pingRequest(let sequence, member, _), to: let name) in self { requests[name] = sequence }
        return requests
    }

    /// What it answered for others, without the news that ride along.
    func answers(to name: ServerName) -> [MembershipMessage] {
        self.sent(to: name).compactMap { message in
            switch message {
            case .indirectAck(let sequence, let target, _): .indirectAck(sequence: sequence, target: target, updates: [])
            case .indirectNack(let sequence, let target, let hasLink, _):
                .indirectNack(sequence: sequence, target: target, hasLink: hasLink, updates: [])
            default: nil
            }
        }
    }

    var changes: [MemberView] {
        self.compactMap { action in
            guard case .changed(let view) = action else { return nil }
            return view
        }
    }
}
