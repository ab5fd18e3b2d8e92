import Admin
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Five servers that fall into three and two, the leader with the two. A client that both sides reach; one that only the
/// minority reaches and one that only the majority reaches, each of which wants a mapped port.
struct SplitTrial {
    /// How long the minority is to assign nothing.
    var seconds: Int
    static let streams = 10
    static let patience = Duration.seconds(30)
    private static let (shared, poor, rich) = (5, 6, 7)
    private static let (majority, minority) = ([0, 1, 2], [3, 4])

    func run(_ plan: ClusterStage.Plan, _ outcome: inout TrialOutcome, say: (String) -> Void) async throws {
        var plan = plan
        (plan.servers, plan.otherHosts, plan.network) = (5, 3, .namespaces)
        outcome = try await ClusterStage.with(plan) { [outcome] stage in
            var outcome = outcome
            try await self.rehearse(stage, &outcome, say: say)
            return outcome
        }
    }

    private func rehearse(_ stage: ClusterStage, _ outcome: inout TrialOutcome, say: (String) -> Void) async throws {
        let servers = stage.servers
        let (three, two) = (Self.majority.map { servers[$0] }, Self.minority.map { servers[$0] })
        let shared = try await self.startShared(stage)
        let port = try await stage.waitForPort(shared.name, "pattern", at: servers, within: Self.patience)
        try await self.lead(two[0], stage, say)
        for server in two { try await self.openStreams("before", server, port, stage) }
        say("cuts \(two.map(\.name).joined(separator: " and ")) off")
        var logs = LogWatch(servers)
        let fault = FaultMoment.now()
        try stage.cut(Self.majority + [Self.rich], from: Self.minority + [Self.poor])
        // At once: its leader still believes that it leads.
        let poor = try await self.startNew("poor", Self.poor, two, stage)
        try await stage.wait(for: "the minority to have no leader", within: Self.patience) {
            for server in two where await stage.status(server)?.leader != nil { return false }
            return true
        }
        try await stage.settle(three, within: Self.patience)
        logs.read()
        self.tellLeaders(logs, fault, &outcome)
        for server in two { try await self.openStreams("during", server, port, stage) }
        _ = try await self.startNew("rich", Self.rich, three, stage)
        _ = try await stage.waitForPort("rich", "web", at: three, within: Self.patience)
        say("waits \(self.seconds) s for the minority to give a port, which it must not")
        try await self.watch(poor, two, stage, &outcome)
        say("heals")
        try stage.heal()
        try await self.checkHealed(stage, &outcome)
        try await self.checkStreams(stage, two, &outcome)
    }

    /// When the minority's leader stepped down, and when the majority had another.
    private func tellLeaders(_ logs: LogWatch, _ fault: FaultMoment, _ outcome: inout TrialOutcome) {
        let since = { (logged: [(server: String, entry: LogEntry)]) in
            logged.filter { fault.precedes($0.entry) }.map { fault.until($0.entry) }.min()
        }
        let gone = since(
            logs.all { $0.message == "leadership changed" && $0.fields["role"] != "leader" }
                .filter { $0.server == "server-\(Self.minority[0] + 1)" })
        let new = since(logs.all(\.isNewLeader))
        if let gone { outcome.tell("the minority's leader steps down after", gone.rounded(), "ms") }
        if let new { outcome.tell("the majority has a leader after", new.rounded(), "ms") }
        // Whoever leads alone gives nothing, but two that believe it are worth knowing of.
        if let gone, let new, new < gone { outcome.tell("two believe that they lead for", (gone - new).rounded(), "ms") }
    }

    /// A client with a session at every server, and the backend of its streams.
    private func startShared(_ stage: ClusterStage) async throws -> ClusterStage.Client {
        let host = stage.otherHosts[Self.shared - stage.servers.count]
        stage.cast["backend"] = try stage.spawn(
            [
                stage.program("gotunnel-chaos"), "backend", "--name", "backend", "--https", "127.0.0.1:6443", "--pattern",
                "127.0.0.1:7000",
            ], "backend", on: host)
        var client = ClusterStage.Client(name: "shared", host: host, servers: stage.servers, links: stage.servers.count)
        client.exposures = [("pattern", "127.0.0.1:7000", 0)]
        return try await stage.start(client)
    }

    /// Has a server of the minority lead: the harder case.
    private func lead(_ server: ClusterStage.Server, _ stage: ClusterStage, _ say: (String) -> Void) async throws {
        let leader = try await stage.settle(stage.servers)
        guard leader != server else { return }
        _ = try await stage.admin(leader, timeout: .seconds(20)).administer(.transfer(to: server.name))
        try await stage.wait(for: "\(server.name) to lead", within: Self.patience) {
            (try? await stage.settle(stage.servers)) == server
        }
    }

    private func openStreams(_ when: String, _ server: ClusterStage.Server, _ port: Int, _ stage: ClusterStage) async throws {
        let name = "streams-\(when)-\(server.name)"
        stage.cast[name] = try stage.spawn(
            [
                stage.program("gotunnel-chaos"), "traffic", "streams", "--forward", "\(server.host.address):\(port)", "--count",
                "\(Self.streams)", "--duration", "300s", "--output", "\(stage.plan.folder)/\(name).json",
            ], name, on: server.host)
        try await stage.wait(for: "\(name) to open", within: .seconds(15)) {
            (try? String(contentsOfFile: "\(stage.plan.folder)/\(name).log", encoding: .utf8))?.contains("opened") ?? false
        }
    }

