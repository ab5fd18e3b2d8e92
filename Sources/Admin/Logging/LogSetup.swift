import Logging
import Synchronization

/// The level below which nothing is logged, shared by all loggers of the process and settable while it runs.
final class SharedLogLevel: Sendable {
    private let index: Atomic<Int>

    init(_ level: Logger.Level) {
        index = Atomic(Self.number(level))
    }

    var level: Logger.Level {
        get { Logger.Level.allCases[index.load(ordering: .relaxed)] }
        set { index.store(Self.number(newValue), ordering: .relaxed) }
    }

    private static func number(_ level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}

/// A swift-log handler that makes a line of each event and hands it to a sink.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let style: LineFormat.Style
    private let shared: SharedLogLevel
    private let sink: any LogSink
    private let clock: @Sendable () -> Timestamp
    /// Set when somebody gave this one logger a level of its own; it then no longer follows the process.
    private var ownLevel: Logger.Level?

    init(
        style: LineFormat.Style, level: SharedLogLevel, sink: any LogSink, metadataProvider: Logger.MetadataProvider? = nil,
        clock: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
    ) {
        self.style = style
        self.shared = level
        self.sink = sink
        self.metadataProvider = metadataProvider
        self.clock = clock
    }

    package var logLevel: Logger.Level {
        get { ownLevel ?? shared.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { _, new in new } }
        if let own = event.metadata { fields.merge(own) { _, new in new } }
        if let error = event.error { fields["error"] = .string(String(describing: error)) }
        sink.write(LogLine.bytes(style, event, metadata: fields, time: clock()))
    }
}

/// Sets up the log of a program.
package enum LogSetup {
    private static let shared = SharedLogLevel(.info)

    /// Makes every logger of the process write lines of this format to standard error. Once per process, first thing in `main`; a
    /// second call traps, as swift-log's `bootstrap` does.
    ///
    /// - Parameter journalStream: the value of `$JOURNAL_STREAM`, where systemd names the journal's socket.
    package static func bootstrap(
        format: LineFormat, level: Logger.Level, journalStream: String? = LineFormat.journalStream,
        sink: any LogSink = DescriptorSink()
    ) {
        shared.level = level
        let style = format.style(journalStream: journalStream, descriptor: 2)
        LoggingSystem.bootstrap(
            { _, provider in LineLogHandler(style: style, level: shared, sink: sink, metadataProvider: provider) },
            metadataProvider: nil)
    }

    /// Makes every logger of the process one of `make`'s. Once per process, instead of the other ``bootstrap``.
    ///
    /// - Parameter make: gets the label, the level to follow, and what provides metadata.
    package static func bootstrap(
        level: Logger.Level,
        _ make: @escaping @Sendable (String, @escaping @Sendable () -> Logger.Level, Logger.MetadataProvider?) -> any LogHandler
    ) {
        shared.level = level
        LoggingSystem.bootstrap({ label, provider in make(label, { shared.level }, provider) }, metadataProvider: nil)
    }

    /// Changes the level of the whole process, for a reload. Loggers that were given a level of their own keep it.
    package static func setLevel(_ level: Logger.Level) {
        shared.level = level
    }

    package static var level: Logger.Level { shared.level }
}
