import Dispatch
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Systemd

extension SystemdTests {
    @Suite struct JournalWriterTests {
        private final class Sent: Sendable {
            let messages = Mutex<[String]>([])
            /// Signalled at the beginning of each call, which then waits for the other.
            let began = DispatchSemaphore(value: 0)
            let mayEnd = DispatchSemaphore(value: 0)

            var all: [String] { self.messages.withLock { $0 } }

            func note(_ entry: JournalEntry) { self.messages.withLock { $0.append(entry.message) } }
        }

        private func entry(_ text: String) -> JournalEntry { JournalEntry(message: text, priority: .info) }

        @Test func entriesGoOutInOrderAndAFlushWaitsForThem() {
            let sent = Sent()
            let writer = JournalWriter { sent.note($0) }
            for number in 0..<500 { writer.write(entry("\(number)")) }
            #expect(writer.flush(timeout: .seconds(60)))
            #expect(sent.all == (0..<500).map { "\($0)" })
        }

        @Test func aStuckJournalStopsNobody() {
            let sent = Sent()
            let writer = JournalWriter(limit: 10) { entry in
                sent.began.signal()
                sent.mayEnd.wait()
                sent.note(entry)
            }
            writer.write(entry("first"))
            sent.began.wait()
            // The thread is stuck with the first; ten may wait; the others are dropped.
            for number in 0..<1000 { writer.write(entry("\(number)")) }
            #expect(!writer.flush(timeout: .milliseconds(20)))
            for _ in 0..<12 { sent.mayEnd.signal() }
            #expect(writer.flush(timeout: .seconds(60)))
            let expected =
                ["first"] + (0..<10).map { "\($0)" } + ["log entries dropped because the journal did not take them: 990"]
            #expect(sent.all == expected)
        }

        @Test func whatTheJournalRefusesIsCounted() {
            let sent = Sent()
            let isRefusing = Mutex(true)
            let writer = JournalWriter { entry in
                if isRefusing.withLock({ $0 }) { throw SystemdError.failed(call: "sd_journal_sendv", code: EPERM) }
                sent.note(entry)
            }
            for _ in 0..<3 { writer.write(entry("refused")) }
            #expect(writer.flush(timeout: .seconds(60)))
            isRefusing.withLock { $0 = false }
            writer.write(entry("taken"))
            #expect(writer.flush(timeout: .seconds(60)))
            // The count may go out before the entry or after it.
            #expect(sent.all.sorted() == ["log entries dropped because the journal did not take them: 3", "taken"])
        }

        /// With journald itself, where one runs: under systemd, and so in a systemd in namespaces.
        @Test(.enabled(if: access("/run/systemd/journal/socket", W_OK) == 0))
        func journaldKeepsTheFields() throws {
            let mark = "test-\(UInt64.random(in: 0 ... .max))"
            let writer = JournalWriter()
            writer.write(
                JournalEntry(
                    message: "peer is dead peer=b", priority: .warning, id: JournalEvent.peerDead.id,
                    fields: ["peer": "b", "mark": mark]))
            #expect(writer.flush(timeout: .seconds(60)))
            let text = try Self.journalctl(["--sync"]) + Self.journalctl(["--output=export", "GOTUNNEL_MARK=\(mark)"])
            let lines = Set(text.split(separator: "\n").map(String.init))
            let expected: Set = [
                "MESSAGE=peer is dead peer=b", "PRIORITY=4", "MESSAGE_ID=\(JournalEvent.peerDead.id)", "GOTUNNEL_PEER=b",
                "_PID=\(getpid())",
            ]
            #expect(lines.isSuperset(of: expected), "the journal has:\n\(text)")
        }

        private static func journalctl(_ arguments: [String]) throws -> String {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(filePath: "/usr/bin/journalctl")
            process.arguments = arguments
            process.standardOutput = output
            try process.run()
            let data = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return String(decoding: data, as: UTF8.self)
        }
    }
}
