import CSpawn
import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A program that the stage has started. It ends with the stage, and with this process should that be killed.
package final class StagedProcess: Sendable {
    package let name: String
    /// Its own process id, also inside a network namespace: `ip` and `setpriv` make way for it.
    package let pid: pid_t
    private let hasEnded = Mutex(false)

    private init(name: String, pid: pid_t) {
        self.name = name
        self.pid = pid
    }

    /// Starts a program whose output and errors are appended to `log`.
    ///
    /// Not with Foundation's `Process`: that takes a program for ended that executes another in its own place.
    package static func start(_ command: [String], name: String, log: String, in host: StageHost) throws -> StagedProcess {
        let descriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StageError("\(log) cannot be written: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let whole = ["env"] + host.command(["setpriv", "--pdeathsig", "KILL", "--"] + command)
        let pid = Mutex<pid_t>(0)
        try LastingThread.shared.run {
            let (found, failure) = Self.spawn("/usr/bin/env", whole, output: descriptor)
            guard failure == 0 else { throw StageError("\(name) cannot be started: \(String(cString: strerror(failure)))") }
            pid.withLock { $0 = found }
        }
        return StagedProcess(name: name, pid: pid.withLock { $0 })
    }

    private static func spawn(_ program: String, _ arguments: [String], output: CInt) -> (pid_t, failure: CInt) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid = pid_t()
        let failure = posix_spawn(&pid, program, &actions, &attributes, &words, environ)
        return (pid, failure)
    }

    package var isRunning: Bool {
        self.hasEnded.withLock { hasEnded in
            var status: CInt = 0
            if !hasEnded, waitpid(self.pid, &status, WNOHANG) != 0 { hasEnded = true }
            return !hasEnded
        }
    }

    /// Sends a signal to this one process, if it still runs.
    package func signal(_ number: Int32) {
        guard self.isRunning else { return }
        kill(self.pid, number)
    }

    /// Waits until it has ended; false when it has not by then, or when the task is cancelled.
    package func waitForEnd(within limit: Duration) async -> Bool {
        let end = ContinuousClock.now + limit
        while self.isRunning {
            if ContinuousClock.now >= end || Task.isCancelled { return false }
            try? await Task.sleep(for: .milliseconds(2))
        }
        return true
    }

    /// Ends it: SIGTERM, then SIGKILL.
    package func stop() async {
        self.signal(SIGCONT)
        self.signal(SIGTERM)
        if await self.waitForEnd(within: .seconds(2)) { return }
        self.signal(SIGKILL)
        _ = await self.waitForEnd(within: .seconds(2))
    }
}

/// A thread that lives as long as this process. The signal that a child gets at its parent's death comes at the death of
/// the *thread* that started it (prctl(2), PR_SET_PDEATHSIG), and those of a pool end when they have nothing to do.
private final class LastingThread: Sendable {
    static let shared = LastingThread()

    private struct Job: Sendable {
        let body: @Sendable () throws -> Void
        let result = MutexBox<Result<Void, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)
    }

    private let jobs = MutexBox<[Job]>([])
    private let arrived = DispatchSemaphore(value: 0)

    private init() {
        Thread.detachNewThread { [self] in
            while true {
                self.arrived.wait()
                guard let job = self.jobs.with({ $0.isEmpty ? nil : $0.removeFirst() }) else { continue }
                let result = Result { try job.body() }
                job.result.with { $0 = result }
                job.done.signal()
            }
        }
    }

    /// Runs `body` there and waits for it.
    func run(_ body: @escaping @Sendable () throws -> Void) throws {
        let job = Job(body: body)
        self.jobs.with { $0.append(job) }
        self.arrived.signal()
        job.done.wait()
        try job.result.with { $0 }?.get()
    }
}

/// Short commands of the system.
enum Shell {
    /// Runs a command to its end and gives what it printed; throws what it complained of, unless it may fail.
    @discardableResult
    static func run(_ command: [String], input: String? = nil, mayFail: Bool = false) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        let (output, complaint, feed) = (Pipe(), Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = complaint
        process.standardInput = feed
        do { try process.run() } catch { throw StageError("\(command[0]) cannot be run: \(error)") }
        if let input { try? feed.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
        try? feed.fileHandleForWriting.close()
        let said = (try? output.fileHandleForReading.readToEnd()) ?? Data()
        let complained = (try? complaint.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 || mayFail else {
            let reason = String(decoding: complained, as: UTF8.self).split(separator: "\n").first ?? "no reason given"
            throw StageError("\(command.joined(separator: " ")): \(reason)")
        }
        return String(decoding: said, as: UTF8.self)
    }
}
