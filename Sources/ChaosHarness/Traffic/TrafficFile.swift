import Foundation

/// The files in which generators leave their results.
package enum TrafficFile {
    /// Writes a report as JSON; the file is there complete or not at all.
    package static func write(_ report: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(report).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    /// Reads a report that ``write(_:to:)`` wrote.
    package static func read<Report: Decodable>(_ type: Report.Type, from path: String) throws -> Report {
        try JSONDecoder().decode(type, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}
