import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// A message of the election or of the assignments on its way.
struct Letter {
    var from: ServerName
    var to: ServerName
    var message: ClusterMessage
    /// The lives of both ends that share the link on which it was sent: it does not outlive either.
    var lives: [Int]
}

/// A few servers, their disks and the letters between them. Nothing moves by itself: whoever drives the world says which
/// letter arrives, which disk has written, and whose clock goes on; each server has a clock of its own. Members are told of
/// each other at once, since this world is not about them.
struct AgreementWorld {
    struct Place {
        /// Counts the disks that it has had, which are its ids.
        var disks: UInt64 = 1
        var lives = 0
        var node: ClusterNode?
        var clock = Moment(nanoseconds: 0)
        var disk: StoredState?
        /// Not on disk yet, oldest first.
        var unstored: [(ticket: UInt64, state: StoredState)] = []
        var leadership: Leadership?
        /// Which grants it listens for.
        var listening: [UInt16: MappedPort] = [:]
        /// Ports that it has been asked to leave and has not left.
        var leaving: [(port: UInt16, token: Ballot)] = []
        var answers: [UInt64: RequestOutcome] = [:]
    }

    private(set) var names: [ServerName] = []
    var places: [ServerName: Place] = [:]
    var letters: [Letter] = []
    /// Pairs of servers with a link.
    private(set) var links: Set<[ServerName]> = []
    /// What was done since it was last taken, in words.
    var log: [String] = []
    /// What was done since it was last taken, for judges; only where no log is kept.
    var seen: [(name: ServerName, action: ClusterAction)] = []
    var rng: MembershipRandom
    var retention = Duration.seconds(24 * 3_600)
    var ports: [ClosedRange<UInt16>] = [20_000...20_002]
    let mutant: ClusterMutant?
    let keepsLog: Bool
    private var founders: [ServerName] = []
    private var instant: [(from: ServerName, to: ServerName, message: ClusterMessage)] = []
    private var isDelivering = false

    init(seed: UInt64 = 1, mutant: ClusterMutant? = nil, keepsLog: Bool = true) {
        self.rng = MembershipRandom(seed: seed)
        self.mutant = mutant
        self.keepsLog = keepsLog
    }

    func node(_ name: ServerName) -> ClusterNode? { self.places[name]?.node }

    func isUp(_ name: ServerName) -> Bool { self.places[name]?.node != nil }

    func isLinked(_ one: ServerName, _ other: ServerName) -> Bool { self.links.contains([one, other].sorted()) }

    func voter(_ name: ServerName) -> Voter { Voter(name: name, id: self.identity(name).id) }

    private func identity(_ name: ServerName) -> PeerIdentity {
        let place = self.places[name] ?? Place()
        let number = UInt64(name.utf8.first ?? 0)
        return PeerIdentity(
            name: name, id: WireID(high: number, low: place.disks), instance: WireID(high: number, low: UInt64(place.lives)))
    }

    private func address(_ name: ServerName) -> PeerAddress { PeerAddress(host: "\(name).example", port: 17_000) }

    // MARK: Starting and stopping

    /// - Parameter founders: the servers that everybody's configuration names.
    mutating func add(_ name: ServerName, founders: [ServerName]) {
        self.founders = founders
        self.names = (self.names + [name]).sorted()
        self.places[name] = Place()
    }

    mutating func start(_ name: ServerName) {
        guard self.places[name]?.node == nil else { return }
        self.places[name]?.lives += 1
        let own = self.identity(name)
        var membership = MembershipConfiguration()
        membership.probeInterval = .seconds(1_000_000)
        membership.syncInterval = .seconds(1_000_000)
        var registry = RegistryConfiguration()
        registry.exchangeInterval = .seconds(1_000_000)
        let configuration = ClusterConfiguration(
            name: name, id: own.id, instance: own.instance, addresses: [self.address(name)],
            peers: self.founders.map(self.address), ports: self.ports, portRetention: self.retention, registry: registry,
            membership: membership, mutation: Mutation(self.mutant))
        guard let place = self.places[name] else { return }
        self.places[name]?.node = ClusterNode(
            configuration: configuration, stored: place.disk, now: place.clock, rng: &self.rng)
        self.apply(.timer, to: name)
        self.store(name)
        for other in self.names where other != name && self.isUp(other) { self.link(name, other) }
    }

