import Foundation

/// What came of a rehearsal of upgrades.
package struct UpgradeReport: Sendable, Codable {
    /// One process took another's place.
    package struct Round: Sendable, Codable {
        package var who: String
        package var carried: Int
        package var lost: Int
        /// From the moment when everything stopped until the next process went on; nil: nothing was handed over.
        package var pauseMs: Double?
        /// What the command took.
        package var tookMs: Double
    }

    package var carrier: UpgradeCarrier
    package var who: UpgradedProgram
    package var streams: Int
    package var rounds: [Round]
    /// Streams by how they ended.
    package var ends: [String: Int]
    package var bytes: UInt64
    /// Faults that the far ends found in what they got.
    package var corruptAtFarEnd: Int
    package var longestStallMs: Double
    package var requests: Int
    package var failedRequests: Int
    package var slowestRequestMs: Double
    package var slowestControlMs: Double
    /// Why the rehearsal failed, one line each.
    package var broken: [String]

    package var held: Bool { self.broken.isEmpty }

    package func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return try encoder.encode(self)
    }

    /// For people.
    package func text() -> String {
        var lines = [
            "\(self.streams) streams, \(self.rounds.count) times by \(self.carrier.rawValue) (\(self.who.rawValue))", "",
        ]
        lines.append("round  process   carried  reset  waited   command")
        for (index, round) in self.rounds.enumerated() {
            let waited = round.pauseMs.map { "\(Int($0)) ms" } ?? "-"
            lines.append(
                Self.column("\(index + 1)", 5) + "  " + Self.left(round.who, 8) + Self.column("\(round.carried)", 9)
                    + Self.column("\(round.lost)", 7) + Self.column(waited, 8) + Self.column("\(Int(round.tookMs)) ms", 10))
        }
        let ends = self.ends.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        lines += [
            "", "streams           \(ends); \(self.bytes / 1_000_000) MB verified",
            "longest stall     \(Int(self.longestStallMs)) ms of one stream",
            "new connections   \(self.requests), \(self.failedRequests) failed, slowest \(Int(self.slowestRequestMs)) ms "
                + "(without the tunnel \(Int(self.slowestControlMs)) ms)",
        ]
        lines += self.broken.isEmpty ? ["", "every promise held"] : [""] + self.broken.map { "BROKEN: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func column(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

extension UpgradeReport {
    /// Judges what traffic saw.
    ///
    /// - Parameter limit: how many connections the carrier takes; above it, streams may be reset, and in no other way be lost.
    package mutating func judge(limit: Int?) {
        let kept =
            self.ends[StreamResult.End.open.rawValue, default: 0] + self.ends[StreamResult.End.finished.rawValue, default: 0]
        let wanted = min(self.streams, limit ?? self.streams)
        if kept < wanted { self.broken.append("\(kept) of \(wanted) streams went on") }
        let resets = self.ends[StreamResult.End.reset.rawValue, default: 0]
        if kept + resets < self.streams {
            self.broken.append("\(self.streams - kept - resets) streams ended without being reset")
        }
        for end in [StreamResult.End.eof, .corrupt] {
            guard let count = self.ends[end.rawValue], count > 0 else { continue }
            self.broken.append(
                "\(count) streams: \(end == .eof ? "an end that nobody had announced" : "bytes lost, doubled or changed")")
        }
        if self.corruptAtFarEnd > 0 { self.broken.append("the far ends found \(self.corruptAtFarEnd) streams corrupt") }
        if self.failedRequests > 0 { self.broken.append("\(self.failedRequests) of \(self.requests) new connections failed") }
        if self.requests == 0 { self.broken.append("no new connection was tried") }
        let told = self.rounds.reduce(0) { $0 + $1.lost }
        if self.carrier != .kill, resets > 0, told < resets {
            self.broken.append("\(resets) streams were reset, \(told) were told of")
        }
    }
}
