import Settings
import Testing
import Timing
import TunnelSession

@testable import TunnelClient

/// A small world around a plan: servers that fail in several ways, addresses that lead to them, a name server, and dials
/// that take their time. It checks at every step what must always hold.
struct PlanWorld {
    enum Health: CaseIterable { case up, down, silent, refusing, full }

    enum Event {
        case fault
        case hello(Endpoint)
        case proof(Endpoint)
        case timeout(Endpoint)
        case lookup(HostPort)
        case suspect(Endpoint, session: Int)
        case linkLost(Endpoint, session: Int)
        case resumption(Endpoint, session: Int)
    }

    let seed: UInt64
    var script: PlanScript
    var dice: SplitMix
    var health: [Int: Health] = [:]
    /// The server behind each address.
    var homes: [HostPort: Int] = [:]
    var records: [HostPort: [HostPort]] = [:]
    let allEntries: [HostPort]
    let links: Int
    private var events: [(at: Moment, event: Event)] = []
    private var sessions: [Endpoint: (server: Int, serial: Int)] = [:]
    private var serial = 0
    /// Since when each endpoint could have been dialled and was needed.
    private var neglectedSince: [Endpoint: Moment] = [:]
    private var isHealing = false

    init(seed: UInt64) throws {
        self.seed = seed
        self.dice = SplitMix(state: seed)
        let servers = Int.random(in: 1...4, using: &self.dice)
        let addresses = Int.random(in: servers...(servers + 2), using: &self.dice)
        self.links = Int.random(in: 1...3, using: &self.dice)
        var literals: [HostPort] = []
        for number in 1...addresses {
            let address = try literal(number)
            self.homes[address] = number <= servers ? number : Int.random(in: 1...servers, using: &self.dice)
            literals.append(address)
        }
        for server in 1...servers { self.health[server] = .up }
        if Bool.random(using: &self.dice) {
            let name = try #require(HostPort("servers.example:17000"))
            let split = Int.random(in: 0...addresses, using: &self.dice)
            self.records[name] = Array(literals[..<split])
            literals = literals[split...] + [name]
        }
        self.allEntries = literals
        self.script = PlanScript(links: self.links, literals, seed: self.dice.next())
        self.schedule(.fault, within: .seconds(2))
    }

    /// The most sessions there can be once everything is well.
    var attainable: Int {
        let reached = self.allEntries.flatMap { self.records[$0] ?? [$0] }.compactMap { self.homes[$0] }
        return min(self.links, Set(reached).count)
    }

    /// Lets the world run until a moment.
    mutating func run(until end: Moment) {
        self.pump()
        while true {
            let next = self.events.indices.min { self.events[$0].at < self.events[$1].at }
            let due = Moment.earlier(next.map { self.events[$0].at }, self.script.plan.nextTimer)
            guard let due, due <= end else { break }
            self.script.now = max(due, self.script.now)
            if let next, self.events[next].at <= due { self.happen(self.events.remove(at: next).event) }
            self.pump()
        }
        self.script.now = end
    }

    /// From now on nothing fails any more.
    mutating func heal() {
        self.isHealing = true
        for server in self.health.keys { self.health[server] = .up }
        self.script.plan.setEntries(self.allEntries, now: self.script.now, using: &self.script.rng)
        for endpoint in self.sortedSessions { self.script.review(endpoint, usable: true, idle: true) }
    }

    private var sortedSessions: [Endpoint] { self.sessions.keys.sorted { $0.description < $1.description } }

    private mutating func schedule(_ event: Event, within span: Duration) {
        self.events.append((self.script.now + span * Double.random(in: 0...1, using: &self.dice), event))
    }

    private mutating func schedule(_ event: Event, after span: Duration) { self.events.append((self.script.now + span, event)) }

    // MARK: What the driver does

    private mutating func pump() {
        let steps = self.script.steps()
        #expect(steps.count <= 2 * self.script.plan.endpoints.count + 4, "seed \(self.seed): too much at one moment")
        for step in steps {
            switch step {
            case .resolve(let entry): self.schedule(.lookup(entry), within: .seconds(1))
            case .dial(let endpoint): self.dial(endpoint)
            case .retire(let endpoint):
                self.sessions[endpoint] = nil
                self.script.end(endpoint, .retired)
            }
        }
        self.check()
    }

    private mutating func dial(_ endpoint: Endpoint) {
        #expect(self.sessions[endpoint] == nil, "seed \(self.seed): dialled beside its session")
        #expect(!endpoint.isUnresolved)
        switch self.homes[endpoint.target].flatMap({ self.health[$0] }) {
        case .silent, nil: self.schedule(.timeout(endpoint), after: .seconds(3))
        case .down: self.schedule(.timeout(endpoint), within: .milliseconds(20))
        case .up, .refusing, .full: self.schedule(.hello(endpoint), within: .milliseconds(400))
        }
    }

    private mutating func happen(_ event: Event) {
        switch event {
        case .fault: self.fault()
        case .timeout(let endpoint): self.script.fail(endpoint)
        case .lookup(let name): self.answerLookup(of: name)
        case .hello(let endpoint):
            guard let server = self.homes[endpoint.target], self.script.meet(server, at: endpoint) == .go else {
                return self.script.fail(endpoint)
            }
            self.schedule(.proof(endpoint), within: .milliseconds(200))
        case .proof(let endpoint): self.prove(endpoint)
        case .suspect(let endpoint, let serial):
            if self.sessions[endpoint]?.serial == serial { self.script.review(endpoint, usable: false) }
        case .linkLost(let endpoint, let serial):
            guard self.sessions[endpoint]?.serial == serial else { return }
            self.script.lose(endpoint)
            self.schedule(.resumption(endpoint, session: serial), within: .seconds(5))
        case .resumption(let endpoint, let serial):
            guard let session = self.sessions[endpoint], session.serial == serial else { return }
            if self.health[session.server] == .up, self.homes[endpoint.target] == session.server {
                self.script.plan.linkBack(endpoint, now: self.script.now)
                self.script.review(endpoint, usable: true)
            } else {
                self.sessions[endpoint] = nil
                self.script.end(endpoint)
            }
        }
    }

