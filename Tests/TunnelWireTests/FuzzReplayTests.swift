import Foundation
import Testing

/// Runs the inputs that the fuzz targets start from, and every input that ever broke one, through the same checks.
@Suite struct FuzzReplayTests {
    @Test(arguments: ["FrameDecoderFuzz", "HandshakeMessagesFuzz", "ControlMessagesFuzz", "ClusterMessagesFuzz"])
    func replay(target: String) throws {
        let check =
            switch target {
            case "FrameDecoderFuzz": FrameDecoderCheck.run
            case "HandshakeMessagesFuzz": MessageChecks.handshake
            case "ClusterMessagesFuzz": ClusterChecks.message
            default: MessageChecks.control
            }
        let seeds = try Self.inputs("corpus", target)
        #expect(seeds.count >= 5, "the seeds lie in Fuzz/corpus/\(target)")
        for file in try seeds + Self.inputs("crashes", target) {
            let broken = check(Array(try Data(contentsOf: file)))
            #expect(broken == nil, "\(file.lastPathComponent)")
        }
    }

    /// The files of one folder in a stable order; none when the folder does not exist.
    private static func inputs(_ folder: String, _ target: String) throws -> [URL] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Fuzz").standardized
        let directory = root.appendingPathComponent(folder).appendingPathComponent(target)
        guard FileManager.default.fileExists(atPath: directory.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
    }
}
