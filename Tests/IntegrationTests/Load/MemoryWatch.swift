import Synchronization
import Testing

/// Samples what both daemons say of their memory while a load runs.
final class MemoryWatch: Sendable {
    struct Peak: Sendable, CustomStringConvertible {
        var samples = 0
        var charged = 0
        var budget = 0
        var replayed = 0
        var serverResident = 0
        var clientResident = 0

        var description: String {
            "peaks over \(self.samples) samples: \(self.charged >> 10) KiB charged of \(self.budget >> 20) MiB, "
                + "\(self.replayed >> 10) KiB kept for replay, RSS \(self.serverResident >> 20) MiB server, "
                + "\(self.clientResident >> 20) MiB client"
        }

        /// What was charged stays within the budget, what is kept for replay within `replay_buffer` and what one turn may add.
        func expectWithinBudget(replayBuffer: Int = 16 << 20) {
            #expect(self.samples > 0)
            #expect(self.charged <= self.budget)
            #expect(self.replayed <= replayBuffer + Self.slack)
        }

        /// The last frame that was sent below the bound, and control frames, which bypass it.
        private static let slack = 65_536 + (1 << 20)
    }

    private let pair: TunnelPair
    private let isStopped = Atomic<Bool>(false)

    init(pair: TunnelPair) { self.pair = pair }

    func stop() { self.isStopped.store(true, ordering: .relaxed) }

    func run() async throws -> Peak {
        var peak = Peak()
        while !self.isStopped.load(ordering: .relaxed) {
            try await self.sample(&peak)
            try await Task.sleep(for: .milliseconds(50))
        }
        return peak
    }

    /// Takes one sample.
    func sample(_ peak: inout Peak) async throws {
        for admin in [self.pair.serverAdmin, self.pair.clientAdmin] {
            let process = try await admin.status()["process"]
            peak.charged = max(peak.charged, process["memory_bytes"].int ?? .max)
            peak.budget = max(peak.budget, process["memory_budget_bytes"].int ?? 0)
            peak.replayed = max(peak.replayed, Int(try await admin.metric("gotunnel_session_replay_bytes") ?? 0))
        }
        peak.serverResident = max(peak.serverResident, try self.pair.server.residentBytes)
        peak.clientResident = max(peak.clientResident, try self.pair.client.residentBytes)
        peak.samples += 1
    }
}