    private mutating func prove(_ endpoint: Endpoint) {
        guard let dial = self.script.plan.dials[endpoint], let met = dial.met else { return }
        let server = Int(met.server.low)
        switch self.health[server] {
        case .up:
            #expect(!self.sessions.values.contains { $0.server == server }, "seed \(self.seed): two sessions with one server")
            self.serial += 1
            self.sessions[endpoint] = (server, self.serial)
            self.script.begin(endpoint, server: server)
            self.script.review(endpoint, idle: Bool.random(using: &self.dice) || self.isHealing)
        case .refusing: self.script.fail(endpoint, .refused)
        case .full: self.script.fail(endpoint, .busy)
        case .down, .silent, nil: self.script.fail(endpoint)
        }
    }

    private mutating func answerLookup(of name: HostPort) {
        if self.isHealing || Int.random(in: 0..<4, using: &self.dice) > 0 {
            self.script.resolved(name, (self.records[name] ?? []).map(\.description))
        } else {
            self.script.plan.resolveFailed(name, now: self.script.now, using: &self.script.rng)
        }
    }

    // MARK: What goes wrong

    private mutating func fault() {
        guard !self.isHealing else { return }
        self.schedule(.fault, within: .seconds(2))
        let session = self.sortedSessions.randomElement(using: &self.dice)
        switch Int.random(in: 0..<10, using: &self.dice) {
        case 0, 1, 2: self.changeHealth()
        case 3: self.moveAddress()
        case 4:
            for name in self.records.keys {
                self.records[name] = self.homes.keys.sorted { $0.description < $1.description }.shuffled(using: &self.dice)
                    .suffix(Int.random(in: 0...3, using: &self.dice))
            }
        case 5:
            let some = self.allEntries.filter { _ in Int.random(in: 0..<4, using: &self.dice) > 0 }
            self.script.plan.setEntries(some, now: self.script.now, using: &self.script.rng)
        case 6:
            if let session { self.script.review(session, usable: Bool.random(using: &self.dice), idle: false) }
        case 7:
            guard let session else { return }
            self.sessions[session] = nil
            self.script.end(session, .takenOver)
        case 8: self.script.hurry()
        default:
            guard let session, let serial = self.sessions[session]?.serial else { return }
            self.schedule(.linkLost(session, session: serial), after: .zero)
        }
    }

    /// Another server has this address now; sessions with the one before cannot go on there.
    private mutating func moveAddress() {
        let addresses = self.homes.keys.sorted { $0.description < $1.description }
        guard let address = addresses.randomElement(using: &self.dice) else { return }
        self.homes[address] = Int.random(in: 1...self.health.count, using: &self.dice)
        for endpoint in self.sortedSessions where endpoint.target == address {
            if let session = self.sessions[endpoint] { self.schedule(.linkLost(endpoint, session: session.serial), after: .zero) }
        }
    }

    private mutating func changeHealth() {
        let server = Int.random(in: 1...self.health.count, using: &self.dice)
        let health = Health.allCases.randomElement(using: &self.dice) ?? .up
        self.health[server] = health
        guard health == .down || health == .silent else { return }
        for endpoint in self.sortedSessions {
            guard let session = self.sessions[endpoint], session.server == server else { continue }
            if health == .silent { self.schedule(.suspect(endpoint, session: session.serial), after: .seconds(2)) }
            self.schedule(.linkLost(endpoint, session: session.serial), after: health == .silent ? .seconds(4) : .zero)
        }
    }

    // MARK: What must always hold

    private mutating func check() {
        let plan = self.script.plan
        #expect(
            Set(plan.standing.values.map(\.server)).count == plan.standing.count,
            "seed \(self.seed): two sessions with one server")
        #expect(Set(plan.standing.keys) == Set(self.sessions.keys))
        let targets = plan.dials.keys.map(\.target) + plan.standing.keys.map(\.target)
        #expect(Set(targets).count == targets.count, "seed \(self.seed): one place in use twice")
        #expect(plan.dials.count <= self.homes.count, "seed \(self.seed): more in flight than there are endpoints")
        let isLacking = plan.hotLinks < self.links
        let known = plan.endpoints
        self.neglectedSince = self.neglectedSince.filter { known.contains($0.key) }
        for endpoint in known {
            let isShunned = plan.places[endpoint]?.server.map { plan.shunned[$0] != nil } ?? false
            let isLookedUp = plan.names[endpoint.entry]?.lookup != nil
            guard isLacking, !isShunned, !isLookedUp, !plan.isTaken(endpoint), !plan.isAlias(endpoint) else {
                self.neglectedSince[endpoint] = nil
                continue
            }
            let since = self.neglectedSince[endpoint] ?? self.script.now
            self.neglectedSince[endpoint] = since
            // The longest wait, the spread of a replacement, and what the others before it may take.
            let limit = Duration.seconds(15 + 2) + LinkPlan.patience * known.count
            #expect(self.script.now - since <= limit, "seed \(self.seed): \(endpoint) is neglected")
            #expect(plan.nextTimer != nil, "seed \(self.seed): a link is missing and nothing will be done about it")
        }
    }
}
