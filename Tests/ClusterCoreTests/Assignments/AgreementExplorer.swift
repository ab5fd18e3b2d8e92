import Timing
import TunnelWire

@testable import ClusterCore

/// Drives a world at random, from a seed: letters arrive in any order, twice or never, disks are slow, servers crash and come
/// back, links break, every clock goes as it likes.
struct AgreementExplorer {
    /// What may happen in a run besides.
    struct Plan {
        var servers = 3
        /// One more that is no voter at first.
        var hasLearner = false
        var changesVoters = false
        /// One disk is lost on the way.
        var losesDisk = false
        /// Ports are taken back soon and given to others: there are fewer of them than clients.
        var reuses = false
        var steps = 260
        /// When all is over, all is repaired: then the cluster has to work again.
        var heals = false
    }

    private(set) var world: AgreementWorld
    private(set) var judge: AgreementJudge
    private var rng: MembershipRandom
    private let plan: Plan
    private var nextRequest: UInt64 = 1
    private var hasLostDisk = false
    private var wanted: [UInt64: ServerName] = [:]

    init(seed: UInt64, plan: Plan, mutant: ClusterMutant? = nil) {
        self.plan = plan
        self.rng = MembershipRandom(seed: seed)
        self.world = AgreementWorld(seed: seed &+ 1_000_003, mutant: mutant, keepsLog: false)
        self.judge = AgreementJudge(isReusing: plan.reuses)
        if plan.reuses {
            // Short against what a leader's clock goes on in a run.
            self.world.retention = .milliseconds(300)
            self.world.ports = [20_000...20_001]
        } else {
            self.world.ports = [20_000...20_007]
        }
    }

    /// The run of this seed: what may happen in it depends on the seed, too.
    static func plan(seed: UInt64) -> Plan {
        var plan = Plan()
        plan.servers = [3, 3, 3, 5, 4, 3][Int(seed % 6)]
        plan.hasLearner = seed % 5 == 1
        plan.changesVoters = seed % 5 < 2
        plan.losesDisk = seed % 5 == 2
        plan.reuses = seed % 3 == 1
        plan.heals = seed % 8 == 0
        return plan
    }

    mutating func run() {
        let founders = (0..<self.plan.servers).map { String(UnicodeScalar(65 + UInt8($0))) }
        let names = founders + (self.plan.hasLearner ? ["Z"] : [])
        for name in names { self.world.add(name, founders: founders) }
        for name in names { self.world.start(name) }
        for name in names { self.world.advance(name, by: .seconds(1)) }
        self.world.timeout(founders[0])
        self.world.settle()
        self.judge.look(at: &self.world)
        for _ in 0..<self.plan.steps where self.judge.violations.isEmpty {
            self.step()
            self.judge.look(at: &self.world)
        }
    }

    // MARK: One step