    /// Stops at once: what was not on disk is lost. Nobody hears of it.
    mutating func crash(_ name: ServerName) {
        self.places[name]?.node = nil
        self.places[name]?.unstored = []
        self.places[name]?.leadership = nil
        self.places[name]?.listening = [:]
        self.places[name]?.leaving = []
        self.places[name]?.answers = [:]
    }

    /// The disk is gone, and with it the id.
    mutating func wipe(_ name: ServerName) {
        self.places[name]?.disk = nil
        self.places[name]?.disks += 1
    }

    /// A link; one that was there is silently replaced.
    mutating func link(_ one: ServerName, _ other: ServerName) {
        self.unlink(one, other, .silent)
        guard self.isUp(one), self.isUp(other) else { return }
        self.links.insert([one, other].sorted())
        // Neither hears the other before both know of the link.
        self.isDelivering = true
        self.apply(.linked(self.identity(other)), to: one)
        self.apply(.linked(self.identity(one)), to: other)
        self.isDelivering = false
        self.deliverInstant()
    }

    /// The link is gone, and what was on it.
    mutating func unlink(_ one: ServerName, _ other: ServerName, _ ending: LinkEnding) {
        guard self.links.remove([one, other].sorted()) != nil else { return }
        self.letters.removeAll { ($0.from == one && $0.to == other) || ($0.from == other && $0.to == one) }
        if self.isUp(one) { self.apply(.unlinked(other, ending), to: one) }
        if self.isUp(other) { self.apply(.unlinked(one, ending), to: other) }
    }

    // MARK: Letters, disks, clocks

    mutating func deliver(_ letter: Letter) {
        guard self.canDeliver(letter) else { return }
        self.apply(.received(letter.message, from: letter.from), to: letter.to)
    }

    /// Its link is up, and both ends are the same processes as when it was sent.
    func canDeliver(_ letter: Letter) -> Bool {
        self.isLinked(letter.from, letter.to) && letter.lives == self.lives(letter.from, letter.to)
    }

    private func lives(_ one: ServerName, _ other: ServerName) -> [Int] {
        [one, other].map { self.places[$0]?.lives ?? 0 }
    }

    /// The disk has written: all, or only the oldest `count` records.
    mutating func store(_ name: ServerName, count: Int = .max) {
        guard let place = self.places[name], place.node != nil else { return }
        let done = place.unstored.prefix(count)
        guard let last = done.last else { return }
        self.places[name]?.disk = last.state
        self.places[name]?.unstored.removeFirst(done.count)
        self.apply(.stored(ticket: last.ticket), to: name)
    }

    /// Lets a server's clock go on, with what is due on the way.
    mutating func advance(_ name: ServerName, by span: Duration) {
        guard let start = self.places[name]?.clock else { return }
        let end = start + span
        while let due = self.node(name)?.deadline, due <= end {
            self.set(name, clock: due)
            self.apply(.timer, to: name)
        }
        self.places[name]?.clock = end
    }

    /// Clocks never go back.
    private mutating func set(_ name: ServerName, clock: Moment) {
        guard let before = self.places[name]?.clock, before < clock else { return }
        self.places[name]?.clock = clock
    }

    /// To the moment when the election of this server has something to do.
    mutating func timeout(_ name: ServerName) {
        guard let due = self.node(name)?.election.deadline else { return }
        self.set(name, clock: due)
        self.apply(.timer, to: name)
    }

    /// Delivers all letters in the order in which they were sent, with disks that write at once, until nothing is left to do.
    /// What was delivered is returned.
    @discardableResult
    mutating func settle(rounds: Int = 1_000) -> [Letter] {
        var delivered: [Letter] = []
        for _ in 0..<rounds {
            if let name = self.names.first(where: { self.places[$0]?.unstored.isEmpty == false && self.isUp($0) }) {
                self.store(name)
            } else if let letter = self.letters.first {
                self.letters.removeFirst()
                self.deliver(letter)
                delivered.append(letter)
            } else {
                break
            }
        }
        return delivered
    }

    // MARK: Events

    mutating func apply(_ event: ClusterEvent, to name: ServerName) {
        guard var node = self.places[name]?.node, let now = self.places[name]?.clock else { return }
        // Out of its place while it works: no second copy.
        self.places[name]?.node = nil
        let actions = node.on(event, now: now, rng: &self.rng)
        self.places[name]?.node = node
        var sent: [(text: String, to: [ServerName])] = []
        for action in actions { self.perform(action, of: name, &sent) }
        if !self.keepsLog { self.seen += actions.map { (name, $0) } }
        for (text, receivers) in sent { self.log += Self.inWords(text, from: name, to: receivers) }
        self.deliverInstant()
    }

