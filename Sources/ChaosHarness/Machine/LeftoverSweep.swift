import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Removes what dead runs have left: what their notes name, and the processes that carry their mark.
package struct LeftoverSweep: Sendable {
    private let folder: String

    package init(_ folder: String = Leftovers.folder) { self.folder = folder }

    /// Things that cannot be removed are left for the next time, and so is the note that names them.
    package func sweep() {
        Self.endMarked()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: self.folder)) ?? []
        for name in names.sorted() {
            if name.hasSuffix(".leftovers") { self.settle("\(self.folder)/\(name)") }
        }
        // A note that its run had no time to lock: nothing was made yet.
        for name in names where name.hasSuffix(".new") && !Self.isAlive(name) { unlink("\(self.folder)/\(name)") }
    }

    private static func isAlive(_ name: String) -> Bool {
        guard let pid = pid_t(name.prefix { $0.isNumber }) else { return false }
        return kill(pid, 0) == 0 || errno == EPERM
    }

    private func settle(_ path: String) {
        let file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return }
        defer { close(file) }
        // Who holds the lock lives, or sweeps already. A note that its own run has removed meanwhile has no name any more.
        var (held, named) = (stat(), stat())
        guard flock(file, LOCK_EX | LOCK_NB) == 0, fstat(file, &held) == 0, stat(path, &named) == 0, held.st_ino == named.st_ino,
            let data = FileManager.default.contents(atPath: path)
        else { return }
        if Self.remove(LeftoverNotes.things(data)) { unlink(path) }
    }

    /// Ends every process that carries the mark of a run that is over.
    static func endMarked() {
        for pid in ProcessTable.all() where pid != getpid() {
            guard let start = ProcessTable.startTime(of: pid),
                let mark = ProcessTable.variable(RunMark.variable, of: pid).flatMap({ RunMark($0) }), mark.isOver
            else { continue }
            Self.end(pid, start)
        }
    }

    /// - Returns: whether nothing of it is there any more.
    @discardableResult
    static func remove(_ things: [Leftover]) -> Bool {
        // In each turn the latest first: a mount may be on another, a folder in another.
        let ordered = things.reversed().enumerated().sorted { ($0.element.turn, $0.offset) < ($1.element.turn, $1.offset) }
        return ordered.map { self.remove($0.element) }.allSatisfy { $0 }
    }

    private static func remove(_ thing: Leftover) -> Bool {
        switch thing {
        case .group(let pid, let start): return self.endGroup(pid, start)
        case .stopped(let pid, let start):
            if ProcessTable.isRunning(pid, since: start) { kill(pid, SIGCONT) }
            return true
        case .namespace(let name): return self.removeNamespace(name)
        case .mount(let path, let source): return self.unmount(path, source)
        case .cgroup(let path): return self.removeCgroup(path)
        case .setting(let path, let was):
            try? Data(was.utf8).write(to: URL(filePath: path))
            return true
        case .folder(let path):
            guard path.split(separator: "/").count > 1, !path.contains("..") else { return true }
            try? FileManager.default.removeItem(atPath: path)
            return !FileManager.default.fileExists(atPath: path)
        case .socket(let path):
            var facts = stat()
            if lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
            return true
        }
    }

    // MARK: Processes

    /// Kills a process and waits, for a second at most, until it is gone.
    @discardableResult
    private static func end(_ pid: pid_t, _ start: UInt64) -> Bool {
        guard ProcessTable.isRunning(pid, since: start) else { return true }
        kill(pid, SIGKILL)
        return self.wait { !ProcessTable.isRunning(pid, since: start) }
    }

    private static func endGroup(_ pid: pid_t, _ start: UInt64) -> Bool {
        guard ProcessTable.isRunning(pid, since: start), ProcessTable.group(of: pid) == pid else { return true }
        kill(-pid, SIGKILL)
        return self.wait { !ProcessTable.isRunning(pid, since: start) }
    }

    private static func endAll(_ pids: [pid_t]) {
        for pid in pids where pid != getpid() { if let start = ProcessTable.startTime(of: pid) { self.end(pid, start) } }
    }

    private static func wait(_ isDone: () -> Bool) -> Bool {
        for _ in 0..<200 {
            if isDone() { return true }
            usleep(5_000)
        }
        return isDone()
    }

    // MARK: Things of the kernel

    private static func removeNamespace(_ name: String) -> Bool {
        let path = "/run/netns/\(name)"
        guard FileManager.default.fileExists(atPath: path) else { return true }
        let inside = (try? Shell.run(["ip", "netns", "pids", name])) ?? ""
        self.endAll(inside.split(separator: "\n").compactMap { pid_t($0) })
        _ = try? Shell.run(["ip", "netns", "del", name])
        // A name that was made and had nothing mounted on it yet.
        if FileManager.default.fileExists(atPath: path) { unlink(path) }
        return !FileManager.default.fileExists(atPath: path)
    }

    private static func unmount(_ path: String, _ source: String) -> Bool {
        while Mounts.now().contains(where: { $0.path == path && $0.source == source }) {
            // Lazily: who has a file open there goes on having it, the place is free at once.
            guard (try? Shell.run(["umount", "--lazy", path])) != nil else { return false }
        }
        return true
    }

    /// The run's own processes have been ended; what else is in there goes on, without the limit.
    private static func removeCgroup(_ path: String) -> Bool {
        guard FileManager.default.fileExists(atPath: path) else { return true }
        ControlGroup.move(ControlGroup.members(path), to: (path as NSString).deletingLastPathComponent)
        return self.wait { rmdir(path) == 0 || errno == ENOENT }
    }
}
