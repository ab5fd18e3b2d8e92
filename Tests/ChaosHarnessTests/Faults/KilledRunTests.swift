import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

extension MachineFaults {
    /// A run that is killed, as it is for real: this test program once more, which makes what a run makes.
    @Suite("A run that is killed", .enabled(if: isRoot, "needs root"))
    struct KilledRunTests {
        private static let folderVariable = "GOTUNNEL_FAULTS_TEST_RUN"
        private static let folder = ProcessInfo.processInfo.environment[folderVariable]

        @Test("(the run)", .enabled(if: folder != nil, "is for the other test to start"))
        func run() async throws {
            let folder = try #require(Self.folder)
            let leftovers = try Leftovers.begin(in: "\(folder)/notes")
            let lab = try NamespaceLab(hosts: 2, roundTrip: .milliseconds(2), leftovers: leftovers)
            _ = try lab.begin(.cut(0, 1))
            let disk = try SmallDisk(at: "\(folder)/disk", bytes: 1 << 20, leftovers: leftovers)
            try disk.fill()
            try leftovers.note(.folder("\(folder)/work"))
            try FileManager.default.createDirectory(atPath: "\(folder)/work", withIntermediateDirectories: true)
            func start(_ command: [String], _ name: String, in host: StageHost = .loopback) throws -> StagedProcess {
                try StagedProcess.start(command, name: name, log: "\(folder)/\(name).log", in: host, leftovers: leftovers)
            }
            let starved = try start(["sleep", "600"], "starved", in: lab.hosts[0])
            let starvation = try Starvation(of: starved.pid, share: 0.1, leftovers: leftovers)
            // One that nobody's death is told to.
            let parent = try start(["sh", "-c", "setsid sleep 600 & echo $! > \(folder)/orphan"], "parent")
            _ = await parent.waitForEnd(within: .seconds(30))
            try Data("\(starvation.means) \(starved.pid)\n".utf8).write(to: URL(filePath: "\(folder)/ready"))
            try await Task.sleep(for: .seconds(600))
            disk.remove()
            starvation.end()
        }

        @Test("leaves nothing behind when the next one has begun: no process, namespace, mount, group or folder")
        func killed() async throws {
            try await withFolder { folder in
                let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
                let command = [own, "--testing-library", "swift-testing", "--filter", "KilledRunTests/run"]
                try await withProgram(command, environment: [Self.folderVariable: folder]) { run, log in
                    try await eventually("the run: \(text(log))") { text("\(folder)/ready").hasSuffix("\n") || !run.isRunning }
                    #expect(run.isRunning, "\(text(log))")
                    let living = Self.traces(of: run.pid, folder)
                    #expect(living.namespaces == 3 && living.mounts == 1 && living.groups <= 1, "\(living)")
                    LeftoverSweep("\(folder)/notes").sweep()
                    #expect(Self.traces(of: run.pid, folder) == living, "a living run's things are its own")
                    run.signal(SIGKILL)
                    #expect(await run.waitForEnd(within: .seconds(30)))
                    let dead = Self.traces(of: run.pid, folder)
                    #expect(dead.namespaces == 3 && dead.mounts == 1 && dead.folders == 1, "\(dead)")
                    #expect(dead.processes >= 1, "the orphan is there, else this proves nothing")
                    let next = try Leftovers.begin(in: "\(folder)/notes")
                    #expect(Self.traces(of: run.pid, folder) == Traces())
                    next.end()
                    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/notes").isEmpty)
                }
            }
        }

        private struct Traces: Equatable {
            var processes = 0
            var namespaces = 0
            var mounts = 0
            var groups = 0
            var folders = 0
        }

        private static func traces(of run: pid_t, _ folder: String) -> Traces {
            let files = FileManager.default
            let names = (try? files.contentsOfDirectory(atPath: "/run/netns")) ?? []
            let groups = ControlGroup.cpu().flatMap { try? files.contentsOfDirectory(atPath: $0.path) } ?? []
            let processes = ProcessTable.all().filter {
                ProcessTable.variable(RunMark.variable, of: $0).flatMap { RunMark($0) }?.pid == run
                    && ProcessTable.startTime(of: $0).map { [pid = $0] in ProcessTable.isRunning(pid, since: $0) } ?? false
            }
            return Traces(
                processes: processes.count, namespaces: names.count { $0.hasPrefix("gtc\(run)-") },
                mounts: Mounts.now().count { $0.path.hasPrefix(folder) },
                groups: groups.count { $0.hasPrefix("gotunnel-chaos-\(run)-") },
                folders: files.fileExists(atPath: "\(folder)/work") ? 1 : 0)
        }
    }
}
