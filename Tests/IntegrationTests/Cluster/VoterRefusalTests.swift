import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// What makes no sense, or would leave no majority, is refused with the reason, and nothing is changed.
    @Suite struct VoterRefusalTests {
        private typealias Voting = VoterTests

        @Test func whatMakesNoSenseIsRefused() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, isCluster: true)) { group in
                let accord = try await group.accord(voters: group.servers)
                let (leader, other) = (accord.leader, group.others(than: accord.leader)[0])
                for server in group.servers {
                    try await Voting.refuse(
                        server, "add", "nobody", "no server called nobody is linked with the leader: start it, then add it")
                    try await Voting.refuse(server, "init", nil, "this server belongs to a cluster already")
                    try await Voting.refuse(server, "transfer", "nobody", "nobody is not a voter that the leader can reach")
                }
                #expect(try await group.accord() == accord, "expected nothing to have changed")
                try await Voting.change(other, "remove", other.name, says: "\(other.name) is no voter")
                try await group.accord(voters: [leader])
                for server in group.servers {
                    try await Voting.refuse(
                        server, "remove", leader.name, "\(leader.name) is the only voter: add another before you remove it")
                    try await Voting.refuse(
                        server, "transfer", other.name, "\(other.name) is not a voter that the leader can reach")
                }
                try await group.accord(voters: [leader])
            }
        }

        /// One of three is down. Without another one there would be no majority to undo it with.
        @Test func aVoterThatIsNeededIsNotRemoved() async throws {
            try await ServerGroup.with(GroupSetup(isCluster: true)) { group in
                let first = try await group.accord(voters: group.servers)
                let others = group.others(than: first.leader)
                try await others[0].kill()
                let rest = [first.leader, others[1]].sorted { $0.number < $1.number }
                try await group.accord(of: rest)
                try await Voting.refuse(
                    first.leader, "remove", others[1].name, "without \(others[1].name) only 1 of 2 voters would be up")
                #expect(try await group.accord(of: rest, voters: group.servers).leader === first.leader)
                try await Voting.change(first.leader, "remove", others[0].name, says: "\(others[0].name) is no voter")
                try await group.accord(of: rest, voters: rest)
            }
        }

        /// With the vote of a server that is down, a majority would need it.
        @Test func aServerThatIsDownGetsNoVote() async throws {
            try await ServerGroup.with(GroupSetup(servers: 3, isCluster: true, founders: 2)) { group in
                let founders = Array(group.servers.prefix(2))
                let accord = try await group.accord(voters: founders)
                try await group.servers[2].kill()
                try await eventually("\(group.servers[2].name) to be dead") {
                    try await group.state(of: group.servers[2], at: accord.leader) == "dead"
                }
                try await Voting.refuse(
                    founders[0], "add", "server-3", "no server called server-3 is linked with the leader: start it, then add it")
                #expect(try await group.accord(of: founders) == accord)
            }
        }

        /// A slip of the pen must not look as if a vote had been taken away.
        @Test func aNameThatNobodyHasIsNotRemoved() async throws {
            try await ServerGroup.with(GroupSetup(servers: 1, isCluster: true, links: 1)) { group in
                let accord = try await group.accord(voters: group.servers)
                try await Voting.refuse(group.servers[0], "remove", "sever-1", "no server called sever-1 has or had a vote")
                #expect(try await group.accord() == accord)
            }
        }
    }
}
