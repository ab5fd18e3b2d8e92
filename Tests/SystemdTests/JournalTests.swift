import Foundation
import Glibc
import Logging
import Synchronization
import Testing

@testable import Systemd

extension SystemdTests {
    @Suite struct JournalTests {
        private final class Collector: JournalSink {
            let entries = Mutex<[JournalEntry]>([])

            func write(_ entry: JournalEntry) { self.entries.withLock { $0.append(entry) } }

            var all: [JournalEntry] { self.entries.withLock { $0 } }
        }

        private func logger(_ sink: any JournalSink, level: Logger.Level = .info) -> Logger {
            Logger(label: "gotunnel") { JournalLogHandler(label: $0, sink: sink, level: { level }) }
        }

        @Test func anEntryIsAListOfFields() {
            let entry = JournalEntry(
                message: "peer is dead", priority: .warning, id: JournalEvent.peerDead.id, fields: ["peer": "b", "rtt-ms": "3"])
            let expected = [
                "MESSAGE=peer is dead", "PRIORITY=4", "MESSAGE_ID=\(JournalEvent.peerDead.id)", "GOTUNNEL_PEER=b",
                "GOTUNNEL_RTT_MS=3",
            ]
            #expect(entry.assignments == expected)
        }

        @Test func namesAndValuesFromOutsideAreMadeHarmless() {
            let long = String(repeating: "k", count: 100)
            let entry = JournalEntry(
                message: "one\ntwo", priority: .info,
                fields: ["_PID=1\n": "1\nPRIORITY=0", "ns/\u{e9}": "\u{1b}[0m", long: String(repeating: "v", count: 500)])
            #expect(entry.message == "one two")
            #expect(
                entry.fields.map(\.name) == ["GOTUNNEL_" + long.uppercased().prefix(55), "GOTUNNEL_NS___", "GOTUNNEL__PID_1_"])
            #expect(entry.fields.map(\.value.utf8.count) == [200, 4, 12])
            #expect(entry.assignments.allSatisfy { !$0.contains("\n") })
        }

        @Test func anEntryIsBounded() {
            let fields = Dictionary(uniqueKeysWithValues: (0..<1000).map { ("key\($0)", "x") })
            let entry = JournalEntry(message: String(repeating: "m", count: 100_000), priority: .info, fields: fields)
            #expect(entry.fields.count == JournalEntry.fieldLimit)
            #expect(entry.message.utf8.count == JournalEntry.messageLimit)
        }

        @Test func metadataBecomeFieldsAndAreShown() {
            let sink = Collector()
            var logger = logger(sink)
            logger[metadataKey: "server"] = "controller-1"
            logger.warning("peer is dead", metadata: ["peer": "b c", "event": "peer-dead", "why": "said \"no\""])
            let fields = [
                JournalEntry.Field(name: "GOTUNNEL_EVENT", value: "peer-dead"),
                JournalEntry.Field(name: "GOTUNNEL_LOGGER", value: "gotunnel"),
                JournalEntry.Field(name: "GOTUNNEL_PEER", value: "b c"),
                JournalEntry.Field(name: "GOTUNNEL_SERVER", value: "controller-1"),
                JournalEntry.Field(name: "GOTUNNEL_WHY", value: "said \"no\""),
            ]
            #expect(sink.all.map(\.fields) == [fields])
            #expect(sink.all.map(\.priority) == [.warning])
            #expect(sink.all.map(\.id) == [JournalEvent.peerDead.id])
            let shown = #"peer is dead event=peer-dead peer="b c" server=controller-1 why="said \"no\"""#
            #expect(sink.all.map(\.message) == [shown])
        }

        @Test func anUnknownEventHasNoID() {
            let sink = Collector()
            logger(sink).info("hello", metadata: ["event": "something-else"])
            #expect(sink.all.map(\.id) == [nil])
        }

        @Test func levelsBecomePriorities() {
            let sink = Collector()
            let logger = logger(sink, level: .trace)
            for level in Logger.Level.allCases { logger.log(level: level, "x") }
            #expect(sink.all.map(\.priority.rawValue) == [7, 7, 6, 5, 4, 3, 2])
        }

        @Test func theLevelFollowsTheProcessUntilALoggerHasItsOwn() {
            let sink = Collector()
            var logger = logger(sink, level: .warning)
            logger.info("not this")
            logger.logLevel = .debug
            logger.debug("but this")
            #expect(sink.all.map(\.message) == ["but this"])
        }

        @Test func everyEventHasItsOwnID() {
            let events = JournalEvent.allCases
            #expect(Set(events.map(\.id)).count == events.count)
            for event in events {
                #expect(event.id.utf8.count == 32)
                #expect(event.id.allSatisfy { "0123456789abcdef".contains($0) })
            }
        }

        @Test func standardErrorIsTheJournalOnlyIfItIsThatSocket() throws {
            let pair = try Descriptors.pair()
            defer { for one in [pair.0, pair.1] { close(one) } }
            let first = try FileID(pair.0)
            let stream = "\(first.device):\(first.inode)"
            #expect(Journal.isJournal(descriptor: pair.0, stream: stream))
            #expect(!Journal.isJournal(descriptor: pair.1, stream: stream))
            #expect(!Journal.isJournal(descriptor: pair.0, stream: nil))
            #expect(!Journal.isJournal(descriptor: -1, stream: stream))
        }
    }
}
