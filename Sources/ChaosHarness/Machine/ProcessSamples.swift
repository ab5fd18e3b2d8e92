import ChaosCore
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// What a process holds, from `/proc`.
package enum ProcessSamples {
    /// - Parameters:
    ///   - name: whose it is.
    ///   - t: the time to note, as in `Observation`.
    /// - Returns: nil: there is no such process any more, or it may not be looked at.
    package static func now(of pid: pid_t, name: String, at t: Double) -> ProcessSample? {
        guard let statm = try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8),
            let pages = self.residentPages(statm: statm),
            let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let cpu = ProcessorTime.seconds(stat: stat, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK)))),
            let files = self.openFiles(of: pid)
        else { return nil }
        return ProcessSample(t: t, name: name, memory: pages * Int(getpagesize()), openFiles: files.count, cpu: cpu)
    }

    /// Of `/proc/PID/statm` (proc_pid_statm(5)): the second field. Pure.
    static func residentPages(statm text: String) -> Int? {
        let fields = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        return fields.count > 1 ? Int(fields[1]) : nil
    }

    /// The numbers of a process's open files.
    static func openFiles(of pid: pid_t) -> Set<Int>? {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")).map { Set($0.compactMap { Int($0) }) }
    }
}
