import Settings

/// Reads any bytes as `config.yaml`, as a server, as a client and as `gotunnelctl config check` do.
package enum ConfigCheck {
    /// The body of the fuzz target.
    ///
    /// - Returns: what is broken, nil when the file was taken or refused as it should be.
    package static func run(_ input: [UInt8]) -> String? {
        let surroundings = Surroundings(environment: [:], hostName: "host-1", userID: 1_000, files: OneFile(contents: input))
        return Self.check { () throws(SettingsError) in
            try SettingsLoader.loadServer(path: OneFile.path, in: surroundings).notices
        }
            ?? Self.check { () throws(SettingsError) in
                try SettingsLoader.loadClient(path: OneFile.path, in: surroundings).notices
            }
            ?? Self.check { () throws(SettingsError) in try SettingsLoader.check(path: OneFile.path, in: surroundings).notices }
    }

    private static func check(_ load: () throws(SettingsError) -> [Notice]) -> String? {
        do throws(SettingsError) {
            return Self.badLine(in: try load().map(\.rendered))
        } catch {
            guard (1...20).contains(error.problems.count) else { return "an error with \(error.problems.count) problems" }
            return Self.badLine(in: error.lines)
        }
    }

    /// What reaches the terminal is one line of printable text for each problem.
    private static func badLine(in lines: [String]) -> String? {
        for line in lines where line.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) {
            return "a message with control characters"
        }
        return nil
    }
}

/// A machine with one file on it.
private struct OneFile: FileAccess {
    static let path = "config.yaml"
    let contents: [UInt8]

    func exists(_ path: String) -> Bool { path == Self.path }

    func read(_ path: String, limit: Int) throws(FileTrouble) -> FileContents {
        guard path == Self.path else { throw .missing }
        guard self.contents.count <= limit else { throw .tooLarge(limit: limit) }
        return FileContents(bytes: self.contents, mode: 0o600)
    }
}
