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
    private let process: Mutex<Handle>

    /// Foundation's handle, only used under the lock.
    private struct Handle: @unchecked Sendable {
        var process: Process
        var isEnded = false
    }

    private init(name: String, process: Process) {
        self.name = name
        self.pid = process.processIdentifier
        self.process = Mutex(Handle(process: process))
    }

    /// Starts a program whose output and errors are appended to `log`.
    package static func start(_ command: [String], name: String, log: String, in host: StageHost) throws -> StagedProcess {
        let descriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StageError("\(log) cannot be written: \(String(cString: strerror(errno)))") }
        let output = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        let whole = host.command(["setpriv", "--pdeathsig", "KILL", "--"] + command)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = whole
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        let handle = Handle(process: process)
        try LastingThread.shared.run {
            do { try handle.process.run() } catch { throw StageError("\(name) cannot be started: \(error)") }
        }
        return StagedProcess(name: name, process: process)
    }

    package var isRunning: Bool { self.process.withLock { $0.process.isRunning } }

    /// Sends a signal to this one process, if it still runs.
    package func signal(_ number: Int32) {
        self.process.withLock { handle in
            if handle.process.isRunning { kill(self.pid, number) }
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
    /// Runs a command to its end and gives what it printed; throws what it complained of.
    @discardableResult
    static func run(_ command: [String], input: String? = nil) throws -> String {
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
        guard process.terminationStatus == 0 else {
            let reason = String(decoding: complained, as: UTF8.self).split(separator: "\n").first ?? "no reason given"
            throw StageError("\(command.joined(separator: " ")): \(reason)")
        }
        return String(decoding: said, as: UTF8.self)
    }
}
