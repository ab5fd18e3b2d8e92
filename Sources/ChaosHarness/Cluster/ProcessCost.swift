import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Bytes that the TCP connections of a process have carried, and how many connections there are.
package struct LinkBytes: Sendable, Equatable {
    package var received = 0
    package var sent = 0
    package var connections = 0

    /// Of what `ss -tnipH` prints: a line for each connection, then an indented one with its figures.
    package init(ss text: String, pid: pid_t) {
        var isOwn = false
        for line in text.split(separator: "\n") {
            if line.first != " " && line.first != "\t" {
                isOwn = line.hasPrefix("ESTAB") && line.contains("pid=\(pid),")
                if isOwn { self.connections += 1 }
            }
            guard isOwn else { continue }
            for word in line.split(whereSeparator: { $0 == " " || $0 == "\t" }) {
                let parts = word.split(separator: ":", maxSplits: 1)
                guard parts.count == 2, let value = Int(parts[1]) else { continue }
                if parts[0] == "bytes_received" { self.received += value }
                if parts[0] == "bytes_sent" { self.sent += value }
            }
        }
    }

    static func now(of pid: pid_t) throws -> LinkBytes {
        LinkBytes(ss: try Shell.run(["ss", "-tnipH"]), pid: pid)
    }
}

/// What a process has computed.
package enum ProcessorTime {
    /// Seconds in user and system mode, from `/proc/PID/stat` (proc_pid_stat(5)): the 14th and 15th field, the second of
    /// which is a name in parentheses that may hold anything.
    package static func seconds(stat text: String, ticksPerSecond: Double) -> Double? {
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / ticksPerSecond
    }

    static func now(of pid: pid_t) -> Double {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        return self.seconds(stat: text, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK)))) ?? 0
    }
}

/// What `/metrics` says. Pure.
package enum Exposed {
    /// The sum of a metric's series; nil: there is none.
    package static func value(_ name: String, in text: String) -> Double? {
        let values = text.split(separator: "\n").compactMap { line -> Double? in
            guard line.hasPrefix(name), let next = line.dropFirst(name.count).first, next == " " || next == "{" else {
                return nil
            }
            return line.split(separator: " ").last.flatMap { Double($0) }
        }
        return values.isEmpty ? nil : values.reduce(0, +)
    }
}
