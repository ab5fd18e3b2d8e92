import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// Many servers' memberships in one simulated network: links in order with delays, processes that stand still, are killed and
/// come back, cuts that swallow everything. Everything follows from the seed.
final class MembershipWorld {
    struct Server {
        var membership: Membership
        var life: UInt64
        var generation: UInt64
        var isRunning = true
        /// Its process stands still until then.
        var pausedUntil = moment(0)
        /// How late its timers and its reading may be, in milliseconds.
        var starvation = 0
        var timerAt: Moment?
    }

    enum Happening {
        case timer(life: UInt64)
        case message(MembershipMessage, from: Int, link: Int)
        case linked(peer: Int, link: Int)
        case unlinked(peer: Int, LinkEnding, link: Int)
        case dialled(peer: Int)
        case refused(peer: Int)
        case script(@Sendable (MembershipWorld) -> Void)
    }

    struct Event {
        var time: Moment
        var order: Int
        var server: Int
        var happening: Happening
    }

    /// A way between two servers, counted so that what a broken link still carried is dropped.
    struct Link {
        var number = 0
        var isUp = false
        /// Which ends know that it is up.
        var isCut = false
        var cutAt = moment(0)
        /// In each direction: nothing arrives before what was sent earlier.
        var arrival = [moment(0), moment(0)]
    }

    private(set) var now = moment(0)
    private(set) var servers: [Server] = []
    private var links: [Int: Link] = [:]
    private var queue: [Event] = []
    private var order = 0
    var rng: MembershipRandom
    /// In milliseconds, one way.
    var delay = 0.1...3.0
    /// Of so many messages one is lost once, and comes with TCP's retransmission; 0: none.
    var lossOneIn = 0
    /// Who said when that somebody is dead.
    private(set) var verdicts: [(time: Moment, by: Int, about: Int)] = []
    /// A number that differs when anything differs.
    private(set) var trace: UInt64 = 14_695_981_039_346_656_037
    private(set) var messages = 0

    init(servers count: Int, seed: UInt64) {
        self.rng = MembershipRandom(seed: seed)
        for index in 0..<count { self.servers.append(self.born(index, life: UInt64(index) + 1, generation: 1)) }
        for index in 0..<count {
            self.wake(index)
            for peer in 0..<index { self.at(self.some(0...200)) { $0.dial(from: index, to: peer) } }
        }
        self.redial(after: 400)
    }

    static func name(_ index: Int) -> ServerName { "s\(index)" }

    private func index(_ name: ServerName) -> Int { Int(name.dropFirst()) ?? 0 }

    private func born(_ index: Int, life: UInt64, generation: UInt64) -> Server {
        let who = memberIdentity(Self.name(index), life: life)
        let membership = Membership(
            own: who.name, addresses: [PeerAddress(host: "\(who.name).example", port: 17_000)], id: who.id,
            instance: who.instance,
            incarnation: Incarnation(generation: generation), now: self.now)
        return Server(membership: membership, life: life, generation: generation)
    }

