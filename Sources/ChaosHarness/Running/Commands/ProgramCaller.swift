import Admin
import CSpawn
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Runs programs, each waited for by a thread of its own.
///
/// Not Foundation's `Process`: that takes a program for ended that closes the descriptors which it was born with, as `ssh`
/// does, and then waits for it while it should notice the end of others.
package struct ProgramCaller: CommandCaller {
    /// More is not kept of what a program prints.
    private static let mostOutput = 64 << 20
    private static let mostComplaint = 4_096

    package init() {}

    package func call(_ words: [String], within limit: Duration) async -> CommandOutcome {
        let isCancelled = MutexBox(false)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(returning: Self.run(words, within: limit) { isCancelled.with { $0 } })
                }
            }
        } onCancel: {
            isCancelled.with { $0 = true }
        }
    }

    private static func run(_ words: [String], within limit: Duration, isCancelled: () -> Bool) -> CommandOutcome {
        let end = ContinuousClock.now + limit
        guard let output = Drain(most: Self.mostOutput), let complaint = Drain(most: Self.mostComplaint) else {
            return CommandOutcome(failure: "no pipe: \(String(cString: strerror(errno)))")
        }
        defer {
            output.close()
            complaint.close()
        }
        let (pid, failure) = self.spawn(words, output: output.writer, complaint: complaint.writer)
        output.closeWriter()
        complaint.closeWriter()
        guard failure == 0 else {
            return CommandOutcome(failure: "\(words.first ?? "") cannot be run: \(String(cString: strerror(failure)))")
        }
        var status: CInt = 0
        var stopped: String?
        // The end of the program counts, not that of its pipes: a shared connection of ssh may keep them open behind it.
        while waitpid(pid, &status, WNOHANG) == 0 {
            if stopped == nil, isCancelled() || ContinuousClock.now >= end {
                stopped = isCancelled() ? "broken off" : "no end within \(limit.shown)"
                kill(-pid, SIGKILL)
            }
            var waits = [output.poll, complaint.poll].filter { $0.fd >= 0 }
            poll(&waits, nfds_t(waits.count), 10)
            output.take()
            complaint.take()
        }
        output.take()
        complaint.take()
        let ending = ProcessEnd(status: status)
        guard stopped != nil || ending != .exit(0) else { return CommandOutcome(output: output.bytes) }
        return CommandOutcome(output: output.bytes, failure: stopped ?? Self.reason(complaint.bytes) ?? "ended with \(ending)")
    }

    /// The first line that a program complained with; before it, kubectl writes lines of a log for its developers.
    static func reason(_ complaint: [UInt8]) -> String? {
        let lines = String(decoding: complaint, as: UTF8.self).split(separator: "\n")
        let reason = lines.first { line in
            let start = line.prefix(5)
            return !("EWI".contains(start.first ?? " ") && start.dropFirst().allSatisfy(\.isNumber) && start.count == 5)
        }
        return (reason ?? lines.first).map { SafeText.line($0) }
    }

    /// - Returns: its id, and the error number, which is 0 if it was started.
    private static func spawn(_ words: [String], output: CInt, complaint: CInt) -> (pid_t, CInt) {
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
        posix_spawn_file_actions_adddup2(&actions, complaint, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // A group of its own: ^C at a terminal must not end the command that undoes a fault.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        guard let program = words.first else { return (0, EINVAL) }
        let environment = ProcessInfo.processInfo.environment.map { "\($0)=\($1)" }.sorted()
        let (arguments, variables) = (words.map { strdup($0) }, environment.map { strdup($0) })
        defer { for pointer in arguments + variables { free(pointer) } }
        var pid = pid_t()
        let failure = posix_spawnp(&pid, program, &actions, &attributes, arguments + [nil], variables + [nil])
        return (pid, failure)
    }
}
