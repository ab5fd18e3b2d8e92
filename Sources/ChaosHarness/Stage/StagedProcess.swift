import CSpawn
import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A program that the stage has started. It ends with the stage, and with this process should that be killed.
///
/// Not Foundation's `Process`: that takes a program for ended that closes the descriptors which it was born with, as one
/// does that executes another in its own place; then it waits for the end, and knows of no other program's end any more.
package final class StagedProcess: Sendable {
    package let name: String
    /// Its own process id, also inside a network namespace: `ip` and `setpriv` make way for it.
    package let pid: pid_t
    /// When it was started: seconds of CLOCK_MONOTONIC.
    package let started: Double
    /// How it ended and when; once it is known, its id may be another's.
    private let ending = Mutex<Ending?>(nil)

    private struct Ending: Sendable {
        var at: Double
        var end: ProcessEnd
    }

    private init(name: String, pid: pid_t, started: Double) {
        self.name = name
        self.pid = pid
        self.started = started
    }

    /// Starts a program whose output and errors are appended to `log`.
    ///
    /// - Parameters:
    ///   - environment: added to that of this process.
    ///   - limits: in the place of this process's own.
    ///   - leftovers: where it is noted, with all of its group. Its mark tells in any case whose it is (`RunMark`).
    package static func start(
        _ command: [String], name: String, log: String, in host: StageHost, environment: [String: String] = [:],
        limits: ProcessLimits = ProcessLimits(), leftovers: Leftovers? = nil
    ) throws -> StagedProcess {
        let descriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StageError("\(log) cannot be written: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let whole = host.command(["setpriv", "--pdeathsig", "KILL", "--"] + limits.command + command)
        let started = MutexBox<pid_t>(0)
        let now = Self.now()
        try LastingThread.shared.run {
            let (pid, failure) = self.spawn(whole, output: descriptor, environment)
            guard failure == 0 else { throw StageError("\(name) cannot be started: \(String(cString: strerror(failure)))") }
            started.with { $0 = pid }
        }
        let process = StagedProcess(name: name, pid: started.with { $0 }, started: now)
        if let start = ProcessTable.startTime(of: process.pid) { try? leftovers?.note(.group(process.pid, start: start)) }
        Thread.detachNewThread { process.awaitEnd() }
        return process
    }

    package var isRunning: Bool { self.ending.withLock { self.look(&$0) == nil } }

    /// When it ended: seconds of CLOCK_MONOTONIC; nil: it runs.
    package var ended: Double? { self.ending.withLock { self.look(&$0)?.at } }

    /// The signal or the code with which it ended; nil: it runs.
    package var end: ProcessEnd? { self.ending.withLock { self.look(&$0)?.end } }

    /// The same in words: `SIGKILL`, `exit 0`.
    package var endText: String? { self.end?.description }

    /// Sends a signal to this one process, if it still runs.
    package func signal(_ number: Int32) {
        self.ending.withLock { ending in
            if self.look(&ending) == nil { kill(self.pid, number) }
        }
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

    /// Waits on a thread of its own, so that the time of the end is known however late somebody asks for it. The process is
    /// left to be waited for under the lock: until then its id is nobody else's.
    private func awaitEnd() {
        var facts = siginfo_t()
        while waitid(P_PID, id_t(self.pid), &facts, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        self.ending.withLock { _ = self.look(&$0) }
    }

    /// How it has ended, without waiting; nil: it runs.
    private func look(_ ending: inout Ending?) -> Ending? {
        var status: CInt = 0
        guard ending == nil else { return ending }
        let waited = waitpid(self.pid, &status, WNOHANG)
        if waited != 0 { ending = Ending(at: Self.now(), end: waited > 0 ? ProcessEnd(status: status) : .unseen) }
        return ending
    }

    private static func now() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    /// - Returns: its id, and the error number, which is 0 if it was started.
    private static func spawn(_ command: [String], output: CInt, _ additions: [String: String]) -> (pid_t, CInt) {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // A group of its own: ^C at a terminal is for this process alone, which then ends the stage.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let environment = ProcessInfo.processInfo.environment.merging(additions) { $1 }
            .merging([RunMark.variable: RunMark.own.text]) { $1 }.map { "\($0)=\($1)" }.sorted()
        var pid = pid_t()
        let failure = self.withStrings(command) { words in
            self.withStrings(environment) { posix_spawnp(&pid, command[0], &actions, &attributes, words, $0) }
        }
        return (pid, failure)
    }

    private static func withStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
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
