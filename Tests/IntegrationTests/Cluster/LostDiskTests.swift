import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// A voter whose state directory is gone has forgotten its promises, so its vote counts no more until it is given anew.
    @Suite struct LostDiskTests {
        @Test func aVoterWithoutItsDiskHasNoVote() async throws {
            let setup = GroupSetup(hasExposure: true, hasPicked: true, isCluster: true)
            try await ServerGroup.with(setup) { group in
                let first = try await group.accord(voters: group.servers)
                let port = try await group.pickedPort()
                let lost = group.others(than: first.leader)[0]
                try await Self.loseDisk(lost, group)
                // Its name is still among the voters; that voter is not this server.
                let second = try await group.accord(voters: group.servers)
                #expect(second.id == first.id)
                #expect(try await lost.admin.status()["role"].text == "learner")
                // It serves like the others, and listens on what was given out before it forgot.
                try await group.whenMapped([group.mapped, port])
                let (next, rest) = try await Self.expectNoVote(of: lost, group)

                // With both of the others back, nothing was lost meanwhile.
                try await group.start([rest])
                let third = try await group.accord(voters: group.servers, least: next.term)
                try await Integration.Cluster.VoterTests.change(lost, "add", lost.name, says: "\(lost.name) is a voter")
                try await Self.whenVoter(lost, group)
                try await group.accord(voters: group.servers)
                // Now it counts: with it, the majority goes on without another server.
                try await third.leader.kill()
                let last = try await group.accord(of: group.others(than: third.leader), least: third.term + 1)
                #expect(last.id == first.id)
                try await group.whenMapped([group.mapped, port], at: group.others(than: third.leader))
                #expect(try await group.pickedPort(at: group.others(than: third.leader)) == port)
            }
        }

        /// Stops the leader's other voter: one voter and the one without its vote are no majority. Returns what was agreed and
        /// the server that is down.
        private static func expectNoVote(
            of lost: GroupServer, _ group: ServerGroup
        ) async throws -> (ClusterAccord, down: GroupServer) {
            let accord = try await group.accord()
            guard let down = group.others(than: lost, accord.leader).first else { throw Unmet("expected a third server") }
            try await down.kill()
            try await eventually("the leader to step down without a majority", within: .seconds(20)) {
                for server in [accord.leader, lost] where try await server.admin.status()["leader"] != .null { return false }
                return true
            }
            // As long as an election takes three times over, nobody is elected.
            for _ in 0..<30 {
                try await Task.sleep(for: .milliseconds(100))
                for server in [accord.leader, lost] {
                    let status = try await server.admin.status()
                    guard status["leader"] == .null else {
                        throw Unmet("expected no leader, \(server.name) says \(status["leader"])")
                    }
                }
            }
            #expect(try await lost.admin.status()["role"].text == "learner")
            return (accord, down)
        }

        private static func loseDisk(_ server: GroupServer, _ group: ServerGroup) async throws {
            try await server.kill()
            try FileManager.default.removeItem(atPath: group.folder[server.state])
            try await group.start([server])
        }

        private static func whenVoter(_ server: GroupServer, _ group: ServerGroup) async throws {
            try await eventually("\(server.name) to be a voter", within: .seconds(20)) {
                ["follower", "leader"].contains(try await server.admin.status()["role"].text)
            }
        }
    }
}
