import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

@Suite("What the kernel says of processes")
struct ProcessTableTests {
    @Test("a process is one of its id and its start; one that has ended is none")
    func identity() async throws {
        let own = try #require(ProcessTable.startTime(of: getpid()))
        #expect(ProcessTable.isRunning(getpid(), since: own))
        #expect(!ProcessTable.isRunning(getpid(), since: own + 1))
        #expect(ProcessTable.startTime(of: .max) == nil)
        let start = try await withProgram(["sleep", "60"]) { process, _ in
            let start = try #require(ProcessTable.startTime(of: process.pid))
            #expect(ProcessTable.isRunning(process.pid, since: start))
            #expect(ProcessTable.group(of: process.pid) == process.pid)
            await process.stop()
            #expect(!ProcessTable.isRunning(process.pid, since: start))
            return start
        }
        #expect(start >= own)
    }

    @Test("the family of a process is it, its children, and theirs")
    func family() async throws {
        try await withProgram(["sh", "-c", "sh -c 'sleep 60 & wait' & wait"]) { process, _ in
            try await eventually("three generations") { ProcessTable.family(of: process.pid).count == 3 }
            #expect(ProcessTable.family(of: process.pid).first == process.pid)
            #expect(ProcessTable.family(of: getpid()).contains(process.pid))
        }
        #expect(ProcessTable.family(of: .max).isEmpty)
    }

    @Test("the name of a program may hold anything")
    func names() {
        #expect(ProcessTable.fields(stat: "42 (a ) b (c) S 1 40\n")?.map(String.init) == ["S", "1", "40"])
        #expect(ProcessTable.fields(stat: "42") == nil)
    }

    @Test("a sample says what a process holds, and grows with it")
    func samples() async throws {
        let few = try #require(ProcessSamples.now(of: getpid(), name: "own", at: 7))
        #expect(few.name == "own" && few.t == 7 && few.memory > 1 << 20 && few.openFiles > 2)
        let script = "exec 7</dev/null 8</dev/null; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; exec sleep 60"
        try await withProgram(["bash", "-c", script]) { process, log in
            try await eventually("the work to be done") { text(log) == "done\n" }
            let sample = try #require(ProcessSamples.now(of: process.pid, name: "worker", at: 1))
            #expect(sample.openFiles == 5 && sample.cpu > 0)
            await process.stop()
            #expect(ProcessSamples.now(of: process.pid, name: "worker", at: 2) == nil)
        }
        #expect(ProcessSamples.residentPages(statm: "100 20 3 4 0 5 0\n") == 20)
        #expect(ProcessSamples.residentPages(statm: "") == nil)
    }

    @Test("mounts are read as the kernel writes them, spaces in octal")
    func mounts() {
        let text = """
            22 1 0:21 / /sys/fs/cgroup/cpu rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct
            23 1 0:22 / /a\\040b\\134c rw - tmpfs gotunnel\\040x rw,size=1024k
            torn 1 0:22
            """
        let mounts = Mounts.parse(text)
        #expect(mounts.count == 2)
        #expect(mounts.first?.options == ["rw", "cpu", "cpuacct"])
        #expect(mounts.last == Mounts.Mount(path: "/a b\\c", type: "tmpfs", source: "gotunnel x", options: ["rw", "size=1024k"]))
    }

    @Test("interference is a share of what all processors could do")
    func interference() throws {
        let before = try #require(Interference.Reading(stat: "cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1 1\n"))
        let after = try #require(Interference.Reading(stat: "cpu  20 0 20 100 20 0 10 20 5 0\n"))
        let share = try #require(Interference(from: before, to: after))
        #expect(abs(share.idle - 40.0 / 90) < 1e-9 && abs(share.stolen - 20.0 / 90) < 1e-9)
        #expect(Interference(from: before, to: before) == nil)
        #expect(Interference.Reading(stat: "intr 1") == nil)
        #expect(Interference.Reading.now() != nil)
    }
}
