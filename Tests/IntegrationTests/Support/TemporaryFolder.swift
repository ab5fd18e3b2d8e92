import Foundation

/// A folder that one test has to itself.
struct TemporaryFolder: Sendable {
    let path: String

    /// A path inside it.
    subscript(name: String) -> String { "\(self.path)/\(name)" }

    /// Makes a folder with mode 0700, runs `body`, and removes the folder whatever happens. Its path is short, because the
    /// paths of Unix sockets are bounded to 107 bytes.
    static func with<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (TemporaryFolder) async throws -> Result
    ) async throws -> Result {
        let folder = try TemporaryFolder(path: make())
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        return try await body(folder)
    }

    private static func make() throws -> String {
        let path = "\(NSTemporaryDirectory())/gt-\(String(UInt32.random(in: 0 ... .max), radix: 36))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        return URL(filePath: path).standardizedFileURL.path
    }

    /// Writes a file; returns its path.
    @discardableResult
    func write(_ name: String, _ text: String, mode: Int = 0o600) throws -> String {
        let path = self[name]
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    /// The text of a file; empty when there is none.
    func read(_ name: String) -> String {
        (try? String(decoding: Data(contentsOf: URL(filePath: self[name])), as: UTF8.self)) ?? ""
    }

    func makeFolder(_ name: String, mode: Int = 0o700) throws {
        try FileManager.default.createDirectory(
            atPath: self[name], withIntermediateDirectories: true, attributes: [.posixPermissions: mode])
    }
}

extension TemporaryFolder {
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self[name]) }
}

extension TemporaryFolder {
    /// The permission bits of a file.
    static func mode(of path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    }
}
