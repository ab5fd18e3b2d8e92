import Timing
import TunnelWire

@testable import ClusterCore

/// A cluster of registries under faults, with a judge who knows what each owner ever published.
struct RegistryWorld {
    /// What happened often enough for the run to mean something.
    struct Coverage: CustomStringConvertible {
        var changes = 0
        var lost = 0
        var duplicated = 0
        var reordered = 0
        var cutBatches = 0
        var resets = 0
        var cutResets = 0
        var collected = 0
        var restarts = 0
        var raises = 0
        var hidden = 0
        var forgotten = 0
        var rounds = 0

        private var counts: [(String, Int)] {
            [
                ("changes", self.changes), ("lost", self.lost), ("duplicated", self.duplicated), ("reordered", self.reordered),
                ("cut batches", self.cutBatches), ("resets", self.resets), ("cut resets", self.cutResets),
                ("collected", self.collected), ("restarts", self.restarts), ("raises", self.raises), ("hidden", self.hidden),
                ("forgotten", self.forgotten),
            ]
        }

        var isComplete: Bool { self.counts.allSatisfy { $0.1 > 0 } }

        var description: String {
            self.counts.map { "\($0.1) \($0.0)" }.joined(separator: ", ") + ", at most \(self.rounds) rounds to heal"
        }

        mutating func add(_ other: Coverage) {
            self.changes += other.changes
            self.lost += other.lost
            self.duplicated += other.duplicated
            self.reordered += other.reordered
            self.cutBatches += other.cutBatches
            self.resets += other.resets
            self.cutResets += other.cutResets
            self.collected += other.collected
            self.restarts += other.restarts
            self.raises += other.raises
            self.hidden += other.hidden
            self.forgotten += other.forgotten
            self.rounds = max(self.rounds, other.rounds)
        }
    }

    let net: RegistryNet
    private var rng: RegistryRandom
    private var judge = RegistryJudge()
    private var generations: [ServerName: UInt64] = [:]
    private var values = 0
    private(set) var coverage = Coverage()
    private(set) var trace: [String] = []
    private(set) var violation: String?

    init(seed: UInt64) {
        self.rng = RegistryRandom(seed: seed)
        let count = Int.random(in: 3...7, using: &self.rng)
        let limit = [220, 300, 420, 2_000].randomElement(using: &self.rng) ?? 300
        let messages = Int.random(in: 1...3, using: &self.rng)
        self.net = RegistryNet(count) {
            $0.deltaLimit = limit
            $0.deltasPerDigest = messages
            $0.tombstoneAge = .milliseconds(1_200)
            $0.forgetAfter = .seconds(5)
        }
        for name in self.net.names { self.generations[name] = 1 }
    }

    mutating func run() {
        for _ in 0..<100 where self.violation == nil { self.step() }
        if self.violation == nil { self.heal() }
    }

    // MARK: - Faults

    private mutating func step() {
        let name = self.pick(self.net.names)
        let other = self.pick(self.net.names.filter { $0 != name })
        switch Int.random(in: 0..<100, using: &self.rng) {
        case 0..<30: self.change(name)
        case 30..<68: for _ in 0..<Int.random(in: 1...6, using: &self.rng) { self.deliver() }
        case 68..<80: self.tick()
        case 80..<87:
            self.note("cut \(name) \(other)")
            let waiting = self.net.waiting.count
            self.net.cut(name, other)
            self.coverage.lost += waiting - self.net.waiting.count
        case 87..<94:
            self.note("heal \(name) \(other)")
            self.net.heal(name, other)
        case 94..<95: self.restart(name)
        case 95..<96: self.raise(name)
        case 96..<98:
            self.note("hide \(other) at \(name)")
            self.coverage.hidden += 1
            self.net.hide(other, at: name)
        default:
            self.note("show \(other) at \(name)")
            self.net.show(other, at: name)
        }
        self.check(name)
    }

    private mutating func change(_ name: ServerName) {
        let key = "k\(Int.random(in: 0..<10, using: &self.rng))"
        self.values += 1
        let value = self.rng.chance(65) ? self.values : nil
        self.note("set \(name) \(key) \(value.map(String.init) ?? "-")")
        self.coverage.changes += 1
        self.net.set(name, key, value)
        self.judge.published(by: name, self.net.registry(name).mine)
    }

