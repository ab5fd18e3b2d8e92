import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// A state file that must not be used: the start is refused with one line, and the file stays as it is.
    @Suite struct StateFileTests {
        /// What became of the file, and what the line says.
        struct Case: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let says: String
            let change: @Sendable (_ bytes: [UInt8]) -> [UInt8]
        }

        static let notSuchAFile = "does not begin as such a file does"
        static let changed = "is cut short or was changed (its checksum is wrong)"

        static let cases = [
            Case(testDescription: "empty", says: notSuchAFile) { _ in [] },
            Case(testDescription: "zeroes", says: notSuchAFile) { $0.map { _ in 0 } },
            Case(testDescription: "another file", says: notSuchAFile) { _ in Array("server:\n  name: one\n".utf8) },
            Case(testDescription: "only its first line", says: changed) { Array($0.prefix { $0 != 10 }) + [10] },
            Case(testDescription: "half", says: changed) { Array($0.prefix($0.count / 2)) },
            Case(testDescription: "one byte less", says: changed) { Array($0.dropLast()) },
            Case(testDescription: "one byte more", says: changed) { $0 + [0] },
            Case(testDescription: "one bit", says: changed) { bytes in
                var bytes = bytes
                bytes[bytes.count / 2] ^= 1
                return bytes
            },
            Case(testDescription: "newer", says: "was written by another version (format 2)") { bytes in
                Array("gotunnel cluster state 2\n".utf8) + bytes.drop { $0 != 10 }.dropFirst()
            },
        ]

        @Test func aFileThatCannotBeReadIsRefused() async throws {
            try await ServerGroup.with(GroupSetup(servers: 1, isCluster: true, links: 1)) { group in
                let server = group.servers[0]
                let path = group.folder["\(server.state)/cluster.state"]
                try await group.accord()
                try await server.kill()
                let sound = try Self.bytes(path)
                for trial in Self.cases {
                    let bytes = trial.change(sound)
                    try Self.write(bytes, to: path)
                    try await Self.expectRefusal(server, group, path, trial.says, trial.testDescription)
                    #expect(try Self.bytes(path) == bytes, "\(trial.testDescription): expected the file to be as it was")
                }
                try Self.write(sound, to: path)
                #expect(chmod(path, 0o644) == 0)
                try await Self.expectRefusal(server, group, path, "holds a secret but its mode is 0644", "mode")
                #expect(try Self.bytes(path) == sound && TemporaryFolder.mode(of: path) == 0o644)
                #expect(chmod(path, 0o600) == 0)
                // The right one is as good as before.
                try await group.start([server])
                try await group.accord(voters: [server])
            }
        }

        @Test func theFileOfAnotherServerIsRefused() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, isCluster: true)) { group in
                let (one, two) = (group.servers[0], group.servers[1])
                try await group.accord()
                try await one.kill()
                try await two.kill()
                let path = group.folder["\(one.state)/cluster.state"]
                let (own, other) = (try Self.bytes(path), try Self.bytes(group.folder["\(two.state)/cluster.state"]))
                try Self.write(other, to: path)
                try await Self.expectRefusal(
                    one, group, path, "belongs to the state directory of another server (server-2)", "foreign")
                #expect(try Self.bytes(path) == other)
                try Self.write(own, to: path)
                // The directory is its own, the name is another.
                let file = group.folder.read("server-1.yaml")
                try group.folder.write("server-1.yaml", file.replacingOccurrences(of: "name: server-1", with: "name: renamed"))
                try await Self.expectRefusal(
                    one, group, path, "belongs to this server under the name server-1, and server.name is renamed", "renamed")
                #expect(try Self.bytes(path) == own)
                try group.folder.write("server-1.yaml", file)
                try await group.start(group.servers)
                try await group.accord(voters: group.servers)
            }
        }
    }
}

extension Integration.Cluster.StateFileTests {
    static func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    /// In place, so that owner and mode stay.
    private static func write(_ bytes: [UInt8], to path: String) throws {
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }

    /// Exit code 78 and one line: which file, what is wrong, what to do.
    private static func expectRefusal(
        _ server: GroupServer, _ group: ServerGroup, _ path: String, _ says: String, _ trial: String
    ) async throws {
        let before = try Self.names(in: group.folder[server.state])
        let result = try await run(try Programs.server, ["--config", group.folder["server-\(server.number).yaml"]])
        #expect(result.end == .exit(78), "\(trial): \(result)")
        let lines = result.errorLines.filter { $0.contains("cluster.state") }
        #expect(lines.count == 1 && result.errorLines.last == lines.first, "\(trial): \(result)")
        let begin = "gotunnel-server cannot start: \(path) \(says)"
        let line = lines.first ?? ""
        #expect(line.hasPrefix(begin), "\(trial): \(line)")
        #expect(line.dropFirst(begin.utf8.count).contains(": "), "\(trial): expected what to do, got \(line)")
        #expect(try Self.names(in: group.folder[server.state]) == before, "\(trial): expected nothing to have been made")
    }

    private static func names(in directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }
}
