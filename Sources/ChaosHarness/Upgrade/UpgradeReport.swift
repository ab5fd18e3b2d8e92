import Foundation

/// What came of a rehearsal of upgrades. Times in milliseconds.
package struct UpgradeReport: Sendable, Codable {
    /// One process took another's place.
    package struct Round: Sendable, Codable {
        package var who: String
        /// The server whose connections are to go on; nil: the client, and so all of them.
        package var server: String?
        /// From when it was asked for until the next process served, on CLOCK_MONOTONIC.
        package var beganMs: Double
        package var endedMs: Double
        /// Connections that went on, as the new process says; nil: it began anew.
        package var carried: Int?
        /// Connections that the old process reset, as the new one says.
        package var lost = 0
        /// From the moment when everything stopped until the next process went on.
        package var waitedMs: Double?
        /// What the command complained of, when it failed.
        package var problem: String?
        /// Of the old process and of the new one.
        package var pids: [Int32] = []
        /// Whether the new process began later than the old one.
        package var isAnother = true
        /// Descriptors that the new process had open, and its resident memory, right after.
        package var openFds = 0
        package var residentBytes = 0
        /// What the traffic saw from then to the next round.
        package var openStreams = 0
        package var longestStallMs = 0.0
        package var longestBulkStallMs = 0.0
        package var slowestRequestMs = 0.0
        package var failedRequests = 0

        package init(who: String, server: String?, beganMs: Double, endedMs: Double) {
            self.who = who
            self.server = server
            self.beganMs = beganMs
            self.endedMs = endedMs
        }
    }

    package var carrier: UpgradeCarrier
    package var who: UpgradedProgram
    package var seed: UInt64
    /// How many connections the carrier takes; nil: all.
    package var limit: Int?
    /// All long streams.
    package var streams = 0
    package var rounds: [Round]
    /// Streams by how they ended.
    package var ends: [String: Int] = [:]
    /// Corrupt streams by what was done to their bytes, found at either end.
    package var harms: [String: Int] = [:]
    /// Bytes of the long streams that were verified at this end, and sent from here.
    package var bytes: UInt64 = 0
    /// What the far ends counted.
    package var farEnds: BackendStats
    /// How often the streams send that do so now and then; their stalls include it.
    package var paceMs = 0.0
    package var longestStallMs = 0.0
    /// Of streams that always have something to send.
    package var longestBulkStallMs = 0.0
    package var requests = 0
    package var failedRequests = 0
    /// Those of them that got no connection at all.
    package var refusedRequests = 0
    /// Why the first ones failed.
    package var failures: [String] = []
    package var medianRequestMs = 0.0
    package var slowestRequestMs = 0.0
    package var slowestControlMs = 0.0
    /// Why the rehearsal failed, one line each.
    package var broken: [String] = []

    package var held: Bool { self.broken.isEmpty }

    package func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return try encoder.encode(self)
    }
}

// MARK: For people

extension UpgradeReport {
    package func text() -> String {
        var lines = [
            "\(self.streams) streams, \(self.rounds.count) rounds by \(self.carrier.rawValue) (\(self.who.rawValue))", "",
            "round  process       streams  carried  reset   waited  command    stall  bulk stall  slowest new  failed   fds  memory",
        ]
        for (index, round) in self.rounds.enumerated() { lines.append(self.line(index + 1, round)) }
        let harms = self.harms.isEmpty ? "" : "; wrong bytes: \(Self.counts(self.harms))"
        lines += [
            "", "streams           \(Self.counts(self.ends)); \(self.bytes / 1_000_000) MB\(harms)",
            "far ends          \(self.farEnds.finished) finished, \(self.farEnds.reset) reset, \(self.farEnds.eof) cut off, "
                + "\(self.farEnds.corrupt) corrupt",
            "longest stall     \(Int(self.longestStallMs)) ms of one stream; they send every \(Int(self.paceMs)) ms",
            "  of bulk         \(Int(self.longestBulkStallMs)) ms of one that always sends",
            "new connections   \(self.requests), \(self.failedRequests) failed (\(self.refusedRequests) got no connection); "
                + "median \(Self.tenths(self.medianRequestMs)) ms, slowest \(Int(self.slowestRequestMs)) ms "
                + "(without the tunnel \(Int(self.slowestControlMs)) ms)",
        ]
        lines += self.failures.map { "                  \($0)" }
        lines += self.broken.isEmpty ? ["", "every promise held"] : [""] + self.broken.map { "BROKEN: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(_ number: Int, _ round: Round) -> String {
        let columns = [
            ("\(round.openStreams)", 9), (round.carried.map(String.init) ?? "-", 9), ("\(round.lost)", 7),
            (round.waitedMs.map { "\(Int($0)) ms" } ?? "-", 9), ("\(Int(round.endedMs - round.beganMs)) ms", 9),
            ("\(Int(round.longestStallMs)) ms", 9),
            ("\(Int(round.longestBulkStallMs)) ms", 12), ("\(Int(round.slowestRequestMs)) ms", 13),
            ("\(round.failedRequests)", 8),
            ("\(round.openFds)", 6), ("\(round.residentBytes / 1_048_576) MiB", 8),
        ]
        return Self.column("\(number)", 5) + "  " + round.who.padding(toLength: 12, withPad: " ", startingAt: 0)
            + columns.map { Self.column($0.0, $0.1) }.joined()
    }

    private static func counts(_ counts: [String: Int]) -> String {
        counts.isEmpty ? "none" : counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }

    private static func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    private static func column(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
