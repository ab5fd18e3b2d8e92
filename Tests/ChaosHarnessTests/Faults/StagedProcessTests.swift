import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

@Suite("How staged programs end")
struct StagedProcessTests {
    @Test(
        "a program's end is known by its signal or code, and its time whoever asks for it and when",
        arguments: [("exit 0", "exit 0"), ("exit 3", "exit 3"), ("kill -KILL $$", "SIGKILL"), ("kill -TERM $$", "SIGTERM")])
    func ends(script: String, end: String) async throws {
        try await withProgram(["sh", "-c", script]) { process, _ in
            #expect(await process.waitForEnd(within: .seconds(30)))
            #expect(process.endText == end)
            let ended = try #require(process.ended)
            #expect(ended >= process.started)
            #expect(process.ended == ended, "it does not change any more")
        }
    }

    @Test("while it runs there is no end, and a stopped one runs")
    func running() async throws {
        try await withProgram(["sleep", "60"]) { process, _ in
            process.signal(SIGSTOP)
            #expect(process.isRunning && process.ended == nil && process.endText == nil)
            process.signal(SIGKILL)
            #expect(await process.waitForEnd(within: .seconds(30)))
            #expect(process.end == .signal(SIGKILL))
        }
    }

    @Test("a program has the additions to its environment, the run's mark and its limits")
    func surroundings() async throws {
        let script = "echo $EXTRA $GOTUNNEL_CHAOS_RUN $PATH; ulimit -n"
        try await withProgram(["sh", "-c", script], environment: ["EXTRA": "word"], limits: ProcessLimits(openFiles: 77)) {
            process, log in
            #expect(await process.waitForEnd(within: .seconds(30)))
            let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
            #expect(text(log) == "word \(RunMark.own.text) \(path)\n77\n")
        }
    }

    @Test("limits are set by a program that makes way, and none where there are none")
    func limits() {
        #expect(ProcessLimits().command.isEmpty)
        #expect(
            ProcessLimits(openFiles: 5, memory: 6, fileSize: 7).command
                == ["prlimit", "--nofile=5:5", "--as=6:6", "--fsize=7:7", "--"])
    }

    @Test("the words of an end")
    func words() {
        #expect(ProcessEnd(status: 0).description == "exit 0")
        #expect(ProcessEnd(status: 0x0100).description == "exit 1")
        #expect(ProcessEnd(status: 11).description == "SIGSEGV")
        #expect(ProcessEnd(status: 0x80 | 6).description == "SIGABRT", "with a core")
        #expect(ProcessEnd(status: 40).description == "signal 40")
    }
}
