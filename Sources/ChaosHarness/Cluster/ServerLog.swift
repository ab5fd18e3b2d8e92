import Admin
import Foundation

/// One line of a server's log (`log_format: json`).
package struct LogEntry: Sendable, Equatable {
    /// Milliseconds since 1970, to the millisecond before.
    package var time: Double
    package var message: String
    package var fields: [String: String]

    /// Nil for what is no such line: a crash, or half a line.
    package init?(line: some StringProtocol) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
            let time = (object["time"] as? String).flatMap({ Timestamp($0) }), let message = object["message"] as? String
        else { return nil }
        self.time = Double(time.milliseconds)
        self.message = message
        self.fields = object.compactMapValues { $0 as? String }
    }

    /// Somebody says that it leads from now on.
    var isNewLeader: Bool { self.message == "leadership changed" && self.fields["role"] == "leader" }

    /// Whom it says to be dead.
    var dead: String? { self.message == "peer is dead" ? self.fields["peer"] : nil }

    /// Whom it suspects.
    var suspected: String? {
        self.message == "peer changed" && self.fields["state"] == "suspect" ? self.fields["peer"] : nil
    }
}

/// Reads what a log grows by.
package struct LogReader: Sendable {
    private let path: String
    private var offset: UInt64 = 0
    private var rest = ""

    /// From the log's present end on.
    package init(endOf path: String) {
        self.path = path
        self.offset = (try? FileHandle(forReadingFrom: URL(filePath: path)).seekToEnd()) ?? 0
    }

    /// The entries since the last call. A line without its end waits for it.
    package mutating func entries() -> [LogEntry] {
        guard let file = try? FileHandle(forReadingFrom: URL(filePath: self.path)) else { return [] }
        defer { try? file.close() }
        guard (try? file.seek(toOffset: self.offset)) != nil, let data = try? file.readToEnd(), !data.isEmpty else { return [] }
        self.offset += UInt64(data.count)
        var lines = (self.rest + String(decoding: data, as: UTF8.self)).split(separator: "\n", omittingEmptySubsequences: false)
        self.rest = lines.popLast().map(String.init) ?? ""
        return lines.compactMap { LogEntry(line: $0) }
    }
}

/// The logs of several servers, read together.
package struct LogWatch: Sendable {
    private var readers: [String: LogReader]
    /// All that was read, by server, each in its order.
    package private(set) var entries: [String: [LogEntry]] = [:]

    init(_ servers: [ClusterStage.Server]) {
        self.readers = Dictionary(uniqueKeysWithValues: servers.map { ($0.name, LogReader(endOf: $0.log)) })
    }

    package mutating func read() {
        for name in self.readers.keys { self.entries[name, default: []] += self.readers[name]?.entries() ?? [] }
    }

    /// Who said what, in the order of the names.
    func all(_ isWanted: (LogEntry) -> Bool) -> [(server: String, entry: LogEntry)] {
        self.entries.keys.sorted().flatMap { name in (self.entries[name] ?? []).filter(isWanted).map { (name, $0) } }
    }

    /// Reads until `isDone` or until the time is over; true when it is done.
    mutating func wait(within limit: Duration, _ isDone: (LogWatch) -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + limit
        while true {
            self.read()
            if isDone(self) { return true }
            if ContinuousClock.now >= end { return false }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// The moment of a fault, on the clock of the logs and on that of the controls.
package struct FaultMoment: Sendable {
    /// Milliseconds since 1970.
    let wall: Double
    /// CLOCK_MONOTONIC in milliseconds.
    let monotonic: Double

    static func now() -> FaultMoment {
        FaultMoment(wall: Date.now.timeIntervalSince1970 * 1000, monotonic: TrafficClock.now())
    }

    /// How long after the fault something was logged: at most, because logs cut the time to the millisecond.
    func until(_ entry: LogEntry) -> Double { max(0, entry.time + 1 - self.wall) }

    /// Whether an entry is from after the fault, as far as the log's clock can tell.
    func precedes(_ entry: LogEntry) -> Bool { entry.time + 1 > self.wall }
}
