import Foundation
import Testing

@testable import ChaosHarness

@Suite("Logs of servers")
struct ServerLogTests {
    private static let leader =
        #"{"time":"2026-11-23T07:58:48.893Z","level":"notice","message":"leadership changed","leader":"server-2","role":"leader","term":"4"}"#
    private static let dead =
        #"{"time":"2026-11-23T07:58:49.001Z","level":"warning","message":"peer is dead","generation":"1","peer":"server-1","state":"dead"}"#

    @Test("a line has its time, its message and its fields")
    func line() throws {
        let entry = try #require(LogEntry(line: Self.leader))
        #expect(entry.time == 1_795_420_728_893)
        #expect(entry.isNewLeader && entry.fields["term"] == "4" && entry.dead == nil)
        let death = try #require(LogEntry(line: Self.dead))
        #expect(death.dead == "server-1" && !death.isNewLeader && death.suspected == nil)
    }

    @Test(
        "what is no line of a log is nothing",
        arguments: [
            "", "Fatal error: out of range", #"{"time":"2026"#, #"{"message":"peer is dead"}"#, "[1]",
        ])
    func noLine(text: String) { #expect(LogEntry(line: text) == nil) }

    @Test("others that hear of a leader do not lead, and one that is alive again is not suspected")
    func others() throws {
        let heard = try #require(LogEntry(line: Self.leader.replacing(#""role":"leader""#, with: #""role":"follower""#)))
        #expect(!heard.isNewLeader)
        let changed = Self.dead.replacing("peer is dead", with: "peer changed")
        let suspected = try #require(LogEntry(line: changed.replacing(#""state":"dead""#, with: #""state":"suspect""#)))
        #expect(suspected.suspected == "server-1")
        #expect(try #require(LogEntry(line: changed)).suspected == nil)
    }

    @Test("a reader begins at the end, and gives each line once, when it is whole")
    func reader() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "log-\(UUID()).log").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data((Self.leader + "\n").utf8).write(to: URL(filePath: path))
        var reader = LogReader(endOf: path)
        #expect(reader.entries().isEmpty)
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(Self.dead.prefix(40).utf8))
        #expect(reader.entries().isEmpty)
        try file.write(contentsOf: Data((Self.dead.dropFirst(40) + "\n" + Self.leader + "\n").utf8))
        #expect(reader.entries().map(\.message) == ["peer is dead", "leadership changed"])
        #expect(reader.entries().isEmpty)
        try file.close()
    }

    @Test("a log that is not there yet is empty, and read from its beginning")
    func absent() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "log-\(UUID()).log").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        var reader = LogReader(endOf: path)
        #expect(reader.entries().isEmpty)
        try Data((Self.leader + "\n").utf8).write(to: URL(filePath: path))
        #expect(reader.entries().count == 1)
    }

    @Test("the time since a fault is never shown shorter than it was")
    func fault() throws {
        let fault = FaultMoment(wall: 1_795_420_728_850.25, monotonic: 0)
        let entry = try #require(LogEntry(line: Self.leader))
        #expect(fault.until(entry) == 43.75)
        #expect(fault.precedes(entry))
        #expect(!FaultMoment(wall: 1_795_420_728_894, monotonic: 0).precedes(entry))
    }
}
