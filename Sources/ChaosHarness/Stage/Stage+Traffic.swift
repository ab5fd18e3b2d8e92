import Foundation

/// Traffic on a stage.
extension Stage {
    /// Starts a traffic program and waits until it says `word`.
    func traffic(_ name: String, _ arguments: [String], until word: String) async throws {
        let folder = self.plan.folder
        for end in ["log", "json"] { try? FileManager.default.removeItem(atPath: "\(folder)/\(name).\(end)") }
        self.cast[name] = try self.spawn(
            [self.program("gotunnel-chaos"), "traffic"] + arguments + ["--output", "\(folder)/\(name).json"], name,
            on: self.clientHost)
        try await self.wait(for: "\(name) to begin", within: .seconds(30)) {
            (try? String(contentsOfFile: "\(folder)/\(name).log", encoding: .utf8))?.contains(word) ?? false
        }
    }

    /// What a traffic program has written at its end.
    func read<Report: Decodable>(_ name: String) throws -> Report {
        do {
            return try TrafficFile.read(Report.self, from: "\(self.plan.folder)/\(name).json")
        } catch {
            throw StageError("\(error); see \(self.plan.folder)/\(name).log")
        }
    }

    /// What all far ends have counted together, the one behind the client's exposure included.
    func farEnds() throws -> BackendStats {
        try self.places.map { try self.stats(of: $0) }
            .reduce(try self.stats(at: "127.0.0.1", self.controlPort, on: self.clientHost, "control"), +)
    }
}
