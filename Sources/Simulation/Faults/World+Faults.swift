import ClusterCore
import Timing
import TunnelWire

/// What goes wrong, and how it comes right again.
extension World {
    mutating func nextFault() {
        guard !self.faults.isOver else { return }
        let wait = -Double(self.faults.spacing) * Self.logarithm(1 - self.faultRandom.fraction())
        self.plan(.fault, after: Int64(min(wait, 60e9)))
        guard let kind = self.faultRandom.pick(self.faults.kinds) else { return }
        self.inject(kind)
    }

    /// Natural logarithm of a number in (0, 1], by its series: the same to the last bit on every machine.
    private static func logarithm(_ number: Double) -> Double {
        var (mantissa, exponent) = (max(number, 0x1p-53), 0.0)
        while mantissa < 0.75 {
            mantissa *= 2
            exponent -= 1
        }
        let ratio = (mantissa - 1) / (mantissa + 1)
        var (sum, power) = (0.0, ratio)
        for term in stride(from: 1.0, through: 25, by: 2) {
            sum += power / term
            power *= ratio * ratio
        }
        return 2 * sum + exponent * 0.693_147_180_559_945_3
    }

    /// Has one fault happen, if it can.
    mutating func inject(_ kind: FaultKind) {
        let running = self.places.indices.filter { self.places[$0].isRunning && !self.places[$0].isLeaving }
        guard let place = self.faultRandom.pick(running) else { return }
        self.coverage.count(kind)
        self.note { "FAULT: \(kind.rawValue), \($0.places[place].name)" }
        switch kind {
        case .killedProcess: self.crash(place, withMachine: false, .own, .milliseconds(50) ... .seconds(15))
        case .deadMachine: self.crash(place, withMachine: true, .own, .seconds(1) ... .seconds(30))
        case .allKilled:
            for place in running {
                self.crash(place, withMachine: self.faultRandom.chance(0.3), .own, .milliseconds(50) ... .seconds(5))
            }
        case .emptyDisk where self.mayWipe(place):
            self.operators.wipedAt = self.now
            self.kill(place, withMachine: self.faultRandom.chance(0.5))
            // At once, so that the next wipe counts it as lost.
            self.wipe(place)
            self.plan(.start(place: place, .own), after: self.faultRandom.span(.milliseconds(50) ... .seconds(10)))
        case .staleDisk:
            self.places[place].disk.keepCopy()
            self.crash(place, withMachine: false, .own, .milliseconds(50) ... .seconds(1))
            self.operators.staleAtNextStart.insert(place)
        case .deposedLeader: self.depose()
        case .emptyDisk: break
        case .shortPause: self.pause(place, .milliseconds(20) ... .milliseconds(700))
        case .longPause: self.pause(place, .seconds(1) ... .seconds(10))
        case .slowDisk:
            self.places[place].writeTime = .milliseconds(20) ... .milliseconds(500)
            self.plan(.calmDisk(place: place), after: self.faultRandom.span(.seconds(3) ... .seconds(30)))
        case .failedWrite: self.places[place].failsNextWrite = true
        case .leave: self.leave(place)
        case .brokenLink, .halfBrokenLink:
            if let peer = self.faultRandom.pick(running.filter { $0 != place }) {
                self.breakLink(place, peer, bothHear: kind == .brokenLink)
            }
        case .stalledPair, .oneWayCut, .isolation, .halves, .ring: self.cut(kind, place)
        }
    }

    // MARK: Processes

    private mutating func crash(_ place: Int, withMachine: Bool, _ choice: DiskChoice, _ away: ClosedRange<Duration>) {
        self.kill(place, withMachine: withMachine)
        let isStale = choice == .own && self.operators.staleAtNextStart.remove(place) != nil
        self.plan(.start(place: place, isStale ? .stale : choice), after: self.faultRandom.span(away))
    }

    mutating func pause(_ place: Int, _ span: ClosedRange<Duration>) {
        guard !self.places[place].isPaused else { return }
        self.places[place].isPaused = true
        self.plan(.resume(place: place), after: self.faultRandom.span(span))
    }

    mutating func leave(_ place: Int) {
        guard !self.places[place].isPaused else { return }
        self.places[place].isLeaving = true
        self.feed(.leave, to: place)
        self.plan(
            .stop(place: place, life: self.places[place].life),
            after: self.faultRandom.span(.milliseconds(20) ... .milliseconds(300)))
        self.plan(.start(place: place, .own), after: self.faultRandom.span(.seconds(1) ... .seconds(15)))
    }

