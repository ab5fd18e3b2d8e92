import Foundation
import Logging
import Settings
import Testing

@testable import TunnelClient

@Suite struct LearnedServersFileTests {
    /// A state directory of one test, removed with it.
    private final class StateDirectory {
        let path = "\(FileManager.default.temporaryDirectory.path)/learned-servers-\(UUID().uuidString)"

        init() throws { try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: false) }

        deinit { try? FileManager.default.removeItem(atPath: self.path) }
    }

    private static let now: Int64 = 1_800_000_000
    private let directory: StateDirectory
    private let file: LearnedServersFile

    init() throws {
        self.directory = try StateDirectory()
        self.file = LearnedServersFile(directory: self.directory.path)
    }

    private func sample(_ announcer: String = "c1", heard: Int64 = Self.now) throws -> LearnedServers {
        let name = try #require(HostPort("server-2.example:17000"))
        let v6 = try #require(HostPort("[fd00::1]:17000"))
        return LearnedServers(
            announcer: announcer, instance: String(repeating: "0f", count: 16),
            announcement: ServerAnnouncement(
                version: .max, servers: [.init(name: announcer, addresses: []), .init(name: "", addresses: [name, v6])]),
            heard: heard)
    }

    private func put(_ text: String) throws { try text.write(toFile: self.file.path, atomically: true, encoding: .utf8) }

    @Test func whatIsWrittenIsReadBack() throws {
        let learned = [try self.sample("a"), try self.sample("b", heard: Self.now - 5)]
        try self.file.write(learned)
        let (read, problem) = self.file.load(at: Self.now)
        #expect(read == learned && problem == nil)
    }

    @Test func noFileIsNoProblem() {
        let (read, problem) = self.file.load(at: Self.now)
        #expect(read.isEmpty && problem == nil)
    }

    @Test func onlyTheOwnerMayReadIt() throws {
        try self.file.write([])
        let attributes = try FileManager.default.attributesOfItem(atPath: self.file.path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(self.file.path.hasSuffix("/servers.json"))
    }

    @Test func equalContentsGiveEqualBytes() throws {
        let (one, other) = (try self.sample("a"), try self.sample("b"))
        let bytes = LearnedServersDocument.encode([one, other], maximumSize: 10_000)
        #expect(bytes == LearnedServersDocument.encode([other, one], maximumSize: 10_000))
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains("\"format\" : 1") && text.contains("[fd00::1]:17000") && text.hasSuffix("}\n"))
    }

    @Test func whatIsTooOldOrFromTheFutureIsDropped() throws {
        let day: Int64 = 24 * 3_600
        try self.file.write([
            try self.sample("old", heard: Self.now - 7 * day - 1), try self.sample("good", heard: Self.now - 7 * day),
            try self.sample("future", heard: Self.now + day),
        ])
        #expect(self.file.load(at: Self.now).learned.map(\.announcer) == ["good"])
    }

    @Test(arguments: [
        ("", "damaged"), ("{", "damaged"), ("[]", "damaged"), ("{\"format\":1}", "damaged"), ("{\"format\":\"1\"}", "damaged"),
        ("{\"format\":2,\"news\":[]}", "has format 2, and this version knows format 1"),
        ("{\"format\":0,\"announcers\":[]}", "has format 0"),
        ("\u{0}\u{1}\u{fffd}", "damaged"), (String(repeating: "[", count: 50_000), "damaged"),
    ])
    func whatCannotBeUsedIsOneLineAndNothing(_ text: String, _ reason: String) throws {
        try self.put(text)
        let (read, problem) = self.file.load(at: Self.now)
        let line = try #require(problem)
        #expect(read.isEmpty)
        #expect(line.contains(reason) && line.contains(self.file.path) && line.contains("configured servers"))
        #expect(line.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        // It is only a cache: the next announcement replaces it.
        try self.file.write([try self.sample()])
        #expect(self.file.load(at: Self.now).learned.count == 1)
    }

    @Test(arguments: [
        ("\"c1\"", "\"c 1\""), ("\"c1\"", "\"C1\""), ("0f0f", "0F0F"), ("0f0f", "0f"), ("[fd00::1]:17000", "fd00::1:17000"),
        ("server-2.example:17000", "server-2.example:0"), ("server-2.example:17000", "\\u001b[31m:17000"),
    ])
    func aNameOrAddressThatIsNoneSpoilsTheFile(_ good: String, _ bad: String) throws {
        let bytes = LearnedServersDocument.encode([try self.sample()], maximumSize: 10_000)
        let text = String(decoding: bytes, as: UTF8.self)
        let spoilt = text.replacingOccurrences(of: good, with: bad)
        #expect(spoilt != text)
        try self.put(spoilt)
        let (read, problem) = self.file.load(at: Self.now)
        #expect(read.isEmpty && problem?.contains("holds a name or an address that is none") == true)
    }

    @Test func somethingElseInItsPlaceIsSaid() throws {
        try FileManager.default.createDirectory(atPath: self.file.path, withIntermediateDirectories: false)
        let (read, problem) = self.file.load(at: Self.now)
        #expect(read.isEmpty && problem?.contains("is not a regular file") == true)
        #expect(throws: (any Error).self) { try self.file.write([]) }
    }

    @Test func theFileStaysWithinItsBoundAndKeepsWhatWasHeardLast() throws {
        let long = String(repeating: "x", count: 60)
        let hosts = try (0..<64).map { try #require(HostPort("\(long).\(long).\($0).example:17000")) }
        let learned = (0..<64).map { number in
            LearnedServers(
                announcer: "c\(number)", instance: String(repeating: "0", count: 32),
                announcement: ServerAnnouncement(
                    version: 1, servers: (0..<4).map { .init(name: "s\($0)", addresses: hosts) }),
                heard: Self.now - Int64(number))
        }
        try self.file.write(learned)
        let size = try Data(contentsOf: URL(fileURLWithPath: self.file.path)).count
        #expect(size <= LearnedServersFile.maximumSize)
        let (read, problem) = self.file.load(at: Self.now)
        #expect(problem == nil && read.count > 1 && read.count < 64)
        let kept = Set(read.map(\.announcer))
        #expect(kept == Set((0..<read.count).map { "c\($0)" }))
    }

    @Test func theLastOfWhatIsSavedIsInTheFile() throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        for version in 1...200 {
            var sample = try self.sample()
            sample.announcement.version = UInt64(version)
            self.file.save([sample], logger: logger)
        }
        self.file.waitUntilSaved()
        #expect(self.file.load(at: Self.now).learned.map(\.announcement.version) == [200])
    }
}