    func some(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &self.rng) }

    func chance(_ oneIn: Int) -> Bool { oneIn > 0 && Int.random(in: 0..<oneIn, using: &self.rng) == 0 }

    // MARK: Time

    /// Has something happen in so many milliseconds.
    func at(_ milliseconds: Double, _ script: @escaping @Sendable (MembershipWorld) -> Void) {
        self.post(self.now + .microseconds(Int(milliseconds * 1_000)), 0, .script(script))
    }

    private func post(_ time: Moment, _ server: Int, _ happening: Happening) {
        self.order += 1
        let event = Event(time: time, order: self.order, server: server, happening: happening)
        var low = 0
        var high = self.queue.count
        // Latest first, so that the next one is taken from the end.
        while low < high {
            let middle = (low + high) / 2
            let other = self.queue[middle]
            if (other.time, other.order) > (time, event.order) { low = middle + 1 } else { high = middle }
        }
        self.queue.insert(event, at: low)
    }

    func run(milliseconds: Int) {
        let end = self.now + .milliseconds(milliseconds)
        while let event = self.queue.last, event.time <= end {
            self.queue.removeLast()
            self.now = event.time
            self.happen(event)
        }
        self.now = end
    }

    private func happen(_ event: Event) {
        if case .script(let script) = event.happening { return script(self) }
        if case .dialled(let peer) = event.happening { return self.arrive(from: peer, at: event.server) }
        let server = self.servers[event.server]
        guard server.isRunning else { return }
        if self.now < server.pausedUntil {
            // What waited is handled in any order of kinds, but each link's in its own.
            var order = server.pausedUntil
            if case .timer = event.happening { order = order + .microseconds(self.chance(2) ? 0 : 400) }
            return self.post(order, event.server, event.happening)
        }
        self.deliver(event.happening, to: event.server)
        self.wake(event.server)
    }

    private func deliver(_ happening: Happening, to index: Int) {
        let actions: [MembershipAction]
        switch happening {
        case .timer(let life):
            guard self.servers[index].life == life else { return }
            self.servers[index].timerAt = nil
            guard let deadline = self.servers[index].membership.deadline, deadline <= self.now else { return }
            actions = self.servers[index].membership.onTimer(now: self.now, rng: &self.rng)
        case .message(let message, let peer, let number):
            guard self.links[self.pair(index, peer)]?.number == number else { return }
            actions = self.servers[index].membership.received(message, from: Self.name(peer), now: self.now, rng: &self.rng)
        case .linked(let peer, let number):
            guard self.links[self.pair(index, peer)]?.number == number else { return }
            let who = memberIdentity(Self.name(peer), life: self.servers[peer].life)
            actions = self.servers[index].membership.linked(who, now: self.now, rng: &self.rng)
        case .unlinked(let peer, let ending, let number):
            guard self.links[self.pair(index, peer)]?.number == number else { return }
            actions = self.servers[index].membership.unlinked(Self.name(peer), ending, now: self.now, rng: &self.rng)
        case .refused(let peer):
            actions = self.servers[index].membership.dialRefused(Self.name(peer), now: self.now, rng: &self.rng)
        case .dialled, .script: return
        }
        for action in actions { self.perform(action, of: index) }
    }

    private func perform(_ action: MembershipAction, of index: Int) {
        switch action {
        case .send(let message, let name): self.send(message, from: index, to: self.index(name))
        case .changed(let view):
            self.mix(UInt64(self.now.nanoseconds) &+ UInt64(index))
            for byte in (view.name + view.state.rawValue).utf8 { self.mix(UInt64(byte)) }
            if view.state == .dead { self.verdicts.append((self.now, index, self.index(view.name))) }
        case .dial(let name): self.dial(from: index, to: self.index(name))
        case .raisedGeneration(let generation): self.servers[index].generation = generation
        }
    }

    private func mix(_ value: UInt64) { self.trace = (self.trace ^ value) &* 1_099_511_628_211 }

    private func wake(_ index: Int) {
        guard self.servers[index].isRunning, let deadline = self.servers[index].membership.deadline else { return }
        if let planned = self.servers[index].timerAt, planned <= deadline { return }
        self.servers[index].timerAt = deadline
        let late = self.some(0...1.5) + self.some(0...1) * Double(self.servers[index].starvation)
        let time = max(deadline, self.now) + .microseconds(Int(late * 1_000))
        self.post(time, index, .timer(life: self.servers[index].life))
    }

    // MARK: Network

    private func pair(_ one: Int, _ other: Int) -> Int { min(one, other) * 1_000 + max(one, other) }

    private func send(_ message: MembershipMessage, from: Int, to: Int) {
        guard var link = self.links[self.pair(from, to)], link.isUp else { return }
        self.messages += 1
        self.mix(UInt64(self.messages))
        var milliseconds = self.some(self.delay) + self.some(0...1) * Double(self.servers[to].starvation)
        if self.chance(self.lossOneIn) { milliseconds += self.chance(4) ? 600 : 200 }
        let direction = from < to ? 0 : 1
        // What the cut holds back comes with the first retransmission after it, if the link lives to see it.
        guard !link.isCut else { return self.retry(message, from, to, link.number) }
        link.arrival[direction] = max(link.arrival[direction], self.now + .microseconds(Int(milliseconds * 1_000)))
        self.links[self.pair(from, to)] = link
        self.post(link.arrival[direction], to, .message(message, from: from, link: link.number))
    }

    private func retry(_ message: MembershipMessage, _ from: Int, _ to: Int, _ number: Int) {
        self.at(200) { world in
            guard world.links[world.pair(from, to)]?.number == number else { return }
            world.send(message, from: from, to: to)
        }
    }

    /// Everything that is unlinked is dialled now and then, as a driver does.
    private func redial(after milliseconds: Double) {
        self.at(milliseconds) { world in
            for one in world.servers.indices {
                for other in 0..<one where world.links[world.pair(one, other)]?.isUp != true { world.dial(from: one, to: other) }
            }
            world.redial(after: 500)
        }
    }

    private func dial(from: Int, to: Int) {
        guard self.servers[from].isRunning, self.links[self.pair(from, to)]?.isCut != true else { return }
        self.post(self.now + .microseconds(Int(self.some(self.delay) * 1_000)), to, .dialled(peer: from))
    }

    private func arrive(from peer: Int, at index: Int) {
        guard self.links[self.pair(index, peer)]?.isCut != true, self.servers[peer].isRunning else { return }
        let back = self.now + .microseconds(Int(self.some(self.delay) * 1_000))
        guard self.servers[index].isRunning else { return self.post(back, peer, .refused(peer: index)) }
        guard self.links[self.pair(index, peer)]?.isUp != true else { return }
        // The handshake takes both processes.
        let ready = max(self.now, self.servers[index].pausedUntil, self.servers[peer].pausedUntil)
        if ready > self.now { return self.post(ready, index, .dialled(peer: peer)) }
        var link = Link(number: (self.links[self.pair(index, peer)]?.number ?? 0) + 1, isUp: true)
        link.arrival = [back, back]
        self.links[self.pair(index, peer)] = link
        self.post(back, index, .linked(peer: peer, link: link.number))
        self.post(back, peer, .linked(peer: index, link: link.number))
    }

    /// Both ends see the link end, each when word reaches it.
    func breakLink(_ one: Int, _ other: Int, _ ending: LinkEnding) {
        guard var link = self.links[self.pair(one, other)], link.isUp else { return }
        link.isUp = false
        link.number += 1
        self.links[self.pair(one, other)] = link
        for (end, peer) in [(one, other), (other, one)] where self.servers[end].isRunning {
            let time = self.now + .microseconds(Int(self.some(self.delay) * 1_000))
            self.post(time, end, .unlinked(peer: peer, ending, link: link.number))
        }
    }

    // MARK: Faults

    func kill(_ index: Int) {
        self.servers[index].isRunning = false
        for peer in self.servers.indices where peer != index { self.breakLink(index, peer, .broken) }
    }

    func start(_ index: Int, withDisk: Bool) {
        guard !self.servers[index].isRunning else { return }
        let old = self.servers[index]
        self.servers[index] = self.born(index, life: old.life + 1_000, generation: withDisk ? old.generation + 1 : 1)
        self.wake(index)
    }

    func pause(_ index: Int, milliseconds: Int) {
        self.servers[index].pausedUntil = self.now + .milliseconds(milliseconds)
    }

    func starve(_ index: Int, milliseconds: Int) { self.servers[index].starvation = milliseconds }

    /// Nothing passes between the two any more; a link that stays silent for 4 s is given up.
    func cut(_ one: Int, _ other: Int) {
        self.links[self.pair(one, other), default: Link()].isCut = true
        let number = self.links[self.pair(one, other)]?.number
        self.at(4_000) { world in
            guard let link = world.links[world.pair(one, other)], link.isCut, link.number == number else { return }
            world.breakLink(one, other, .silent)
        }
    }

    func isolate(_ index: Int) {
        for peer in self.servers.indices where peer != index { self.cut(index, peer) }
    }

    func heal() { for pair in self.links.keys { self.links[pair]?.isCut = false } }

    // MARK: Findings

    func states(of index: Int, except: Set<Int> = []) -> [MemberView.State?] {
        self.servers.indices.filter { $0 != index && !except.contains($0) && self.servers[$0].isRunning }
            .map { self.servers[$0].membership.state(of: Self.name(index)) }
    }

    /// Every running server knows every running server as alive, all under the same incarnation.
    var isHealthy: Bool {
        let running = self.servers.filter(\.isRunning)
        return running.allSatisfy { server in
            running.allSatisfy { other in
                server.membership.members.contains {
                    $0.name == other.membership.me.name && $0.state == .alive && $0.incarnation == other.membership.own
                }
            }
        }
    }
}
