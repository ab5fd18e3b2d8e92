import ChaosCore
import Foundation

/// What the logs of a run tell. Pure but for `all`.
struct LogHarvest: Sendable, Equatable {
    var claims: [LeaderClaim] = []
    var verdicts: [DeathVerdict] = []
    var troubles: [LogTrouble] = []

    /// What is kept of one line, and how many lines of one process.
    private static let longestLine = 400
    private static let mostTroubles = 50

    /// Lines that a library writes by itself and that say nothing about a run.
    private static let ignored = ["Failed to set thread priority"]

    /// - Parameters:
    ///   - text: a log in JSON, one entry a line.
    ///   - offset: seconds from the logs' clock (since 1970) to CLOCK_MONOTONIC.
    mutating func add(_ text: String, of process: String, offset: Double) {
        var troubles = 0
        for line in text.split(separator: "\n") where !Self.ignored.contains(where: { line.contains($0) }) {
            guard let entry = LogEntry(line: line) else {
                self.note(line, of: process, &troubles)
                continue
            }
            let t = entry.time / 1_000 + offset
            if entry.isNewLeader, let term = entry.fields["term"].flatMap({ UInt64($0) }) {
                self.claims.append(LeaderClaim(t: t, server: process, term: term))
            }
            if let peer = entry.dead { self.verdicts.append(DeathVerdict(t: t, server: process, peer: peer)) }
            if ["error", "critical"].contains(entry.fields["level"]) { self.note(line, of: process, &troubles) }
        }
    }

    private mutating func note(_ line: Substring, of process: String, _ count: inout Int) {
        count += 1
        guard count <= Self.mostTroubles else { return }
        self.troubles.append(LogTrouble(process: process, line: String(line.prefix(Self.longestLine))))
    }

    /// Reads what all servers and clients of a stage have logged.
    static func all(of stage: ChaosStage) -> LogHarvest {
        let offset = TrafficClock.now() / 1_000 - Date.now.timeIntervalSince1970
        var harvest = LogHarvest()
        for name in stage.places.servers.map(\.name) + stage.places.clients.map(\.name) {
            harvest.add(self.text(of: name, on: stage), of: name, offset: offset)
        }
        harvest.claims.sort { $0.t < $1.t }
        harvest.verdicts.sort { $0.t < $1.t }
        return harvest
    }

    private static func text(of name: String, on stage: ChaosStage) -> String {
        let log = stage.places.log(name)
        (stage.keeper as? ServiceKeeper)?.saveLog(of: name)
        guard let data = FileManager.default.contents(atPath: log) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }
}
