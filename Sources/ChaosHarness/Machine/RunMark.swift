import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Names the run that a process belongs to: every program that the stage starts has it in its environment, and hands it on to
/// what it starts in turn. So a process is known as one of a run even where it was started behind the run's back, as the
/// successor is that a program starts in its own place.
package struct RunMark: Sendable, Hashable, Codable {
    /// Of the environment.
    package static let variable = "GOTUNNEL_CHAOS_RUN"

    let pid: pid_t
    /// As `ProcessTable.startTime` gives it.
    let start: UInt64
    /// The table of processes in which the id counts (pid_namespaces(7)): another's ids say nothing here.
    let table: String

    /// This process's own.
    package static let own = RunMark(
        pid: getpid(), start: ProcessTable.startTime(of: getpid()) ?? 0, table: Self.table)

    private static let table: String = {
        let link = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? ""
        return String(link.filter(\.isNumber))
    }()

    package var text: String { "\(self.pid)-\(self.start)-\(self.table)" }

    init(pid: pid_t, start: UInt64, table: String) {
        self.pid = pid
        self.start = start
        self.table = table
    }

    /// Nil: this is none.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let pid = pid_t(parts[0]), let start = UInt64(parts[1]), parts[2].allSatisfy(\.isNumber)
        else { return nil }
        self.init(pid: pid, start: start, table: String(parts[2]))
    }

    /// Whether the run is over for certain.
    var isOver: Bool { self.table == Self.table && !ProcessTable.isRunning(self.pid, since: self.start) }
}
