import CSystemd

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// systemd's journal, spoken to in its own protocol, which keeps fields apart.
package enum Journal {
    /// Whether standard error of this process is the journal, which is how a service is told to log there (systemd.exec(5),
    /// `$JOURNAL_STREAM`). A redirected standard error is not, although the variable is still set.
    package static var isStandardError: Bool {
        Self.isJournal(descriptor: STDERR_FILENO, stream: getenv("JOURNAL_STREAM").map { String(cString: $0) })
    }

    /// - Parameter stream: `device:inode` of the journal's socket.
    static func isJournal(descriptor: CInt, stream: String?) -> Bool {
        var status = stat()
        guard let stream, fstat(descriptor, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }

    /// Hands an entry to journald; where none runs, the entry is gone and nothing is said, as libsystemd does it. May wait while
    /// journald is busy: use a ``JournalWriter`` where that matters.
    package static func send(_ entry: JournalEntry) throws(SystemdError) {
        let assignments = entry.assignments.map { Array($0.utf8) }
        var bytes = assignments.flatMap { $0 }
        let result = bytes.withUnsafeMutableBytes { memory in
            var parts: [iovec] = []
            var start = 0
            for assignment in assignments {
                parts.append(iovec(iov_base: memory.baseAddress?.advanced(by: start), iov_len: assignment.count))
                start += assignment.count
            }
            return sd_journal_sendv(parts, CInt(parts.count))
        }
        _ = try checked("sd_journal_sendv", result)
    }
}
