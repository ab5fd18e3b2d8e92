import NIOCore
import NIOPosix
import Testing

@testable import ChaosHarness

@Suite("A mapped port as new connections see it")
struct PortViewTests {
    private typealias Attempt = ConnectionProbe.Attempt
    private static let servers = ["server-1", "server-2", "server-3"]
    private static let fault = 10_000.0

    /// Attempts each 10 ms for a second before and after the fault; those at a survivor wait until `again` after it.
    private func attempts(again: Double, failure: String? = nil) -> [Attempt] {
        stride(from: Self.fault - 1_000, to: Self.fault + 1_000, by: 10).flatMap { due in
            (0..<4).map { target in
                guard target < 3, due >= Self.fault else { return Attempt(target: target, due: due, took: 3, failure: nil) }
                if target == 0 { return Attempt(target: target, due: due, took: 1, failure: "connecting: connection refused") }
                let wait = max(3, Self.fault + again - due)
                return Attempt(target: target, due: due, took: failure == nil ? wait : 1, failure: wait > 3 ? failure : nil)
            }
        }
    }

    private func judge(_ attempts: [Attempt]) -> PortTrial.Sums {
        var sums = PortTrial.Sums(times: 1)
        PortView(attempts: attempts, control: 3, fault: Self.fault).add(servers: Self.servers, holder: 0, to: &sums)
        return sums
    }

    @Test("those that were held are counted until the first is answered, and the rest is judged from then on")
    func held() {
        let sums = self.judge(self.attempts(again: 98))
        #expect(sums.again.row.values == [98, 98] && sums.again.verdict == .held)
        #expect(sums.held == 20 && sums.failedMeanwhile == 0)
        #expect(sums.new.judged.count == 180 && sums.new.verdict == .held)
        #expect(sums.undisturbed.judged.count == 300 && sums.broken.isEmpty)
    }

    @Test("failures before the first answer are told, after it they break the promise")
    func failed() {
        var attempts = self.attempts(again: 98, failure: "connection reset")
        let sums = self.judge(attempts)
        #expect(sums.failedMeanwhile == 20 && sums.again.verdict == .held && sums.new.verdict == .held)
        guard let late = attempts.lastIndex(where: { $0.target == 2 }) else { return }
        attempts[late].failure = "connection reset"
        #expect(self.judge(attempts).new.verdict == .broken)
    }

    @Test("a survivor that answers late, or never, breaks the promise")
    func late() {
        #expect(self.judge(self.attempts(again: 304)).again.verdict == .broken)
        var attempts = self.attempts(again: 50)
        for index in attempts.indices where attempts[index].target == 1 && attempts[index].due >= Self.fault {
            attempts[index].failure = "no byte within 5000 ms"
        }
        let sums = self.judge(attempts)
        #expect(sums.again.row.never == 1 && sums.again.verdict == .broken)
        #expect(sums.failedMeanwhile == 100)
    }

    @Test("a failure before the kill is broken whatever the control; one that was under way at the kill is told")
    func before() {
        var attempts = self.attempts(again: 50)
        attempts[1].failure = "connection refused"
        #expect(self.judge(attempts).broken == ["server-2 did not answer before the kill: connection refused"])
        attempts = self.attempts(again: 50)
        guard let last = attempts.lastIndex(where: { $0.target == 1 && $0.due < Self.fault }) else { return }
        attempts[last].took = 40
        attempts[last].failure = "connection reset"
        let sums = self.judge(attempts)
        #expect(sums.broken.isEmpty && sums.failedUnderWay == 1)
    }

    @Test("a slow control makes the times void")
    func void() {
        var attempts = self.attempts(again: 2_000)
        guard let control = attempts.firstIndex(where: { $0.target == 3 }) else { return }
        attempts[control].took = 150
        let sums = self.judge(attempts)
        #expect(sums.again.verdict == .void && sums.again.needsMore)
    }

    @Test("a probe greets whoever answers, and names those who do not")
    func probe() async throws {
        let greeter = try await Greeter.start()
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0)
            .get()
        let address = try #require(silent.localAddress)
        let nobody = try SocketAddress(ipAddress: "127.0.0.1", port: try StagePorts.free())
        let probe = ConnectionProbe([greeter.address, address, nobody], patience: .milliseconds(300))
        probe.start()
        try await Task.sleep(for: .milliseconds(200))
        let attempts = await probe.stop()
        await greeter.stop()
        try await silent.close().get()
        let byTarget = Dictionary(grouping: attempts, by: \.target)
        #expect(byTarget[0]?.allSatisfy { $0.failure == nil } == true)
        #expect(byTarget[1]?.allSatisfy { $0.failure?.contains("no byte") == true } == true)
        #expect(byTarget[2]?.allSatisfy { $0.failure?.contains("refused") == true } == true)
        #expect(Set(byTarget.values.map(\.count)).count == 1)
    }
}
