import ClusterCore
import Timing
import TunnelWire

/// How processes start, work and end.
extension World {
    // MARK: Starting

    mutating func start(_ place: Int, _ choice: DiskChoice) {
        guard !self.places[place].isRunning else { return }
        if self.places[place].life > 0 { self.coverage.restarts += 1 }
        self.prepareDisk(place, choice)
        self.places[place].isMachineUp = true
        self.places[place].life += 1
        self.places[place].instance = .random(using: &self.nodeRandom)
        let node = ClusterNode(
            configuration: self.configuration(of: place), stored: self.places[place].disk.durable,
            now: self.places[place].clock.reading(at: self.now), rng: &self.nodeRandom)
        self.note { "\($0.places[place].name) starts (life \($0.places[place].life), disk: \(choice))" }
        self.violate(.monotonic, self.checks.disks.started(self.places[place], node.stored))
        self.checks.registry.started(place, life: self.places[place].life, generation: node.stored.generation)
        self.checks.ballots.started(place)
        self.places[place].process = Process(node)
        self.bind(place, node.mappedPorts)
        self.hold(place, node.stored)
        for peer in self.places.indices where self.dials(place, peer) {
            self.dials[place * self.count + peer].backoff = DialState.shortest
            self.planDial(place, peer, after: self.networkRandom.span(.zero ... .milliseconds(50)))
        }
        self.rearm(place)
    }

    private func configuration(of place: Int) -> ClusterConfiguration {
        let server = self.places[place]
        return ClusterConfiguration(
            name: server.name, id: server.disk.id, instance: server.instance, addresses: [server.address],
            peers: self.places.prefix(self.founders).map(\.address), ports: [self.clients.ports],
            portRetention: self.plan.retention ?? self.clients.retention, software: "simulated",
            mutation: Mutation(self.plan.mutant))
    }

    /// Founders dial each other; those who join later dial everybody.
    private func dials(_ place: Int, _ peer: Int) -> Bool { peer != place && (peer < self.founders || place >= self.founders) }

    private mutating func prepareDisk(_ place: Int, _ choice: DiskChoice) {
        switch choice {
        case .own: break
        case .empty: self.wipe(place)
        case .stale: self.rollBack(place)
        }
    }

    /// The state directory is lost; the next one has another id.
    mutating func wipe(_ place: Int) {
        self.note { "\($0.places[place].name) loses its disk" }
        self.places[place].disk.wipe(id: .random(using: &self.nodeRandom))
        self.places[place].untrusted = nil
        self.coverage.wipedDisks += 1
    }

    /// An old copy of a voter's disk breaks every consensus. So only what no promise hangs on is rolled back: the generation;
    /// and all of it on a server that has no vote, wherever one looks.
    private mutating func rollBack(_ place: Int) {
        guard let present = self.places[place].disk.durable, let old = self.places[place].disk.old else { return }
        var state = present
        if self.checks.voters.isVoter(self.places[place].voter) {
            state.generation = min(old.generation, present.generation)
        } else {
            state = old
            self.places[place].untrusted = old.settled
        }
        self.places[place].disk.replace(with: state)
        self.checks.disks.rolledBack(self.places[place])
        self.coverage.staleDisks += 1
    }

    // MARK: Ending

    /// The process ends without a word. Its machine says that for it, unless that is dead as well.
    mutating func kill(_ place: Int, withMachine: Bool) {
        guard self.places[place].isRunning else { return }
        self.note { "\($0.places[place].name) \(withMachine ? "is gone with its machine" : "is killed")" }
        let isOrdered = self.faultRandom.chance(0.5)
        self.endLinks(of: place) { world, reference in
            if !withMachine { world.finish(reference, place, announced: false, isOrdered: isOrdered) }
        }
        self.places[place].disk.crash(keepsWrite: self.faultRandom.chance(0.5))
        self.places[place].isMachineUp = !withMachine
        self.places[place].clear()
        self.clients.lost(place)
        self.checks.answers.dropped(place: place)
    }

    /// It has said good-bye to all and stops.
    mutating func finishLeaving(_ place: Int) {
        self.note { "\($0.places[place].name) stops" }
        self.endLinks(of: place) { world, reference in
            world.finish(reference, place, announced: true, isOrdered: true)
        }
        self.places[place].disk.crash(keepsWrite: true)
        self.places[place].clear()
        self.clients.lost(place)
        self.checks.answers.dropped(place: place)
    }

    private mutating func endLinks(of place: Int, _ finish: (inout World, LinkReference) -> Void) {
        for slot in self.links.indices {
            guard let link = self.links[slot], link.dialler.place == place || link.acceptor.place == place,
                !link[end: place].isClosed
            else { continue }
            let reference = LinkReference(slot: slot, serial: link.serial)
            finish(&self, reference)
            self.close(reference, place)
        }
    }

    // MARK: Working

    /// Tells a process something, and does what it wants.
    mutating func feed(_ event: ClusterEvent, to place: Int) {
        let reading = self.places[place].clock.reading(at: self.now)
        guard let actions = self.places[place].process?.node.on(event, now: reading, rng: &self.nodeRandom) else { return }
        self.digest.add(self.now)
        self.digest.add(place << 8 | event.kind)
        self.note { "\($0.places[place].name) ← \(event.text)" }
        self.agree(actions, place)
        for action in actions { self.perform(action, place) }
        self.rearm(place)
    }

    mutating func timer(_ place: Int, _ at: Int64) {
        guard self.places[place].timerAt == at else { return }
        self.places[place].timerAt = nil
        guard let deadline = self.places[place].process?.deadline else { return }
        let reading = self.places[place].clock.reading(at: self.now)
        guard deadline <= reading else { return self.rearm(place) }
        self.feed(.timer, to: place)
        guard let next = self.places[place].process?.deadline, next <= reading else {
            self.places[place].spins = 0
            return
        }
        self.places[place].spins += 1
        guard self.places[place].spins > 100 else { return }
        self.violate(.liveness, "\(self.places[place].name) handled its timer 100 times, and it is still due at once")
    }

    private mutating func rearm(_ place: Int) {
        guard let deadline = self.places[place].process?.deadline else { return }
        let earliest = self.now + (self.places[place].spins > 0 ? 1_000 : 0)
        let time = max(earliest, self.places[place].clock.time(of: deadline))
        if let planned = self.places[place].timerAt, planned <= time { return }
        self.places[place].timerAt = time
        self.queue.push(.timer(place: place, at: time), at: time)
    }

    // MARK: Disk

    mutating func store(_ state: StoredState, _ ticket: UInt64, _ place: Int) {
        if self.places[place].disk.write(SimulatedDisk.Write(state: state, ticket: ticket)) { self.beginWrite(place) }
    }

    private mutating func beginWrite(_ place: Int) {
        let span = self.networkRandom.span(self.places[place].writeTime)
        self.plan(.written(place: place, life: self.places[place].life), after: span)
    }

    mutating func written(_ place: Int, _ life: Int) {
        guard self.isAlive(place, life) else { return }
        if self.places[place].failsNextWrite {
            self.coverage.count(.failedWrite)
            self.note { "\($0.places[place].name): a write fails" }
            self.kill(place, withMachine: false)
            return self.plan(.start(place: place, .own), after: self.faultRandom.span(.milliseconds(100) ... .seconds(5)))
        }
        guard let (ticket, goesOn) = self.places[place].disk.finish() else { return }
        if goesOn { self.beginWrite(place) }
        self.durable(place)
        self.plan(.tell(place: place, life: life, .stored(ticket: ticket)), after: 0)
    }
}
