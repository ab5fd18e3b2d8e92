import ChaosCore
import Foundation
import Testing

@testable import ChaosHarness

@Suite("Reading the records of traffic") struct RecordReaderTests {
    private static let line = #"{"t":1,"who":"worker-1","kind":"new","http":"2","what":"done"}"#

    @Test("what was thrown away is counted, and half a line is none until its end comes")
    func gapsAreCounted() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "records-\(UUID().uuidString).jsonl").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let text = Self.line + "\n" + #"{"dropped":12,"who":"worker-1"}"# + "\nno observation\n"
        try Data((text + Self.line.prefix(20)).utf8).write(to: URL(filePath: path))
        var reader = RecordReader([path, "/nowhere/at-all.jsonl"])
        #expect(reader.read().map(\.who) == ["worker-1"] && reader.dropped == 12)
        try Data((text + Self.line + "\n").utf8).write(to: URL(filePath: path))
        #expect(reader.read().count == 1 && reader.dropped == 12)
        #expect(reader.read().isEmpty)
    }
}
