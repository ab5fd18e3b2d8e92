#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How a line of the log looks: `log_format` of the configuration, whose values are these raw values.
package enum LineFormat: String, Sendable, CaseIterable {
    /// What suits the place: as `journal` when standard error is the journal, else as `text`.
    case auto
    case text
    case json
    /// For the journal, which keeps the time itself: text without a time, with the priority in front (`<6>`). Where standard
    /// error is not the journal, `text`.
    case journal

    /// The shape of a line, once it is known where the lines go.
    enum Style: Sendable, Equatable {
        case text, json, journal
    }

    /// `$JOURNAL_STREAM` of this process.
    package static var journalStream: String? {
        getenv("JOURNAL_STREAM").map { String(cString: $0) }
    }

    /// - Parameters:
    ///   - journalStream: the value of `$JOURNAL_STREAM`, `device:inode` of the journal's socket (systemd.exec(5)).
    ///   - descriptor: where the lines go; a redirected standard error is not the journal, although the variable is still set.
    func style(journalStream: String?, descriptor: CInt) -> Style {
        switch self {
        case .json: return .json
        case .text: return .text
        case .auto, .journal:
            var status = stat()
            guard let journalStream, fstat(descriptor, &status) == 0 else { return .text }
            return journalStream == "\(status.st_dev):\(status.st_ino)" ? .journal : .text
        }
    }
}