    /// `A→BC text`, or `A→B text, twice` for two letters that say the same.
    private static func inWords(_ text: String, from name: ServerName, to receivers: [ServerName]) -> [String] {
        let counts = Dictionary(receivers.map { ($0, 1) }, uniquingKeysWith: +)
        return Set(counts.values).sorted().map { count in
            let names = counts.filter { $0.value == count }.keys.sorted().joined()
            return "\(name)→\(names) \(text)" + (count == 1 ? "" : count == 2 ? ", twice" : ", \(count) times")
        }
    }

    private mutating func perform(_ action: ClusterAction, of name: ServerName, _ sent: inout [(text: String, to: [ServerName])])
    {
        switch action {
        case .send(let message, let receiver): self.post(message, from: name, to: receiver, &sent)
        case .store(let state, let ticket):
            self.places[name]?.unstored.append((ticket, state))
            if self.keepsLog { self.log.append("\(name) writes \(state.inWords)") }
        case .leadershipChanged(let leadership):
            if self.keepsLog { self.tell(leadership, name) }
            self.places[name]?.leadership = leadership
        case .portsChanged(let ports): self.listen(ports, name)
        case .unbind(let port, let token):
            self.places[name]?.leaving.append((port, token))
            if self.keepsLog { self.log.append("\(name) is to leave \(port) #\(token.inWords)") }
        case .answered(let id, let outcome):
            self.places[name]?.answers[id] = outcome
            if self.keepsLog { self.log.append("\(name) answered \(id): \(outcome.inWords)") }
        case .dial, .memberChanged, .entryChanged, .challenge, .spread: break
        }
    }

    private mutating func post(
        _ message: ClusterMessage, from name: ServerName, to receiver: ServerName,
        _ sent: inout [(text: String, to: [ServerName])]
    ) {
        switch message {
        case .membership, .registry: self.instant.append((name, receiver, message))
        case .duty: break
        case .election, .assignments:
            self.letters.append(Letter(from: name, to: receiver, message: message, lives: self.lives(name, receiver)))
            guard self.keepsLog else { return }
            if let last = sent.indices.last, sent[last].text == message.inWords {
                sent[last].to.append(receiver)
            } else {
                sent.append((message.inWords, [receiver]))
            }
        }
    }

    private mutating func deliverInstant() {
        guard !self.isDelivering else { return }
        self.isDelivering = true
        while !self.instant.isEmpty {
            let next = self.instant.removeFirst()
            if self.isLinked(next.from, next.to) { self.apply(.received(next.message, from: next.from), to: next.to) }
        }
        self.isDelivering = false
    }

    private mutating func tell(_ now: Leadership, _ name: ServerName) {
        let before = self.places[name]?.leadership
        guard before != nil || now.term > 0 else { return }
        var words = "\(name) is \(now.role.rawValue)"
        if let leader = now.leader, now.role != .leader { words += " of \(leader)" }
        words += " in term \(now.term)"
        if now.isServing { words += ", serving" }
        if before?.voters != now.voters, now.voters.epoch > 0 { words += ", voters \(now.voters.inWords)" }
        self.log.append(words)
    }

    /// A listener that is there stays until it is asked to leave, and gives way to a higher token only.
    private mutating func listen(_ ports: [MappedPort], _ name: ServerName) {
        let before = self.places[name]?.listening ?? [:]
        var after = before.filter { port, mapped in
            self.places[name]?.leaving.contains { $0.port == port && $0.token == mapped.token } ?? false
        }
        for mapped in ports where (before[mapped.port]?.token ?? .zero) <= mapped.token { after[mapped.port] = mapped }
        self.places[name]?.listening = after
        guard self.keepsLog, before != after else { return }
        let list = after.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.client) #\($0.value.token.inWords)" }
        self.log.append("\(name) listens on \(list.isEmpty ? "nothing" : list.joined(separator: ", "))")
    }

    /// Closes the listeners that it was asked to close.
    mutating func unbind(_ name: ServerName) {
        let leaving = self.places[name]?.leaving ?? []
        self.places[name]?.leaving = []
        for (port, token) in leaving {
            if self.places[name]?.listening[port]?.token == token { self.places[name]?.listening[port] = nil }
            self.apply(.unbound(port, token: token), to: name)
        }
    }
}
