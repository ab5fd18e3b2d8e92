import Foundation
import NIOCore
import Synchronization
import Testing

@testable import ChaosHarness

@Suite("Faults and staged programs")
struct FaultsTests {
    @Test("a reset relay carries every byte until it is told to reset, and goes on afterwards")
    func relay() async throws {
        let pace = PatternPace(chunk: 4096, interval: .milliseconds(5))
        try await withBackend("one", pace: pace) { backend in
            let relay = try await ResetRelay.start(to: try #require(backend.patternAddress.port))
            let address = try SocketAddress(ipAddress: "127.0.0.1", port: relay.port)
            for round in 1...2 {
                let traffic = StreamTraffic(self.plan(address, pace))
                let report = try await traffic.run { count in
                    #expect(count == 5)
                    relay.resetAll()
                }
                #expect(report.streams.allSatisfy { $0.end == .reset && $0.server == "one" }, "\(round): \(report.streams)")
            }
            let traffic = StreamTraffic(self.plan(address, pace))
            let report = try await traffic.run { _ in
                Task {
                    try await until { backend.stats.patternStreams == 15 }
                    traffic.stop()
                }
            }
            #expect(report.streams.allSatisfy { $0.end == .open })
            #expect(backend.stats.corrupt == 0)
            await relay.stop()
        }
    }

    @Test("a program outlives the thread that ordered it, and ends when it is told to")
    func staged() async throws {
        let log = NSTemporaryDirectory() + "gotunnel-chaos-\(UUID().uuidString).log"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let started = Mutex<StagedProcess?>(nil)
        let thread = Thread {
            let process = try? StagedProcess.start(["sleep", "60"], name: "sleeper", log: log, in: .loopback)
            started.withLock { $0 = process }
        }
        thread.start()
        while !thread.isFinished { try await Task.sleep(for: .milliseconds(5)) }
        let sleeper = try #require(started.withLock { $0 })
        // The end of a thread is told to its children within moments; another program's whole life is longer.
        try Shell.run(["sleep", "0.2"])
        #expect(sleeper.isRunning)
        sleeper.signal(SIGKILL)
        #expect(await sleeper.waitForEnd(within: .seconds(10)))
        #expect(!sleeper.isRunning)
    }

    @Test("a log keeps what a program's former lives have said")
    func logs() async throws {
        let log = NSTemporaryDirectory() + "gotunnel-chaos-\(UUID().uuidString).log"
        defer { try? FileManager.default.removeItem(atPath: log) }
        for word in ["one", "two"] {
            let process = try StagedProcess.start(["echo", word], name: "speaker", log: log, in: .loopback)
            #expect(await process.waitForEnd(within: .seconds(10)))
        }
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "one\ntwo\n")
    }

    @Test("a command that fails says which and why, on one line")
    func shell() throws {
        #expect(try Shell.run(["cat"], input: "what is fed comes back") == "what is fed comes back")
        let error = #expect(throws: StageError.self) { try Shell.run(["sh", "-c", "echo no such thing >&2; exit 3"]) }
        #expect(error?.description.hasSuffix(": no such thing") == true)
        let outcome = try Shell.outcome(of: ["sh", "-c", "echo some; echo no such thing >&2; exit 3"])
        #expect(outcome.said == "some\n" && outcome.failure == "no such thing")
    }

    @Test("a program that closes what it was born with and executes another is still the same program")
    func executesAnother() async throws {
        let log = NSTemporaryDirectory() + "gotunnel-chaos-\(UUID().uuidString).log"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let script = "for file in /proc/self/fd/*; do fd=${file##*/}; [ $fd -gt 2 ] && eval \"exec $fd>&-\"; done; exec sleep 60"
        let process = try StagedProcess.start(["sh", "-c", script], name: "changeling", log: log, in: .loopback)
        try Shell.run(["sleep", "0.2"])
        #expect(process.isRunning)
        process.signal(SIGTERM)
        #expect(await process.waitForEnd(within: .seconds(10)))
    }

    private func plan(_ address: SocketAddress, _ pace: PatternPace) -> StreamsPlan {
        StreamsPlan(forward: address, count: 5, duration: .seconds(60), openLimit: .seconds(20), pace: pace, seed: 42)
    }
}
