import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

extension MachineFaults {
    @Suite("A process without CPU")
    struct StarvationTests {
        /// Two processes that compute all the time.
        private static let busy = ["bash", "-c", "(while :; do :; done) & while :; do :; done"]

        private func computed(_ pid: pid_t) -> Double {
            ProcessTable.family(of: pid).map { ProcessorTime.now(of: $0) }.reduce(0, +)
        }

        /// What it computes per second of this machine's time.
        private func share(_ process: StagedProcess, over seconds: Double) async throws -> Double {
            let (before, start) = (self.computed(process.pid), TrafficClock.now())
            try await Task.sleep(for: .seconds(seconds))
            return (self.computed(process.pid) - before) / ((TrafficClock.now() - start) / 1_000)
        }

        private func starve(_ means: Starvation.Means) async throws {
            try await withProgram(Self.busy) { process, _ in
                try await eventually("both to compute") { self.computed(process.pid) > 0.2 }
                let starvation = try Starvation(of: process.pid, share: 0.1, means: means)
                #expect(starvation.means == means)
                // An upper bound only, and wide: how much more it gets than nothing is not for the run to promise.
                let starved = try await self.share(process, over: 2)
                #expect(starved < 0.2, "\(starved)")
                let some = self.computed(process.pid)
                try await eventually("it to get on at all") { self.computed(process.pid) > some }
                starvation.end()
                let fed = self.computed(process.pid)
                try await eventually("it to get on as it likes") { self.computed(process.pid) > fed + 1 }
                let family = ProcessTable.family(of: process.pid)
                process.signal(SIGTERM)
                for child in family.dropFirst() { kill(child, SIGKILL) }
            }
        }

        @Test("by turns it gets its share and no more, its children included, until it ends")
        func turns() async throws { try await self.starve(.turns) }

        @Test("by a control group it gets its share and no more", .enabled(if: isRoot && ControlGroup.cpu() != nil, "needs root"))
        func group() async throws { try await self.starve(.controlGroup) }

        @Test(
            "of two the latest holds, whichever ends first, and no group is left",
            .enabled(if: isRoot && ControlGroup.cpu()?.version == .one))
        func two() async throws {
            try await withProgram(["sleep", "60"]) { process, _ in
                let hierarchy = try #require(ControlGroup.cpu())
                let home = ControlGroup.group(of: process.pid, in: hierarchy)
                for isFirstFirst in [true, false] {
                    let one = try Starvation(of: process.pid, share: 0.5)
                    let first = try #require(ControlGroup.group(of: process.pid, in: hierarchy))
                    let other = try Starvation(of: process.pid, share: 0.005)
                    let second = try #require(ControlGroup.group(of: process.pid, in: hierarchy))
                    #expect(first != second && text("\(second)/cpu.cfs_quota_us") == "1000\n")
                    #expect(text("\(second)/cpu.cfs_period_us") == "200000\n")
                    (isFirstFirst ? one : other).end()
                    #expect(ControlGroup.group(of: process.pid, in: hierarchy) == (isFirstFirst ? second : first))
                    (isFirstFirst ? other : one).end()
                    #expect(ControlGroup.group(of: process.pid, in: hierarchy) == home)
                    for path in [first, second] { #expect(!FileManager.default.fileExists(atPath: path)) }
                }
                let late = try Starvation(of: process.pid, share: 0.5)
                await process.stop()
                late.end()
            }
        }

        @Test("a share is above nothing, and one CPU at most; nobody is no process")
        func refused() {
            for share in [0, -1, 1.5, .nan] { #expect(throws: StageError.self) { try Starvation(of: getpid(), share: share) } }
            #expect(throws: StageError.self) { try Starvation(of: .max, share: 0.5) }
        }

        @Test("what is written to the kernel's files, and read from them, in both versions")
        func files() {
            #expect(ControlGroup.limit(0.05, .one).map(\.text) == ["100000", "5000"])
            #expect(ControlGroup.limit(0.05, .two).map(\.text) == ["5000 100000"])
            #expect(ControlGroup.limit(0.0001, .two).map(\.text) == ["1000 1000000"])
            let text = "2:cpuacct:/x\n1:cpu,cpuset:/a:b\n0::/user.slice\n"
            #expect(ControlGroup.name(text, .one) == "/a:b")
            #expect(ControlGroup.name(text, .two) == "/user.slice")
            #expect(ControlGroup.name("", .two) == nil)
        }
    }
}
