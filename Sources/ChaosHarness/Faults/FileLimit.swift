import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A running process that can open only so many files more than it has: its soft limit of open files is lowered
/// (getrlimit(2)). Of several on one process the lowest holds; with the last one's end it has its first limit again.
package final class FileLimit: Sendable {
    private struct Process: Hashable {
        var pid: pid_t
        var start: UInt64
    }

    private struct Limits {
        var first: Int
        var hard: String
        /// By their numbers.
        var set: [Int: Int] = [:]
    }

    private static let all = Mutex<(count: Int, of: [Process: Limits])>((0, [:]))

    private let process: Process
    private let number: Int

    /// - Parameter more: files that it can still open; 0 is none.
    package init(of pid: pid_t, more: Int) throws {
        guard more >= 0 else { throw StageError("a process cannot have \(more) files more") }
        guard let start = ProcessTable.startTime(of: pid), let open = ProcessSamples.openFiles(of: pid),
            let text = try? String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8), let own = Self.limits(text)
        else { throw StageError("the open files of process \(pid) cannot be seen: it has ended, or is another user's") }
        let process = Process(pid: pid, start: start)
        let limit = min(Self.limit(open: open, more: more), own.soft)
        self.process = process
        self.number = try Self.all.withLock { all in
            var limits = all.of[process] ?? Limits(first: own.soft, hard: own.hard)
            all.count += 1
            limits.set[all.count] = limit
            try Self.set(process, limits)
            all.of[process] = limits
            return all.count
        }
    }

    /// Undoes it; also when the process has ended meanwhile.
    package func end() {
        Self.all.withLock { all in
            guard var limits = all.of[self.process], limits.set.removeValue(forKey: self.number) != nil else { return }
            all.of[self.process] = limits.set.isEmpty ? nil : limits
            try? Self.set(self.process, limits)
        }
    }

    private static func set(_ process: Process, _ limits: Limits) throws {
        guard ProcessTable.isRunning(process.pid, since: process.start) else { return }
        let soft = limits.set.values.min() ?? limits.first
        try Shell.run(["prlimit", "--pid", "\(process.pid)", "--nofile=\(soft):\(limits.hard)"])
    }

    /// The limit with which exactly so many can still be opened: it is the lowest number that no file can have, and a new file
    /// takes the lowest that is free. Pure.
    static func limit(open: Set<Int>, more: Int) -> Int {
        var (limit, free) = (0, 0)
        while free < more || open.contains(limit) {
            if !open.contains(limit) { free += 1 }
            limit += 1
        }
        return limit
    }

    /// Of `/proc/PID/limits`; the hard limit may be `unlimited`. Pure.
    static func limits(_ text: String) -> (soft: Int, hard: String)? {
        let name = "Max open files"
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        let fields = line.dropFirst(name.count).split(separator: " ")
        guard fields.count > 1, let soft = Int(fields[0]) else { return nil }
        return (soft, String(fields[1]))
    }
}