    private mutating func anyone(_ isUp: Bool = true) -> ServerName? {
        self.world.names.filter { self.world.isUp($0) == isUp }.randomElement(using: &self.rng)
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self.rng) < percent }

    private mutating func step() {
        switch Int.random(in: 0..<1_000, using: &self.rng) {
        case 0..<10: self.calm()
        case 10..<480: self.mail()
        case 480..<720: self.write()
        case 720..<780: if let name = self.anyone() { self.world.timeout(name) }
        case 780..<850:
            let span = Duration.milliseconds(Int.random(in: 1...400, using: &self.rng))
            if let name = self.anyone() { self.world.advance(name, by: span) }
        case 850..<905: self.ask()
        case 905..<935: if let name = self.anyone() { self.world.unbind(name) }
        case 935..<950: self.crash()
        case 950..<972: if let name = self.anyone(false) { self.world.start(name) }
        case 972..<980: self.cut()
        case 980..<992: self.mend()
        default: self.administer()
        }
    }

    private mutating func mail() {
        guard !self.world.letters.isEmpty else { return self.write() }
        // Mostly in order, sometimes not at all so.
        let reach = self.chance(70) ? 1 : self.world.letters.count
        let index = Int.random(in: 0..<min(reach, self.world.letters.count), using: &self.rng)
        let letter = self.world.letters[index]
        switch Int.random(in: 0..<100, using: &self.rng) {
        case 0..<6: self.world.letters.remove(at: index)
        case 6..<14: self.world.deliver(letter)
        default:
            self.world.letters.remove(at: index)
            self.world.deliver(letter)
        }
    }

    private mutating func write() {
        let busy = self.world.names.filter { self.world.isUp($0) && self.world.places[$0]?.unstored.isEmpty == false }
        guard let name = busy.randomElement(using: &self.rng) else { return }
        self.world.store(name, count: self.chance(70) ? .max : 1)
    }

    /// For a moment all goes well with those that are up and linked: without that, little comes to an end in so few steps.
    private mutating func calm() {
        for _ in 0..<10 {
            for name in self.world.names { self.world.advance(name, by: .milliseconds(50)) }
            self.world.settle(rounds: 200)
        }
        for name in self.world.names where self.chance(80) { self.world.unbind(name) }
    }

    private mutating func ask() {
        guard let name = self.anyone() else { return }
        self.world.apply(.request(id: self.nextRequest, AgreementWorld.port(for: self.client())), to: name)
        self.wanted[self.nextRequest] = name
        self.nextRequest += 1
    }

    private mutating func client() -> String { "w\(Int.random(in: 0..<(self.plan.reuses ? 4 : 6), using: &self.rng))" }

    private mutating func crash() {
        guard let name = self.anyone() else { return }
        self.world.crash(name)
        // What it sent may still arrive: only a new link puts an end to that.
        if self.plan.losesDisk, !self.hasLostDisk, self.chance(50) {
            self.hasLostDisk = true
            self.world.wipe(name)
        }
        guard self.chance(60) else { return }
        for other in self.world.names where other != name { self.world.unlink(name, other, self.chance(80) ? .broken : .silent) }
    }

    private mutating func cut() {
        guard let one = self.anyone(), let other = self.anyone(), one != other else { return }
        self.world.unlink(one, other, self.chance(50) ? .broken : .silent)
    }

    private mutating func mend() {
        guard let one = self.anyone() else { return }
        for other in self.world.names where other != one && self.world.isUp(other) && !self.world.isLinked(one, other) {
            self.world.link(one, other)
        }
    }

    private mutating func administer() {
        guard let name = self.anyone(), let target = self.world.names.randomElement(using: &self.rng) else { return }
        var commands: [ClusterCommand] = [.transfer(target), .transfer(target)]
        if self.plan.changesVoters { commands += [.addVoter(target), .addVoter(target), .removeVoter(target)] }
        if self.hasLostDisk { commands += [.addVoter(target), .addVoter(target)] }
        guard let command = commands.randomElement(using: &self.rng) else { return }
        self.world.apply(.administer(id: self.nextRequest, command), to: name)
        self.nextRequest += 1
    }

    // MARK: Afterwards

    /// Everything is repaired, and time passes evenly: there has to be one leader, and it has to give out ports.
    mutating func heal() -> Bool {
        for name in self.world.names { self.world.start(name) }
        for one in self.world.names {
            for other in self.world.names where one < other && !self.world.isLinked(one, other) { self.world.link(one, other) }
        }
        let client = "healed"
        for _ in 0..<200 {
            self.world.settle(rounds: 500)
            self.judge.look(at: &self.world)
            let leaders = self.world.names.filter { self.world.node($0)?.leadership.isServing ?? false }
            if leaders.count == 1, let leader = leaders.first {
                if self.world.places[leader]?.answers[0] != nil { return true }
                self.world.apply(.request(id: 0, AgreementWorld.port(for: client)), to: leader)
            }
            for name in self.world.names { self.world.advance(name, by: .milliseconds(50)) }
        }
        return false
    }
}