    /// Whether enough voters keep their disks, by every voter set that anybody goes by.
    private func mayWipe(_ place: Int) -> Bool {
        guard self.now - self.operators.lastCommandAt > 30_000_000_000 else { return false }
        let intact = Set(self.places.filter { $0.index != place }.map(\.voter))
        let sets = self.checks.voters.sets
        return !sets.isEmpty && sets.allSatisfy { set in set.voters.count { intact.contains($0) } >= set.quorum }
    }

    // MARK: Cuts

    private mutating func cut(_ kind: FaultKind, _ place: Int) {
        let others = self.places.indices.filter { $0 != place }
        guard let peer = self.faultRandom.pick(others) else { return }
        var ways: [(from: Int, to: Int)] = []
        var span: ClosedRange<Duration> = .milliseconds(300) ... .seconds(20)
        switch kind {
        case .stalledPair:
            ways = [(place, peer), (peer, place)]
            span = .milliseconds(50) ... .seconds(2)
        case .oneWayCut:
            let isFromAll = self.faultRandom.chance(0.4)
            ways = isFromAll ? others.map { (place, $0) } : [(place, peer)]
        case .isolation: ways = others.flatMap { [(place, $0), ($0, place)] }
        case .halves:
            let side = Set(self.faultRandom.sample(Array(self.places.indices), max(1, self.count / 2)))
            ways = self.crossing { side.contains($0) != side.contains($1) }
        case .ring:
            let order = self.places.indices.shuffled(using: &self.faultRandom)
            let position = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
            let count = self.count
            ways = self.crossing { one, other in
                let distance = abs((position[one] ?? 0) - (position[other] ?? 0))
                return distance != 1 && distance != count - 1
            }
        default: return
        }
        self.cut(ways, for: self.faultRandom.span(span))
    }

    private func crossing(_ isCut: (Int, Int) -> Bool) -> [(from: Int, to: Int)] {
        self.places.indices.flatMap { one in
            self.places.indices.compactMap { other in one != other && isCut(one, other) ? (one, other) : nil }
        }
    }

    /// Cuts ways; what travels there waits.
    mutating func cut(_ ways: [(from: Int, to: Int)], for span: Int64?) {
        self.faults.lastCut += 1
        self.faults.cuts[self.faults.lastCut] = ways
        for way in ways { self.paths.cut(way.from, way.to) }
        if let span { self.plan(.mend(cut: self.faults.lastCut), after: span) }
    }

    mutating func mend(_ cut: Int) {
        guard let ways = self.faults.cuts.removeValue(forKey: cut) else { return }
        for way in ways where self.paths.mend(way.from, way.to) {
            for slot in self.links.indices {
                guard let link = self.links[slot] else { continue }
                let isThisWay =
                    (link.dialler.place == way.from && link.acceptor.place == way.to)
                    || (link.dialler.place == way.to && link.acceptor.place == way.from)
                if isThisWay { self.plan(.flush(link: LinkReference(slot: slot, serial: link.serial), from: way.from), after: 0) }
            }
        }
    }

    /// A leader is cut off. The others hear that its links broke and elect another; it does not hear anything, and clients ask
    /// both.
    private mutating func depose() {
        let leaders = self.places.filter { $0.process?.node.leadership.role == .leader && !$0.isPaused }
        guard let leader = leaders.first?.index else { return }
        let others = self.places.indices.filter { $0 != leader }
        self.cut(others.flatMap { [(leader, $0), ($0, leader)] }, for: self.faultRandom.span(.milliseconds(900) ... .seconds(5)))
        for other in others {
            if let link = self.reference(other, leader) { self.plan(.linkEnd(link: link, at: other, .broken), after: 1_000) }
        }
        self.clients.rushed = []
        for turn in 1...40 { self.plan(.rush(at: leader), after: Int64(turn) * 30_000_000) }
    }

    // MARK: Healing

    /// No faults from now on: every way open, every process running, every disk as fast as it can.
    mutating func heal() {
        self.note { _ in "HEALING" }
        self.faults.isOver = true
        self.paths.isCalm = true
        for cut in self.faults.cuts.keys.sorted() { self.mend(cut) }
        for place in self.places.indices {
            self.places[place].writeTime = Place.calmWrites
            self.places[place].failsNextWrite = false
            if self.places[place].isPaused { self.plan(.resume(place: place), after: 0) }
            if !self.places[place].isRunning {
                self.places[place].isMachineUp = true
                self.plan(.start(place: place, .own), after: self.faultRandom.span(.zero ... .seconds(1)))
            }
        }
    }
}
