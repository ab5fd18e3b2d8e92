import ClusterCore
import Foundation
import Identity
import Testing
import TunnelWire

@testable import TunnelServer

/// The state file as a disk, a careless hand or another server may leave it. What cannot be read is never written over.
@Suite final class ClusterFileTests {
    private let directory: String
    private let file: ClusterFile
    private let installation = WireID(high: 1, low: 2)
    private let voter = WireID(high: 3, low: 4)
    private let state: StoredState

    init() throws {
        self.directory = FileManager.default.temporaryDirectory.appendingPathComponent("cluster-file-\(UUID())").path
        try FileManager.default.createDirectory(
            atPath: self.directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        self.file = ClusterFile(directory: self.directory, name: "a", installation: self.installation)
        var state = StoredState()
        state.term = 7
        state.votedFor = Voter(name: "b", id: WireID(high: 5, low: 6))
        self.state = state
    }

    deinit { try? FileManager.default.removeItem(atPath: self.directory) }

    private func bytes() throws -> Data { try Data(contentsOf: URL(filePath: self.file.path)) }

    private func replace(_ bytes: Data) throws {
        try bytes.write(to: URL(filePath: self.file.path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: self.file.path)
    }

    /// What a load complains of; nil if it does not.
    private func problem(with file: ClusterFile? = nil) -> String? {
        do throws(IdentityProblem) {
            _ = try (file ?? self.file).load()
            return nil
        } catch {
            return error.description
        }
    }

    @Test func itComesBack() throws {
        #expect(try self.file.load() == nil)
        try self.file.write(self.state, id: self.voter)
        let found = try #require(try self.file.load())
        #expect(found.id == self.voter && found.state == self.state)
        try self.file.write(StoredState(), id: self.voter)
        #expect(try self.file.load()?.state == StoredState())
        #expect(try FileManager.default.contentsOfDirectory(atPath: self.directory) == ["cluster.state"])
    }

    @Test func everyTruncationIsRefused() throws {
        try self.file.write(self.state, id: self.voter)
        let whole = try self.bytes()
        for length in 0..<whole.count {
            try self.replace(whole.prefix(length))
            let said = try #require(self.problem(), "cut to \(length) bytes")
            #expect(said.contains(self.file.path) && said.contains("cluster add a"), "\(said)")
            #expect(try self.bytes() == whole.prefix(length))
        }
    }

    @Test func everyChangedByteIsRefused() throws {
        try self.file.write(self.state, id: self.voter)
        let whole = try self.bytes()
        for index in whole.indices {
            var changed = whole
            changed[index] ^= 0x20
            try self.replace(changed)
            #expect(self.problem() != nil, "byte \(index)")
            #expect(try self.bytes() == changed)
        }
    }

    @Test func whatIsAnothersIsRefused() throws {
        try self.file.write(self.state, id: self.voter)
        let elsewhere = ClusterFile(directory: self.directory, name: "a", installation: WireID(high: 9, low: 9))
        #expect(self.problem(with: elsewhere)?.contains("belongs to the state directory of another server (a)") == true)
        let renamed = ClusterFile(directory: self.directory, name: "b", installation: self.installation)
        #expect(self.problem(with: renamed)?.contains("under the name a, and server.name is b") == true)
    }

    @Test func anotherVersionIsRefused() throws {
        try self.replace(Data("gotunnel cluster state 2\nwhatever this version writes, it is long enough to be one".utf8))
        #expect(self.problem()?.contains("was written by another version (format 2)") == true)
        try self.replace(Data("something else".utf8))
        #expect(self.problem()?.contains("does not begin as such a file does") == true)
    }

    @Test func othersMayNotReadIt() throws {
        try self.file.write(self.state, id: self.voter)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: self.file.path)
        #expect(self.problem()?.contains("0644") == true)
    }
}
