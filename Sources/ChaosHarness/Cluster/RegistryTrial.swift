import Foundation
import TunnelWire

/// A cluster of five with many registrations: two servers inside this process hold them, two real ones know them, a fifth
/// joins.
struct RegistryTrial {
    private let size: ClusterTrial.Size
    /// Changes a second.
    static let rate = 200
    static let patience = Duration.seconds(90)

    init(_ size: ClusterTrial.Size) { self.size = size }

    func run(_ plan: ClusterStage.Plan, _ outcome: inout TrialOutcome, say: (String) -> Void) async throws {
        var plan = plan
        (plan.servers, plan.absent) = (5, [0, 1])
        outcome = try await ClusterStage.with(plan) { [outcome] stage in
            var outcome = outcome
            let made = try await self.startMadeUp(stage)
            do {
                try await self.rehearse(stage, made, &outcome, say: say)
            } catch {
                for server in made { await server.stop() }
                throw error
            }
            for server in made { await server.stop() }
            return outcome
        }
    }

    private func startMadeUp(_ stage: ClusterStage) async throws -> [RehearsedServer] {
        let first = try await RehearsedServer.start(stage.servers[0].configuration)
        do {
            return [first, try await RehearsedServer.start(stage.servers[1].configuration)]
        } catch {
            await first.stop()
            throw error
        }
    }

    private func rehearse(
        _ stage: ClusterStage, _ made: [RehearsedServer], _ outcome: inout TrialOutcome, say: (String) -> Void
    ) async throws {
        var rng = SystemRandomNumberGenerator()
        let clients = MadeUpClients(
            count: self.size.registrations, since: UInt64(Date.now.timeIntervalSince1970 * 1000), using: &rng)
        let (real, fifth) = ([stage.servers[2], stage.servers[3]], stage.servers[4])
        // All five found the cluster. Then the fifth goes, so that it has everything to learn when it comes again.
        try await stage.wait(for: "a leader", within: .seconds(20)) {
            for server in real + [fifth] where await stage.status(server)?.leader == nil { return false }
            return true
        }
        await stage.cast[fifth.name]?.stop()
        try await Task.sleep(for: .seconds(2))
        try await self.measureIdle("with no registrations", real[0], stage, &outcome)
        say("publishes \(clients.count) registrations at two servers")
        let began = ContinuousClock.now
        try await self.publish(clients, at: made)
        for server in real { try await self.waitForEntries(clients.count, at: server, stage) }
        try await stage.wait(for: "the two that hold them to know each other's", within: Self.patience) {
            made.allSatisfy { $0.server.countElsewhere() >= clients.count / 2 }
        }
        outcome.tell("\(clients.count) published, known by all four after", Self.seconds(since: began), "s")
        say("a fifth server joins")
        try await self.join(fifth, clients, stage, &outcome)
        say("changes \(Self.rate) a second for \(self.size.registrySeconds) s")
        try await self.change(clients, made, real + [fifth], stage, &outcome)
        try await Task.sleep(for: .seconds(3))
        say("is silent for \(self.size.registrySeconds) s")
        try await self.measureIdle("with \(clients.count)", real[0], stage, &outcome)
    }

    /// Half at each, in bursts: twenty thousand a second.
    private func publish(_ clients: MadeUpClients, at made: [RehearsedServer]) async throws {
        for start in stride(from: 0, to: clients.count, by: 500) {
            for number in start..<min(clients.count, start + 500) {
                let server = made[MadeUpClients.owner(number)].server
                server.rehearse(client: MadeUpClients.name(number), clients.record(number, since: clients.since))
            }
            try await Task.sleep(for: .milliseconds(25))
        }
    }

    private func entries(at server: ClusterStage.Server, _ stage: ClusterStage) async throws -> Int {
        guard let metrics = try? await stage.admin(server, timeout: .seconds(10)).raw("/metrics") else { return 0 }
        guard let value = Exposed.value("gotunnel_registry_entries", in: String(decoding: metrics, as: UTF8.self)) else {
            throw StageError("\(server.name) has no metric gotunnel_registry_entries")
        }
        return Int(value)
    }

