import Settings
import Testing

@testable import TunnelClient

@Suite struct ServerDirectoryTests {
    private static let day: Int64 = 24 * 3_600
    private static let life = String(repeating: "a", count: 32)
    private static let nextLife = String(repeating: "b", count: 32)
    private let start: Int64 = 1_800_000_000

    private func announcement(_ version: UInt64, _ servers: [(String, [HostPort])]) -> ServerAnnouncement {
        ServerAnnouncement(version: version, servers: servers.map { .init(name: $0.0, addresses: $0.1) })
    }

    @Test func configuredAddressesComeFirstAndEachOnce() throws {
        let one = try literal(1)
        var directory = ServerDirectory(configured: [try literal(2), one, one])
        directory.learn(
            self.announcement(1, [("c1", []), ("c2", [one, try literal(3)])]), from: "c1", instance: Self.life, at: self.start)
        #expect(directory.addresses == [try literal(2), one, try literal(3)])
    }

    @Test func learnedAddressesFollowByTheNameOfTheirAnnouncer() throws {
        var directory = ServerDirectory(configured: [])
        directory.learn(self.announcement(1, [("b", [try literal(2)])]), from: "b", instance: Self.life, at: self.start)
        directory.learn(self.announcement(1, [("a", [try literal(1)])]), from: "a", instance: Self.life, at: self.start)
        #expect(directory.addresses == [try literal(1), try literal(2)])
    }

