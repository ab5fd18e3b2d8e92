import Foundation
import Testing

/// Runs the inputs that the fuzz target starts from, every input that ever broke it, and random ones, through its check.
@Suite struct FuzzReplayTests {
    @Test func seedsAndOldCrashes() throws {
        let seeds = try Self.inputs("corpus")
        #expect(seeds.count >= 5, "the seeds lie in Fuzz/corpus/SessionFuzz")
        for file in try seeds + Self.inputs("crashes") {
            #expect(SessionCheck.run(Array(try Data(contentsOf: file))) == nil, "\(file.lastPathComponent)")
        }
    }

    @Test func randomScripts() {
        var random = SplitMix64(seed: 1)
        for script in 0..<2_000 {
            let bytes = (0..<random.int(0...120)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            #expect(SessionCheck.run(bytes) == nil, "script \(script)")
        }
    }

    /// The files of one folder in a stable order; none when the folder does not exist.
    private static func inputs(_ folder: String) throws -> [URL] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Fuzz").standardized
        let directory = root.appendingPathComponent(folder).appendingPathComponent("SessionFuzz")
        guard FileManager.default.fileExists(atPath: directory.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
    }
}
