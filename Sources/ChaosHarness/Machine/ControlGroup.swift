import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Control groups of the kernel's CPU controller, of either version (cgroups(7)).
enum ControlGroup {
    enum Version: Sendable { case one, two }

    /// Where the CPU controller is.
    struct Hierarchy: Sendable {
        var version: Version
        var path: String
    }

    /// Nil: there is none, or nobody may use it.
    static func cpu(_ mounts: [Mounts.Mount] = Mounts.now()) -> Hierarchy? {
        if let one = mounts.first(where: { $0.type == "cgroup" && $0.options.contains("cpu") }) {
            return Hierarchy(version: .one, path: one.path)
        }
        let two = mounts.first { $0.type == "cgroup2" && self.words("\($0.path)/cgroup.controllers").contains("cpu") }
        return two.map { Hierarchy(version: .two, path: $0.path) }
    }

    /// The files that give a group a share of one CPU, in the order of writing. Pure.
    ///
    /// The period is the kernel's usual 100 ms, longer where the share of it would be below the millisecond that is the least
    /// that it accepts.
    static func limit(_ share: Double, _ version: Version) -> [(file: String, text: String)] {
        let period = min(1_000_000, max(100_000, Int((1_000 / share).rounded())))
        let quota = max(1_000, Int((share * Double(period)).rounded()))
        return switch version {
        case .one: [("cpu.cfs_period_us", "\(period)"), ("cpu.cfs_quota_us", "\(quota)")]
        case .two: [("cpu.max", "\(quota) \(period)")]
        }
    }

    static func members(_ group: String) -> [pid_t] { self.words("\(group)/cgroup.procs").compactMap { pid_t($0) } }

    /// Moves processes with all their threads; those that have ended meanwhile are left out.
    /// - Returns: how many it moved.
    @discardableResult
    static func move(_ pids: [pid_t], to group: String) -> Int { pids.count { self.write("\($0)", to: "\(group)/cgroup.procs") } }

    /// A process's group within a hierarchy; nil: it has ended.
    static func group(of pid: pid_t, in hierarchy: Hierarchy) -> String? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8) else { return nil }
        return self.name(text, hierarchy.version).map { $0 == "/" ? hierarchy.path : hierarchy.path + $0 }
    }

    /// Of `/proc/PID/cgroup`: lines `NUMBER:CONTROLLERS:GROUP`. Pure.
    static func name(_ text: String, _ version: Version) -> String? {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isMeant =
                switch version {
                case .one: parts[1].split(separator: ",").contains("cpu")
                case .two: parts[0] == "0"
                }
            if isMeant { return String(parts[2]) }
        }
        return nil
    }

    /// Writes to a file of the kernel in one go.
    static func write(_ text: String, to path: String) -> Bool {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return Glibc.write(file, text, text.utf8.count) == text.utf8.count
    }

    private static func words(_ path: String) -> [Substring] {
        ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(whereSeparator: { $0 == " " || $0 == "\n" })
    }
}