    @Test func aNewerListReplacesTheOldOne() throws {
        var directory = ServerDirectory(configured: [])
        #expect(directory.learn(self.announcement(1, [("c2", [try literal(2)])]), from: "c1", instance: Self.life, at: 1) == true)
        #expect(directory.learn(self.announcement(2, [("c3", [try literal(3)])]), from: "c1", instance: Self.life, at: 2) == true)
        #expect(directory.addresses == [try literal(3)])
        #expect(
            directory.learn(self.announcement(3, [("c3", [try literal(3)])]), from: "c1", instance: Self.life, at: 3) == false)
    }

    @Test func anOlderVersionOfOneLifeIsIgnored() throws {
        var directory = ServerDirectory(configured: [])
        directory.learn(self.announcement(5, [("c2", [try literal(2)])]), from: "c1", instance: Self.life, at: 1)
        #expect(
            directory.learn(self.announcement(4, [("c3", [try literal(3)])]), from: "c1", instance: Self.life, at: 2) == false)
        #expect(
            directory.learn(self.announcement(5, [("c3", [try literal(3)])]), from: "c1", instance: Self.life, at: 2) == false)
        #expect(directory.addresses == [try literal(2)])
    }

    @Test func versionsOfDifferentLivesDoNotCompare() throws {
        var directory = ServerDirectory(configured: [])
        directory.learn(self.announcement(5, [("c2", [try literal(2)])]), from: "c1", instance: Self.life, at: 1)
        #expect(
            directory.learn(self.announcement(1, [("c3", [try literal(3)])]), from: "c1", instance: Self.nextLife, at: 2) == true)
        #expect(directory.addresses == [try literal(3)])
    }

    @Test func whatWasLearnedExpiresSevenDaysAfterItsAnnouncerWasHeard() throws {
        var directory = ServerDirectory(configured: [try literal(1)])
        directory.learn(self.announcement(1, [("c2", [try literal(2)])]), from: "c1", instance: Self.life, at: self.start)
        #expect(directory.expire(at: self.start + 7 * Self.day) == false)
        directory.heard(from: "c1", at: self.start + 7 * Self.day)
        #expect(directory.expire(at: self.start + 14 * Self.day) == false)
        // The same announcement again says that it is alive, too.
        directory.learn(
            self.announcement(1, [("c2", [try literal(2)])]), from: "c1", instance: Self.life, at: self.start + 14 * Self.day)
        #expect(directory.expire(at: self.start + 21 * Self.day) == false)
        #expect(directory.expire(at: self.start + 21 * Self.day + 1) == true)
        #expect(directory.addresses == [try literal(1)], "what is configured never expires")
    }

    @Test func aServerIsFoundByItsNameItsOwnWordFirst() throws {
        var directory = ServerDirectory(configured: [])
        directory.learn(
            self.announcement(1, [("c1", [try literal(1)]), ("c3", [try literal(30), try literal(3)])]), from: "c1",
            instance: Self.life, at: 1)
        directory.learn(self.announcement(1, [("c3", [try literal(3)])]), from: "c3", instance: Self.life, at: 1)
        #expect(directory.addresses(ofServer: "C3") == [try literal(3), try literal(30)])
        #expect(directory.addresses(ofServer: "c1") == [try literal(1)])
        #expect(directory.addresses(ofServer: "c2").isEmpty)
    }

    @Test func anAnnouncerWithoutAddressesOfItsOwnTeachesNothingOfItself() throws {
        var directory = ServerDirectory(configured: [try literal(1)])
        #expect(directory.learn(self.announcement(1, [("c1", [])]), from: "c1", instance: Self.life, at: 1) == true)
        #expect(directory.addresses == [try literal(1)])
        #expect(directory.addresses(ofServer: "c1").isEmpty)
    }

    @Test func otherConfiguredAddressesReplaceTheOldOnes() throws {
        var directory = ServerDirectory(configured: [try literal(1)])
        directory.learn(self.announcement(1, [("c2", [try literal(2)])]), from: "c1", instance: Self.life, at: 1)
        directory.replaceConfigured([try literal(9), try literal(9)])
        #expect(directory.addresses == [try literal(9), try literal(2)])
    }

    @Test func allIsBounded() throws {
        var directory = ServerDirectory(configured: [try literal(1)])
        for announcer in 0..<100 {
            let servers = try (0..<80).map { server in
                ("", try (0..<10).map { try #require(HostPort("10.\(announcer).\(server).\($0):17000")) })
            }
            directory.learn(
                self.announcement(1, servers), from: "c\(announcer)", instance: Self.life, at: self.start + Int64(announcer))
        }
        #expect(directory.learned.count == 64)
        #expect(directory.learned.allSatisfy { $0.announcement.servers.count <= 64 })
        #expect(directory.learned.allSatisfy { $0.announcement.servers.allSatisfy { $0.addresses.count <= 8 } })
        #expect(directory.addresses.count <= 257)
        #expect(directory.learned.contains { $0.announcer == "c99" } && !directory.learned.contains { $0.announcer == "c0" })
    }

    @Test func whatSeveralServersSayTogetherIsBoundedNotEachWord() throws {
        var directory = ServerDirectory(configured: [])
        let servers = try (0..<64).map { ("s\($0)", try [0, 1, 2, 3].map { try #require(HostPort("10.0.\($0).1:\($0 + 1)")) }) }
        for announcer in ["a", "b", "c", "d", "e"] {
            directory.learn(self.announcement(1, servers), from: announcer, instance: Self.life, at: 1)
        }
        #expect(directory.learned.allSatisfy { $0.announcement.addresses.count == 256 })
    }

    @Test func anEarlierLifeIsRestoredAsFarAsItIsCredible() throws {
        let now = self.start
        func entry(_ name: String, _ heard: Int64, _ number: Int) throws -> LearnedServers {
            LearnedServers(
                announcer: name, instance: Self.life, announcement: self.announcement(1, [("", [try literal(number)])]),
                heard: heard)
        }
        var directory = ServerDirectory(configured: [])
        directory.restore(
            [
                try entry("old", now - 7 * Self.day - 1, 1), try entry("oldest", now - 7 * Self.day, 2),
                try entry("ahead", now + 300, 3), try entry("future", now + 301, 4), try entry("never", -1, 5),
            ], at: now)
        #expect(directory.learned.map(\.announcer) == ["ahead", "oldest"])
        #expect(directory.addresses == [try literal(3), try literal(2)])
    }
}
