import Logging
import Synchronization
import Testing

@testable import Admin

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Keeps the lines it is given.
private final class MemorySink: LogSink {
    private let kept = Mutex<[String]>([])

    func write(_ line: [UInt8]) {
        kept.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
    }

    var lines: [String] { kept.withLock { $0 } }
}

@Suite struct LoggingTests {
    private let sink = MemorySink()
    private let level = SharedLogLevel(.info)

    private func logger(_ style: LineFormat.Style) -> Logger {
        Logger(label: "test") { [sink, level] _ in
            LineLogHandler(style: style, level: level, sink: sink, clock: { Timestamp(milliseconds: 1_738_314_307_042) })
        }
    }

    @Test func textIsOneLineWithSortedFields() {
        logger(.text).info(
            "client connected", metadata: ["name": "k8s-1", "addr": "10.0.0.1:5", "note": "two words", "empty": ""])
        #expect(
            sink.lines == [
                "2025-01-31T09:05:07.042Z INFO     client connected addr=10.0.0.1:5 empty=\"\" name=k8s-1 note=\"two words\"\n"
            ])
    }

    @Test func nothingFromOutsideForgesALineOrAField() {
        let attack = "x\n2025-01-31T09:05:07.042Z ERROR forged\u{1b}[31m a=\"b\" \\n \u{202e}é\u{0}\u{7f}"
        logger(.text).warning("handshake failed", metadata: ["name": "\(attack)", "k\n=y": "1"])
        let line = sink.lines.joined()
        #expect(line.filter { $0 == "\n" }.count == 1)
        #expect(line.utf8.dropLast().allSatisfy { (0x20...0x7E).contains($0) })
        #expect(
            line.hasSuffix(
                " name=\"x\\n2025-01-31T09:05:07.042Z ERROR forged\\x1b[31m a=\\\"b\\\" \\\\n ??\\x00\\x7f\"\n"))
        #expect(line.contains(" k__y=1 "))
    }

    @Test func jsonIsOneObjectALine() throws {
        logger(.json).error("it \"broke\"", metadata: ["reason": "a\"b\\c\nd", "level": "mine", "streams": "3"])
        let line = try #require(sink.lines.first)
        #expect(
            line
                == #"{"time":"2025-01-31T09:05:07.042Z","level":"error","message":"it \"broke\"","_level":"mine","reason":"a\"b\\c?d","streams":"3"}"#
                + "\n")
        let object = try AdminJSON.decode([String: String].self, from: Array(line.utf8))
        #expect(object["reason"] == "a\"b\\c?d")
    }

    @Test func journalLinesHavePriorityAndNoTime() {
        logger(.journal).warning("careful", metadata: ["a": "1"])
        #expect(sink.lines == ["<4>WARNING  careful a=1\n"])
    }

    @Test(arguments: [LineFormat.Style.text, .json, .journal]) func linesStayBelowTheLimit(style: LineFormat.Style) throws {
        var metadata: Logger.Metadata = [:]
        for index in 0..<100 { metadata["key\(index)"] = .string(String(repeating: "v", count: 5000)) }
        logger(style).info("\(String(repeating: "m", count: 9000))", metadata: metadata)
        let line = try #require(sink.lines.first)
        #expect(line.utf8.count <= LogLine.limit)
        #expect(line.utf8.count > LogLine.limit / 2)
        #expect(line.last == "\n")
        if style == .json {
            #expect(line.hasSuffix(",\"truncated\":true}\n"))
        } else {
            #expect(line.hasSuffix("...\n"))
        }
    }

    @Test func longValuesAreCut() {
        logger(.text).info(
            "m", metadata: ["a": .string(String(repeating: "v", count: 201)), "b": .string(String(repeating: "w", count: 200))])
        #expect(
            sink.lines.joined().hasSuffix("a=\(String(repeating: "v", count: 197))... b=\(String(repeating: "w", count: 200))\n"))
    }

    @Test func theLevelOfTheProcessChangesAndOneLoggerMayDiffer() {
        let logger = logger(.text)
        var chatty = logger
        logger.debug("one")
        level.level = .debug
        logger.debug("two")
        chatty.logLevel = .trace
        chatty.trace("three")
        logger.trace("four")
        level.level = .error
        logger.warning("five")
        #expect(sink.lines.map { $0.dropLast().split(separator: " ").last } == ["two", "three"])
    }

    @Test func journalIsChosenOnlyWhenStandardErrorIsTheJournal() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        var status = stat()
        try #require(fstat(ends[1], &status) == 0)
        let stream = "\(status.st_dev):\(status.st_ino)"
        #expect(LineFormat.auto.style(journalStream: stream, descriptor: ends[1]) == .journal)
        #expect(LineFormat.journal.style(journalStream: stream, descriptor: ends[1]) == .journal)
        #expect(LineFormat.auto.style(journalStream: "1:2", descriptor: ends[1]) == .text)
        #expect(LineFormat.journal.style(journalStream: nil, descriptor: ends[1]) == .text)
        #expect(LineFormat.json.style(journalStream: stream, descriptor: ends[1]) == .json)
        #expect(LineFormat.text.style(journalStream: stream, descriptor: ends[1]) == .text)
    }

    @Test func aReaderThatStopsLosesLinesButHoldsUpNobody() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let sink = DescriptorSink(descriptor: ends[1], patience: 0)
        let line = Array(repeating: UInt8(ascii: "x"), count: 999) + [UInt8(ascii: "\n")]
        // A pipe holds 64 KiB: far fewer than these, and none of them may block.
        for _ in 0..<500 { sink.write(line) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let first = read(ends[0], &buffer, buffer.count)
        #expect(first > 0 && first < 500 * 1000 && first % 1000 == 0)
        sink.write(line)
        let second = read(ends[0], &buffer, buffer.count)
        let text = String(decoding: buffer[0..<max(0, second)], as: UTF8.self)
        #expect(
            text == "log lines dropped because nobody read them: \(500 - first / 1000)\n" + String(decoding: line, as: UTF8.self))
    }
}

@Suite struct OncePerTests {
    private let start = ContinuousClock.now

    @Test func theSameThingOncePerIntervalWithACount() {
        let once = OncePer(interval: .seconds(10))
        #expect(once.admit(kind: "proof", source: "a", now: start) == 0)
        for second in 1..<10 { #expect(once.admit(kind: "proof", source: "a", now: start + .seconds(second)) == nil) }
        #expect(once.admit(kind: "proof", source: "b", now: start + .seconds(5)) == 0)
        #expect(once.admit(kind: "tls", source: "a", now: start + .seconds(5)) == 0)
        #expect(once.admit(kind: "proof", source: "a", now: start + .seconds(10)) == 9)
        #expect(once.admit(kind: "proof", source: "a", now: start + .seconds(20)) == 0)
    }

    @Test func aFloodOfSourcesIsBounded() {
        let once = OncePer(interval: .seconds(10), capacity: 100)
        let said = (0..<10_000).compactMap { once.admit(kind: "proof", source: "s\($0)", now: start) }
        #expect(said.count == 101)
        #expect(once.count == 101)
        #expect(once.admit(kind: "proof", source: "later", now: start + .seconds(10)) == 0)
        #expect(once.count <= 2)
    }
}
