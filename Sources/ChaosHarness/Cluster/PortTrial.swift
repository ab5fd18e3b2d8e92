import NIOCore

#if canImport(Glibc)
import Glibc
#endif

/// A mapped port on three servers, whose client is linked to one of them: it answers on all; when that one is killed, on the
/// others again.
struct PortTrial {
    var times: Int
    static let limit = 300.0
    static let before = Duration.seconds(2)
    static let after = Duration.seconds(4)

    func run(_ plan: ClusterStage.Plan, _ outcome: inout TrialOutcome, say: (String) -> Void) async throws {
        var sums = Sums(times: self.times)
        let greeter = try await Greeter.start()
        do {
            try await ClusterStage.with(plan) { stage in
                var client = ClusterStage.Client(name: "worker-1", servers: [stage.servers[0]])
                client.exposures = [("web", "127.0.0.1:\(greeter.port)", 0)]
                client = try await stage.start(client)
                try await stage.settle(stage.servers)
                while sums.again.needsMore {
                    say("kills the server that holds the client, time \(sums.again.samples.count / 2 + 1)")
                    try await self.once(stage, client, greeter, &sums)
                }
            }
        } catch {
            await greeter.stop()
            throw error
        }
        await greeter.stop()
        outcome.rows += [sums.again.row, sums.new.row, sums.undisturbed.row]
        outcome.tell("under way to a survivor at the kill, and failed", Double(sums.failedUnderWay), "connections")
        outcome.tell("opened before it answered again, and failed", Double(sums.failedMeanwhile), "connections")
        outcome.tell("opened before it answered again, and held until it did", Double(sums.held), "connections")
        outcome.broken += sums.broken
    }

    /// What all repetitions come to.
    struct Sums {
        /// From the kill to the first answer on a survivor.
        var again: Measurement
        /// New connections to the survivors from then on.
        var new: Measurement
        /// New connections to all three, before.
        var undisturbed: Measurement
        var failedUnderWay = 0
        var failedMeanwhile = 0
        var held = 0
        var broken: [String] = []

        init(times: Int) {
            self.again = Measurement("answers again on a survivor", wanted: 2 * times, limit: PortTrial.limit)
            self.new = Measurement("new connections from then on", wanted: 1, limit: PortTrial.limit)
            self.undisturbed = Measurement("new connections before", wanted: 1, limit: nil)
        }
    }

    private func once(
        _ stage: ClusterStage, _ client: ClusterStage.Client, _ greeter: Greeter, _ sums: inout Sums
    ) async throws {
        let port = try await stage.waitForPort(client.name, "web", at: stage.servers, within: .seconds(20))
        try await stage.settle(stage.servers)
        let linked = await stage.linkedServers(of: client)
        guard linked.count == 1, let holder = stage.servers.first(where: { $0.name == linked.first }) else {
            throw StageError("the client has \(linked.count) links, not one")
        }
        let addresses = try stage.servers.map { try SocketAddress(ipAddress: $0.host.address, port: port) }
        let probe = ConnectionProbe(addresses + [greeter.address])
        probe.start()
        var fault = FaultMoment.now()
        do {
            try await Task.sleep(for: Self.before)
            fault = FaultMoment.now()
            stage.signal(holder, SIGKILL)
            try await Task.sleep(for: Self.after)
        } catch {
            _ = await probe.stop()
            throw error
        }
        let attempts = await probe.stop()
        let view = PortView(attempts: attempts, control: addresses.count, fault: fault.monotonic)
        view.add(servers: stage.servers.map(\.name), holder: holder.index, to: &sums)
        try await stage.restart(holder)
    }
}

/// What new connections saw of a fault; moments on CLOCK_MONOTONIC in milliseconds. Pure.
struct PortView {
    let attempts: [ConnectionProbe.Attempt]
    /// Which target leads straight to the backend.
    let control: Int
    let fault: Double

    /// Connections that were opened before the kill belong to what was before only when they were over by then.
    private var undisturbed: [ConnectionProbe.Attempt] {
        self.attempts.filter { $0.target != self.control && $0.due + $0.took < self.fault }
    }

    /// The slowest control of all.
    var controlSlowest: Double { self.attempts.filter { $0.target == self.control }.map(\.took).max() ?? 0 }

    /// When a target first answered a connection that was opened after the fault, in milliseconds after it.
    func answeredAgain(_ target: Int) -> Double? {
        self.attempts.filter { $0.target == target && $0.due >= self.fault && $0.failure == nil }
            .map { $0.due + $0.took - self.fault }.min()
    }

    /// Adds what was seen by this view; `holder` is the place of the server that was killed.
    func add(servers: [String], holder: Int, to sums: inout PortTrial.Sums) {
        let cost = self.controlSlowest
        for attempt in self.undisturbed { sums.undisturbed.add(Sample(took: attempt.took, control: cost)) }
        for attempt in self.undisturbed where attempt.failure != nil {
            sums.broken.append("\(servers[attempt.target]) did not answer before the kill: \(attempt.failure ?? "")")
        }
        for target in servers.indices where target != holder {
            let again = self.answeredAgain(target)
            sums.again.add(Sample(took: again, control: cost))
            sums.failedUnderWay += self.attempts.count { attempt in
                attempt.target == target && attempt.failure != nil && attempt.due < self.fault
                    && attempt.due + attempt.took >= self.fault
            }
            let since = self.fault + (again ?? .infinity)
            for attempt in self.attempts where attempt.target == target && attempt.due >= self.fault {
                if attempt.due < since {
                    if attempt.failure == nil { sums.held += 1 } else { sums.failedMeanwhile += 1 }
                } else {
                    sums.new.add(Sample(took: attempt.failure == nil ? attempt.took : nil, control: cost))
                }
            }
        }
    }
}
