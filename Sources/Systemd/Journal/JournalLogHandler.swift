import Logging

/// A swift-log handler for the journal: metadata become fields (`GOTUNNEL_PEER=…`), and a known `event` gets its `MESSAGE_ID`.
///
/// The message shows the metadata as well, because that is all that `journalctl` prints by default.
package struct JournalLogHandler: LogHandler {
    /// The metadata key of a ``JournalEvent``'s name.
    package static let eventKey = "event"

    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let sink: any JournalSink
    private let sharedLevel: @Sendable () -> Logger.Level
    /// Set when somebody gave this one logger a level of its own; it then no longer follows the process.
    private var ownLevel: Logger.Level?

    /// - Parameter level: of the whole process, which may change while it runs.
    package init(
        label: String, sink: any JournalSink, level: @escaping @Sendable () -> Logger.Level,
        metadataProvider: Logger.MetadataProvider? = nil
    ) {
        self.label = label
        self.sink = sink
        self.sharedLevel = level
        self.metadataProvider = metadataProvider
    }

    package var logLevel: Logger.Level {
        get { self.ownLevel ?? self.sharedLevel() }
        set { self.ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = self.metadata
        if let provided = self.metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error { all["error"] = .string(String(describing: error)) }
        var fields = all.mapValues(\.description)
        let known = fields[Self.eventKey].flatMap(JournalEvent.init(rawValue:))
        let message = Self.line(event.message.description, fields: fields)
        fields["logger"] = fields["logger"] ?? self.label
        self.sink.write(
            JournalEntry(message: message, priority: .init(event.level), id: known?.id, fields: fields))
    }

    /// The message, and then the metadata in the order of their keys.
    private static func line(_ message: String, fields: [String: String]) -> String {
        var line = OneLine.clean(message, limit: 1000)
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            let value = OneLine.clean(value)
            let isBare = !value.isEmpty && !value.utf8.contains { " \"=".utf8.contains($0) }
            let shown = isBare ? value : "\"\(value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
            line += " \(OneLine.clean(key, limit: 64))=\(shown)"
        }
        return line
    }
}

extension JournalEntry.Priority {
    package init(_ level: Logger.Level) {
        switch level {
        case .trace, .debug: self = .debug
        case .info: self = .info
        case .notice: self = .notice
        case .warning: self = .warning
        case .error: self = .error
        case .critical: self = .critical
        }
    }
}