    /// A client of one side that wants a mapped port.
    private func startNew(
        _ name: String, _ host: Int, _ servers: [ClusterStage.Server], _ stage: ClusterStage
    ) async throws -> ClusterStage.Client {
        var client = ClusterStage.Client(
            name: name, host: stage.otherHosts[host - stage.servers.count], servers: servers)
        client.exposures = [("web", "127.0.0.1:6443", 0)]
        return try await stage.start(client)
    }

    /// The minority gives no port, and says why.
    private func watch(
        _ poor: ClusterStage.Client, _ two: [ClusterStage.Server], _ stage: ClusterStage, _ outcome: inout TrialOutcome
    ) async throws {
        var reasons: Set<String> = []
        let end = ContinuousClock.now + .seconds(self.seconds)
        while ContinuousClock.now < end {
            for server in two {
                guard let row = await stage.exposure(poor.name, "web", at: server) else { continue }
                if let port = row.port { outcome.broken.append("\(server.name), of the minority, gave port \(port)") }
                if let reason = row.reason { reasons.insert(reason) }
            }
            // 0 is what its configuration says: any.
            if let port = await stage.clientStatus(poor)?.exposures.first?.port, port > 0 {
                outcome.broken.append("the client at the minority was given port \(port)")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        if !reasons.contains(where: { $0.contains("leader") || $0.contains("majority") }) {
            outcome.broken.append("the minority did not say why there is no port, but: \(reasons.sorted())")
        }
    }

    private func checkHealed(_ stage: ClusterStage, _ outcome: inout TrialOutcome) async throws {
        let fault = ContinuousClock.now
        let last = MutexBox<[String: Agreement.Registry]>([:])
        do {
            try await stage.settle(stage.servers, within: Self.patience)
            outcome.tell("one leader and nobody dead, after healing", Self.milliseconds(since: fault), "ms")
            try await stage.wait(for: "the same registry everywhere", within: Self.patience) {
                guard let tales = await self.registries(stage) else { return false }
                last.with { $0 = tales }
                let all = Array(tales.values)
                return all.count == stage.servers.count && all.allSatisfy { $0 == all[0] }
                    && all[0].exposures.count == 3 && all[0].exposures.allSatisfy { $0.port != nil }
            }
            outcome.tell("the same registry everywhere, after healing", Self.milliseconds(since: fault), "ms")
        } catch let error as StageError {
            outcome.broken.append("after healing: \(error)")
            try self.keep(last.with { $0 }, in: stage)
        }
        for (name, tale) in last.with({ $0 }).sorted(by: { $0.key < $1.key }) {
            let doubled = Agreement.doubled(tale.exposures)
            if !doubled.isEmpty { outcome.broken.append("\(name): ports of two exposures: \(doubled)") }
        }
    }

    /// What each server tells; nil when one does not answer.
    private func registries(_ stage: ClusterStage) async -> [String: Agreement.Registry]? {
        var tales: [String: Agreement.Registry] = [:]
        for server in stage.servers {
            guard let status = await stage.status(server), let clients = try? await stage.admin(server).clients(),
                let exposures = try? await stage.admin(server).exposures()
            else { return nil }
            tales[server.name] = Agreement.Registry(voters: status.voters, clients: clients, exposures: exposures)
        }
        return tales
    }

    /// Leaves what was told beside the logs, for those who look for the reason.
    private func keep(_ tales: [String: Agreement.Registry], in stage: ClusterStage) throws {
        let text = tales.sorted { $0.key < $1.key }.map { "\($0.key):\n\($0.value)\n" }.joined(separator: "\n")
        try Data(text.utf8).write(to: URL(filePath: "\(stage.plan.folder)/registries.txt"))
    }

    private func checkStreams(
        _ stage: ClusterStage, _ two: [ClusterStage.Server], _ outcome: inout TrialOutcome
    ) async throws {
        let names = ["before", "during"].flatMap { when in two.map { "streams-\(when)-\($0.name)" } }
        for name in names { stage.cast[name]?.signal(SIGTERM) }
        var (open, gap) = (0, 0.0)
        for name in names {
            _ = await stage.cast[name]?.waitForEnd(within: .seconds(10))
            let report = try TrafficFile.read(StreamsReport.self, from: "\(stage.plan.folder)/\(name).json")
            open += report.streams.count { $0.end == .open }
            gap = max(gap, report.streams.map(\.longestGapMs).max() ?? 0)
            outcome.broken += report.streams.filter { $0.end != .open }.prefix(3).map {
                "\(name): a stream through the minority ended: \($0.error ?? "\($0.end)")"
            }
        }
        outcome.tell("streams through the minority that went on", Double(open), "of \(names.count * Self.streams)")
        outcome.tell("longest time without a byte on any of them", gap, "ms")
    }

    private static func milliseconds(since start: ContinuousClock.Instant) -> Double {
        Double((ContinuousClock.now - start) / .milliseconds(1)).rounded()
    }
}