    /// The made-up clients, and what each of the servers there says of itself.
    private func waitForEntries(_ count: Int, at server: ClusterStage.Server, _ stage: ClusterStage) async throws {
        let end = ContinuousClock.now + Self.patience
        while try await self.entries(at: server, stage) < count + 4 {
            guard ContinuousClock.now < end else {
                let known = try await self.entries(at: server, stage)
                throw StageError("\(server.name) knows \(known) of \(count) registrations after \(Self.patience)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: A cold join

    private func join(
        _ server: ClusterStage.Server, _ clients: MadeUpClients, _ stage: ClusterStage, _ outcome: inout TrialOutcome
    ) async throws {
        let began = ContinuousClock.now
        try stage.start(server)
        try await stage.waitReady(server)
        try await self.waitForEntries(clients.count, at: server, stage)
        outcome.tell("cold join, all \(clients.count) known after", Self.seconds(since: began), "s")
        guard let pid = stage.cast[server.name]?.pid else { return }
        let bytes = try LinkBytes.now(of: pid)
        outcome.tell("cold join, received by all its links", Double(bytes.received) / 1e6, "MB")
        outcome.tell("cold join, sent by all its links", Double(bytes.sent) / 1e6, "MB")
        outcome.tell("cold join, processor time of the one that joins", ProcessorTime.now(of: pid), "s")
    }

    // MARK: Changes

    /// A change that the other server has not told of yet.
    private struct Pending {
        var number: Int
        var since: UInt64
        var at: Double
    }

    private func change(
        _ clients: MadeUpClients, _ made: [RehearsedServer], _ real: [ClusterStage.Server], _ stage: ClusterStage,
        _ outcome: inout TrialOutcome
    ) async throws {
        let pids = real.compactMap { stage.cast[$0.name]?.pid }
        let before = pids.map(ProcessorTime.now)
        let control = try await Control.start()
        let start = FaultMoment.now()
        let (spread, seconds) = try await self.spread(clients, made, control)
        let took = (TrafficClock.now() - start.monotonic) / 1000
        let cpu = zip(pids, before).map { (ProcessorTime.now(of: $0) - $1) / took * 100 }
        await control.stop()
        outcome.rows.append(spread.row)
        outcome.tell("changes", Double(spread.samples.count) / seconds, "a second, for \(self.size.registrySeconds) s")
        outcome.tell("changes, p99 of their propagation", spread.row.p99, "ms")
        if spread.row.never > 0 { outcome.broken.append("\(spread.row.never) changes never reached the other server") }
        for (server, share) in zip(real, cpu) {
            outcome.tell("changes, processor time of \(server.name)", share, "% of a core")
        }
        try await self.compare(clients, spread.samples.count, at: real, stage, &outcome)
    }

    /// Changes registrations by a fixed schedule, and looks each millisecond which the other server knows. Gives how long
    /// each took to get there, and in how many seconds they were made.
    private func spread(
        _ clients: MadeUpClients, _ made: [RehearsedServer], _ control: Control
    ) async throws -> (Measurement, seconds: Double) {
        let count = min(Self.rate * self.size.registrySeconds, clients.count)
        var measurement = Measurement("a change is known to another", wanted: count, limit: nil)
        var pending: [Pending] = []
        let start = FaultMoment.now()
        let end = start.monotonic + Double(self.size.registrySeconds) * 1000 + 10_000
        var (next, last) = (0, start.monotonic)
        while next < count || !pending.isEmpty {
            let now = TrafficClock.now()
            while next < count, start.monotonic + Double(next) * 1000 / Double(Self.rate) <= now {
                let since = clients.since + 1 + UInt64(next)
                pending.append(Pending(number: next, since: since, at: TrafficClock.now()))
                made[MadeUpClients.owner(next)].server.rehearse(
                    client: MadeUpClients.name(next), clients.record(next, since: since))
                next += 1
                last = TrafficClock.now()
            }
            pending.removeAll { change in
                let other = made[1 - MadeUpClients.owner(change.number)].server
                guard other.knownElsewhere(client: MadeUpClients.name(change.number)).first?.since == change.since else {
                    return false
                }
                measurement.add(Sample(took: TrafficClock.now() - change.at, control: 0))
                return true
            }
            guard now < end else { break }
            try await Task.sleep(for: .milliseconds(1))
        }
        for _ in pending { measurement.add(Sample(took: nil, control: 0)) }
        let cost = control.slowest(since: start, lasting: TrafficClock.now() - start.monotonic)
        return (measurement.with(control: cost), max(0.001, last - start.monotonic) / 1000)
    }

    /// Whether the real servers know every registration as it was published last.
    private func compare(
        _ clients: MadeUpClients, _ changed: Int, at real: [ClusterStage.Server], _ stage: ClusterStage,
        _ outcome: inout TrialOutcome
    ) async throws {
        // What is pushed is repaired once a second.
        try await Task.sleep(for: .seconds(3))
        for server in real {
            let rows = try await stage.admin(server, timeout: .seconds(60)).clients()
            let known = Dictionary(rows.map { ($0.name, UInt64($0.since.milliseconds)) }, uniquingKeysWith: { first, _ in first })
            let wrong = (0..<clients.count).count { number in
                known[MadeUpClients.name(number)] != clients.since + (number < changed ? 1 + UInt64(number) : 0)
            }
            if wrong > 0 { outcome.broken.append("\(server.name) does not know \(wrong) registrations as they are") }
        }
    }

    // MARK: Silence

    /// What the links of a server carry when nothing changes. All its peers are linked with it.
    private func measureIdle(
        _ when: String, _ server: ClusterStage.Server, _ stage: ClusterStage, _ outcome: inout TrialOutcome
    ) async throws {
        guard let pid = stage.cast[server.name]?.pid else { return }
        let before = try LinkBytes.now(of: pid)
        let start = ContinuousClock.now
        try await Task.sleep(for: .seconds(self.size.registrySeconds))
        let after = try LinkBytes.now(of: pid)
        let took = Self.seconds(since: start)
        let peers = await stage.status(server)?.peers.count { $0.state == .alive } ?? 0
        guard peers > 0, after.connections == before.connections else {
            throw StageError("links came or went while nothing happened: \(before.connections), then \(after.connections)")
        }
        let bytes = Double(after.received - before.received + after.sent - before.sent)
        outcome.tell(
            "idle \(when), both ways with each of \(peers) peers (\(after.connections / peers) links)",
            (bytes / took / Double(peers)).rounded(), "bytes a second")
    }

    private static func seconds(since start: ContinuousClock.Instant) -> Double { (ContinuousClock.now - start) / .seconds(1) }
}

extension Measurement {
    /// The same with one control for all.
    func with(control: Double) -> Measurement {
        var measurement = Measurement(self.title, wanted: self.wanted, limit: self.limit, allowedMisses: self.allowedMisses)
        for sample in self.samples { measurement.add(Sample(took: sample.took, control: control)) }
        return measurement
    }
}
