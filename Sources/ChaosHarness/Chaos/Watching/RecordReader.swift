import ChaosCore
import Foundation

/// Reads the record files of traffic and apiservers as they grow.
struct RecordReader {
    private struct Source {
        let path: String
        var offset: UInt64 = 0
        var rest = Data()
    }

    private var sources: [Source]
    private let decoder = JSONDecoder()
    /// How many observations the writers say they had to throw away.
    private(set) var dropped = 0

    /// What a writer leaves in place of them.
    private struct Gap: Decodable {
        var dropped: Int
    }

    init(_ paths: [String]) {
        self.sources = paths.map { Source(path: $0) }
    }

    /// What was written since the last call; half a line waits for its end. A line that is no observation is skipped: a
    /// process that was killed leaves half of one.
    mutating func read() -> [Observation] {
        var all: [Observation] = []
        for index in self.sources.indices {
            guard let file = try? FileHandle(forReadingFrom: URL(filePath: self.sources[index].path)) else { continue }
            defer { try? file.close() }
            guard (try? file.seek(toOffset: self.sources[index].offset)) != nil, let data = try? file.readToEnd() else {
                continue
            }
            self.sources[index].offset += UInt64(data.count)
            var whole = self.sources[index].rest + data
            guard let end = whole.lastIndex(of: UInt8(ascii: "\n")) else {
                self.sources[index].rest = whole
                continue
            }
            self.sources[index].rest = Data(whole[whole.index(after: end)...])
            whole = Data(whole[..<end])
            for line in whole.split(separator: UInt8(ascii: "\n")) {
                if let observation = try? self.decoder.decode(Observation.self, from: line) {
                    all.append(observation)
                } else if let gap = try? self.decoder.decode(Gap.self, from: line) {
                    self.dropped += gap.dropped
                }
            }
        }
        return all
    }
}
