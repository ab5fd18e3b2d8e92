import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// `gotunnelctl cluster`: each change is seen at every server, and what makes no sense is refused with the reason.
    @Suite struct VoterTests {
        @Test func votersComeAndGo() async throws {
            try await ServerGroup.with(GroupSetup(servers: 4, isCluster: true, founders: 3, listed: [1, 2, 3])) { group in
                let founders = Array(group.servers.prefix(3))
                let (second, fourth) = (group.servers[1], group.servers[3])
                // It belongs to the cluster and has no vote.
                let first = try await group.accord(voters: founders)
                #expect(try await fourth.admin.status()["role"].text == "learner")
                try await Self.change(fourth, "add", "server-4", says: "server-4 is a voter")
                try await group.accord(voters: group.servers)
                try await Self.change(second, "add", "server-4", says: "server-4 is a voter")
                try await Self.change(group.servers[0], "remove", "server-1", says: "server-1 is no voter")
                let others = Array(group.servers.dropFirst())
                let second4 = try await group.accord(voters: others)
                #expect(second4.id == first.id)
                #expect(try await group.servers[0].admin.status()["role"].text == "learner")
                try await Self.change(second, "remove", "server-1", says: "server-1 is no voter")
                // The new one counts: with it, two of the three are a majority.
                try await Self.transfer(to: fourth, others, group)
                try await second.kill()
                try await group.accord(of: group.others(than: second), voters: others)
                try await Self.change(fourth, "remove", "server-2", says: "server-2 is no voter")
                try await group.accord(of: group.others(than: second), voters: [group.servers[2], fourth])
                // A learner carries traffic.
                #expect(try await group.whoAnswers() !== second)
            }
        }

        @Test func theLeadIsHandedOver() async throws {
            try await ServerGroup.with(GroupSetup(isCluster: true)) { group in
                for target in group.servers + [group.servers[0]] { try await Self.transfer(to: target, group.servers, group) }
                let before = try await group.accord()
                let asked = group.others(than: before.leader)[0]
                try await Self.change(asked, "transfer", nil, says: "another voter was asked to lead; see gotunnelctl leader")
                let after = try await group.accord(voters: group.servers, least: before.term + 1)
                #expect(after.leader !== before.leader)
                // A server that stops hands the lead over before.
                try after.leader.signal(SIGTERM)
                #expect(try await after.leader.program.exit(within: .seconds(30)) == .exit(0))
                let rest = group.others(than: after.leader)
                try await group.accord(of: rest, voters: group.servers, least: after.term + 1)
                for server in rest {
                    try await eventually("\(server.name) to know that \(after.leader.name) left", within: .seconds(20)) {
                        try await group.state(of: after.leader, at: server) == "left"
                    }
                }
            }
        }

        /// One of three is not there yet; an operator founds the cluster without it.
        @Test func aClusterIsFoundedByHand() async throws {
            try await ServerGroup.with(GroupSetup(isCluster: true), waits: false) { group in
                let present = Array(group.servers.prefix(2))
                try await group.start(present)
                for server in present {
                    try await eventually("the two to be linked") {
                        try await group.state(of: group.others(than: server)[0], at: server) == "alive"
                    }
                }
                for server in present {
                    let answer = try await server.admin.ctl("leader")
                    #expect(answer.output == "none (term 0; voters: none yet)\n", "\(answer)")
                }
                try await Self.change(present[1], "init", nil, says: "the cluster is founded; see gotunnelctl leader")
                let accord = try await group.accord(of: present, voters: present)
                try await group.start([group.servers[2]])
                #expect(try await group.accord(voters: present).id == accord.id)
                try await Self.change(group.servers[2], "add", "server-3", says: "server-3 is a voter")
                try await group.accord(voters: group.servers)
            }
        }
    }
}

extension Integration.Cluster.VoterTests {
    static func change(_ server: GroupServer, _ command: String, _ name: String?, says: String) async throws {
        let result = try await Self.ctl(server, command, name)
        guard result.end == .exit(0), result.output == says + "\n" else {
            throw Unmet("expected cluster \(command) \(name ?? "") at \(server.name) to say \"\(says)\", got \(result)")
        }
    }

    static func refuse(_ server: GroupServer, _ command: String, _ name: String?, _ reason: String) async throws {
        let result = try await Self.ctl(server, command, name)
        #expect(result.end != .exit(0) && result.output.isEmpty, "\(command) at \(server.name): \(result)")
        #expect(result.errorLines.count == 1 && result.errors.contains(reason), "\(command) at \(server.name): \(result)")
    }

    private static func ctl(_ server: GroupServer, _ command: String, _ name: String?) async throws -> CommandResult {
        try await run(
            try Programs.ctl, ["cluster", command] + (name.map { [$0] } ?? []) + ["--socket", server.admin.socket],
            within: .seconds(40))
    }

    /// Hands the lead to a voter and waits until every server says so.
    static func transfer(to target: GroupServer, _ voters: [GroupServer], _ group: ServerGroup) async throws {
        let before = try await group.accord()
        try await Self.change(
            group.others(than: before.leader)[0], "transfer", target.name,
            says: "\(target.name) was asked to lead; see gotunnelctl leader")
        let least = before.leader === target ? before.term : before.term + 1
        let after = try await group.accord(voters: voters, least: least)
        #expect(after.leader === target && after.id == before.id)
    }
}