    private mutating func deliver() {
        guard !self.net.waiting.isEmpty else { return }
        var index = 0
        if self.rng.chance(15) {
            index = Int.random(in: self.net.waiting.indices, using: &self.rng)
            self.coverage.reordered += index > 0 ? 1 : 0
        }
        let envelope = self.net.waiting[index]
        if self.rng.chance(8) {
            self.coverage.lost += 1
            self.net.waiting.remove(at: index)
            return
        }
        if self.rng.chance(6) {
            self.coverage.duplicated += 1
            let place = Int.random(in: index...self.net.waiting.count, using: &self.rng)
            self.net.waiting.insert(envelope, at: place)
        }
        self.count(envelope)
        self.note("\(envelope.from) to \(envelope.to): \(envelope.message.brief)")
        self.net.deliver(at: index)
        self.check(envelope.to)
    }

    private mutating func tick() {
        self.net.advance(.milliseconds(Int64.random(in: 100...1_500, using: &self.rng)))
        for name in self.net.names {
            let before = self.net.registry(name)
            self.net.timer(name, &self.rng)
            let after = self.net.registry(name)
            self.coverage.collected += after.mine.collected > before.mine.collected ? 1 : 0
            self.coverage.forgotten += after.forgotten.count > before.forgotten.count ? 1 : 0
        }
        self.note("tick")
        for name in self.net.names { self.check(name) }
    }

    private mutating func restart(_ name: ServerName) {
        self.note("restart \(name)")
        self.coverage.restarts += 1
        let generation = self.generations[name, default: 0] + 1
        self.generations[name] = generation
        self.net.waiting.removeAll { [$0.from, $0.to].contains(name) }
        self.judge.restarted(name)
        self.net.start(name, generation: generation)
    }

    private mutating func raise(_ name: ServerName) {
        self.note("raise \(name)")
        self.coverage.raises += 1
        let generation = self.generations[name, default: 0] + 1
        self.generations[name] = generation
        self.net.act(name) { $0.raise(generation: generation, peers: $1, now: $2) }
        self.judge.published(by: name, self.net.registry(name).mine)
    }

    private mutating func count(_ envelope: RegistryNet.Envelope) {
        guard case .delta(let delta) = envelope.message else { return }
        self.coverage.cutBatches += delta.hasMore ? 1 : 0
        for part in delta.parts {
            guard let entries = self.net.registry(envelope.to).others[part.owner], entries.use(of: part) == .reset,
                entries.version > 0
            else { continue }
            self.coverage.resets += 1
            self.coverage.cutResets += part.upTo < part.asOf ? 1 : 0
        }
    }

    // MARK: - Healing

    private mutating func heal() {
        self.note("heal all")
        for name in self.net.names {
            for owner in self.net.names { self.net.show(owner, at: name) }
        }
        self.net.cuts = []
        for name in self.net.names {
            for peer in self.net.names where peer != name { self.net.join(name, peer) }
        }
        guard self.net.settle() else {
            self.violation = "they never come to rest"
            return
        }
        var rounds = 0
        var isConverged = self.net.isConverged
        while !isConverged, rounds < 3 {
            self.net.round(&self.rng)
            rounds += 1
            isConverged = self.net.isConverged
        }
        self.coverage.rounds = rounds
        guard isConverged else {
            self.violation = "no agreement after 3 rounds"
            return
        }
        for name in self.net.names { self.check(name) }
        // Nothing is left to say: a round is one digest from each.
        let before = self.net.sent.messages
        self.net.round(&self.rng)
        if self.net.sent.messages != before + self.net.names.count { self.violation = "they agree and still talk" }
    }

    // MARK: - Judgement

    private mutating func check(_ name: ServerName) {
        if self.violation == nil {
            self.violation = self.judge.verdict(on: self.net.registry(name), view: self.net.views[name] ?? [:])
        }
    }

    private mutating func note(_ line: String) { self.trace.append(line) }

    private mutating func pick(_ names: [ServerName]) -> ServerName { names.randomElement(using: &self.rng) ?? "s0" }
}
