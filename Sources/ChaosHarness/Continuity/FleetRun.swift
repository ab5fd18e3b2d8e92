import Foundation
import Logging
import NIOCore
import Settings
import TunnelClient

#if canImport(Glibc)
import Glibc
#endif

/// A thousand clients, each from an address of its own in 127.1.0.0/16, lose one of their three servers at once.
package struct FleetRun: Sendable {
    /// What the loss of a server did to the fleet.
    package struct Outcome: Sendable, Codable, Equatable {
        package var clients: Int
        /// Seconds from the start until every client had two links.
        package var gathered: Double
        /// Clients that had a link with the server that was killed.
        package var lost: Int
        /// Seconds from the kill until every client had two links again.
        package var recovered: Double
        /// The most links that came up in a tenth of a second, of all that came up.
        package var peak: Int
        /// How much TcpExtListenOverflows grew.
        package var overflows: Int
        package var broken: [String] = []

        var text: String {
            let share = self.lost > 0 ? self.peak * 100 / self.lost : 0
            return "\(self.clients) clients lose one of three servers (\(self.lost) links): all have two again after "
                + String(format: "%.1f s", self.recovered) + ";\n    at most \(share) % of them came in any tenth of a second; "
                + "listen queue overflows: \(self.overflows)"
        }
    }

    package var programs: String
    package var folder: String
    package var clients = 1_000

    package init(programs: String, folder: String) {
        self.programs = programs
        self.folder = folder
    }

    package func run(say: @Sendable (String) -> Void) async throws -> Outcome {
        OpenFiles.raiseLimit()
        var plan = Stage.Plan(programs: self.programs, folder: "\(self.folder)/fleet")
        plan.hasClient = false
        let stage = try await Stage.raise(plan)
        do {
            let outcome = try await self.rehearse(stage, say: say)
            await stage.strike()
            return outcome
        } catch {
            await stage.strikeAnyway()
            throw error
        }
    }

    private func rehearse(_ stage: Stage, say: @Sendable (String) -> Void) async throws -> Outcome {
        let settings = self.settings(stage)
        say("starts \(self.clients) clients")
        var quiet = Logger(label: "fleet")
        quiet.logLevel = .critical
        let began = ContinuousClock.now
        let fleet = try await LightClients.start(
            self.clients, settings: settings, surroundings: .current(environment: [:]), logger: quiet,
            source: { number in try? SocketAddress(ipAddress: "127.1.\(number / 250).\(number % 250 + 1)", port: 0) })
        do {
            let outcome = try await self.strike(stage, fleet, began, say: say)
            try await fleet.stop()
            return outcome
        } catch {
            try? await fleet.stop()
            throw error
        }
    }

    private func strike(
        _ stage: Stage, _ fleet: LightClients, _ began: ContinuousClock.Instant, say: @Sendable (String) -> Void
    ) async throws -> Outcome {
        _ = try await self.wait(fleet, within: .seconds(90), besides: nil) { $0.clients(withAtLeast: 2) == self.clients }
        let gathered = Self.seconds(ContinuousClock.now - began)
        // What was dialled beside the rest may still be on its way.
        try await Task.sleep(for: .seconds(2))
        let gatheredLinks = try await fleet.snapshot().byServer.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        say("all have two links after \(String(format: "%.1f s", gathered)): \(gatheredLinks.joined(separator: ", "))")
        let overflows = Self.listenOverflows()
        let before = try await fleet.snapshot()
        let struck = stage.places[0]
        say("kills \(struck.name), which holds \(before.byServer[struck.name] ?? 0) links")
        stage.cast[struck.name]?.signal(SIGKILL)
        let fault = ContinuousClock.now
        let peak = try await self.wait(fleet, within: .seconds(60), besides: struck.name) {
            $0.byServer[struck.name] == nil && $0.clients(withAtLeast: 2) == self.clients
        }
        var outcome = Outcome(
            clients: self.clients, gathered: gathered, lost: before.byServer[struck.name] ?? 0,
            recovered: Self.seconds(ContinuousClock.now - fault), peak: peak, overflows: Self.listenOverflows() - overflows)
        if outcome.recovered > 10 { outcome.broken.append("it took longer than 10 s until all had two links again") }
        if outcome.overflows > 0 { outcome.broken.append("a listen queue overflowed \(outcome.overflows) times") }
        if peak * 4 > outcome.lost { outcome.broken.append("more than a quarter came back in one tenth of a second") }
        return outcome
    }

    private func settings(_ stage: Stage) -> ClientSettings {
        var settings = ClientSettings(
            name: "light", token: .file(stage.tokenFile), servers: stage.serverAddresses.compactMap { HostPort($0) },
            stateDirectory: stage.plan.folder, admin: AdminSettings(socket: "\(stage.plan.folder)/light.sock"))
        settings.memoryBudget = 2 << 30
        return settings
    }

    /// Waits until `isDone`; gives the most links that came up in any tenth of a second at servers other than `struck`.
    private func wait(
        _ fleet: LightClients, within limit: Duration, besides struck: String?, _ isDone: (LightClients.Snapshot) -> Bool
    ) async throws -> Int {
        let links = { (snapshot: LightClients.Snapshot) in
            snapshot.byServer.reduce(0) { $0 + ($1.key == struck ? 0 : $1.value) }
        }
        let end = ContinuousClock.now + limit
        var (peak, last) = (0, try await fleet.snapshot())
        while !isDone(last) {
            guard ContinuousClock.now < end else { throw StageError("the clients have not all the links they want: \(last)") }
            try await Task.sleep(for: .milliseconds(100))
            let now = try await fleet.snapshot()
            peak = max(peak, links(now) - links(last))
            last = now
        }
        return peak
    }

    private static func seconds(_ span: Duration) -> Double {
        Double(span.components.seconds) + Double(span.components.attoseconds) / 1e18
    }

    /// TcpExtListenOverflows of this machine.
    static func listenOverflows() -> Int {
        let lines = (try? String(contentsOfFile: "/proc/net/netstat", encoding: .utf8))?.split(separator: "\n") ?? []
        let rows = lines.filter { $0.hasPrefix("TcpExt:") }.map { $0.split(separator: " ") }
        guard rows.count == 2, let index = rows[0].firstIndex(of: "ListenOverflows"), index < rows[1].count else { return 0 }
        return Int(rows[1][index]) ?? 0
    }
}
