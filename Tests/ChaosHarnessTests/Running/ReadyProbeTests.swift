import ChaosCore
import Testing

@testable import ChaosHarness

@Suite("The probe of a running cluster")
struct ReadyProbeTests {
    private static func outcome(_ address: String, patience: Duration = .seconds(10)) async throws -> String? {
        try await ProbeRequest(#require(ProbeAddress(address)), patience: patience).ask()
    }

    @Test("a good answer, a bad one, half of one, none, and nobody there are told apart")
    func outcomes() async throws {
        let server = try await TinyServer.start()
        let base = "http://127.0.0.1:\(server.port)"
        #expect(try await Self.outcome("\(base)/good") == nil)
        #expect(try await Self.outcome("\(base)/bad") == "answered with status 503")
        #expect(try await Self.outcome("\(base)/half") == "closed before the answer was complete")
        #expect(try await Self.outcome("\(base)/never", patience: .milliseconds(200)) == "no answer in time")
        #expect(try await Self.outcome("https://127.0.0.1:\(server.port)/good", patience: .seconds(5)) != nil, "it speaks no TLS")
        try await server.stop()
        #expect(try await Self.outcome("\(base)/good") == "connection refused")
    }

    @Test("asks again and again, and notes each")
    func repeats() async throws {
        let server = try await TinyServer.start()
        let address = try #require(ProbeAddress("http://127.0.0.1:\(server.port)/good"))
        let probe = try ReadyProbe(address, of: ProbePlan(url: address, every: .milliseconds(10)), who: "worker-1")
        probe.start()
        while probe.observations.count < 5 { try await Task.sleep(for: .milliseconds(10)) }
        await probe.stop()
        let all = probe.observations
        #expect(all.allSatisfy { $0.what == .done && $0.who == "worker-1" && $0.kind == .new && $0.took ?? 0 > 0 })
        try await Task.sleep(for: .milliseconds(50))
        #expect(probe.observations.count == all.count, "it has stopped")
        try await server.stop()
    }
}
