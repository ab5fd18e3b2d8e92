import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// What `/proc` says of processes; see proc_pid_stat(5). Nil where there is no such process, or it may not be looked at.
package enum ProcessTable {
    /// When a process started, in clock ticks since the machine did: with its id it names a process for good, as ids are
    /// used again and such pairs are not.
    package static func startTime(of pid: pid_t) -> UInt64? {
        self.fields(of: pid).flatMap { $0.count > 19 ? UInt64($0[19]) : nil }
    }

    /// Whether it runs still, and is the one that started then. One that has ended and was not waited for does not run.
    package static func isRunning(_ pid: pid_t, since start: UInt64) -> Bool {
        guard let fields = self.fields(of: pid), fields.count > 19, UInt64(fields[19]) == start else { return false }
        return fields[0] != "Z" && fields[0] != "X"
    }

    /// Its group's number.
    package static func group(of pid: pid_t) -> pid_t? {
        self.fields(of: pid).flatMap { $0.count > 2 ? pid_t($0[2]) : nil }
    }

    /// All ids, in rising order.
    package static func all() -> [pid_t] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }.sorted()
    }

    /// A process, its children, theirs, and so on; empty: there is no such process.
    package static func family(of pid: pid_t) -> [pid_t] {
        var children: [pid_t: [pid_t]] = [:]
        for other in self.all() {
            guard let fields = self.fields(of: other), fields.count > 1, let parent = pid_t(fields[1]) else { continue }
            children[parent, default: []].append(other)
        }
        guard self.startTime(of: pid) != nil else { return [] }
        var family = [pid]
        var next = 0
        while next < family.count {
            family += children[family[next]] ?? []
            next += 1
        }
        return family
    }

    /// The value of a variable that a process was started with.
    package static func variable(_ name: String, of pid: pid_t) -> String? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return nil }
        let start = Array("\(name)=".utf8)
        let entry = data.split(separator: 0).first { $0.starts(with: start) }
        return entry.map { String(decoding: $0.dropFirst(start.count), as: UTF8.self) }
    }

    /// The fields of `stat` from the third on, the state: the second is a name in parentheses that may hold anything.
    private static func fields(of pid: pid_t) -> [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        return self.fields(stat: text)
    }

    static func fields(stat text: String) -> [Substring]? {
        guard let end = text.lastIndex(of: ")") else { return nil }
        return text[text.index(after: end)...].split(whereSeparator: { $0 == " " || $0 == "\n" })
    }
}
