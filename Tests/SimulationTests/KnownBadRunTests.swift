import ClusterCore
import Testing
import TunnelWire

@testable import Simulation

/// Runs that broke earlier designs of this kind, played move by move.
@Suite("Known bad runs")
struct KnownBadRunTests {
    private static let installation = WireID(high: 7, low: 7)
    private static let request = PortRequest(client: "worker", installation: installation, exposure: "kubelet")

    /// Three servers, one of which leads and serves.
    private func cluster(retention: Duration? = nil) throws -> (world: World, leader: Int, followers: [Int]) {
        var plan = SimulationPlan.scripted(nodes: 3)
        plan.retention = retention
        var world = World(plan)
        world.recordsMessages = true
        let isReached1 = world.run(upTo: .seconds(10)) { $0.leader != nil }
        #expect(isReached1)
        world.run(for: .seconds(1))
        let leader = try #require(world.leader)
        return (world, leader, [0, 1, 2].filter { $0 != leader })
    }

    private func assigned(_ outcome: RequestOutcome?) -> MappedPort? {
        if case .assigned(let mapped) = outcome { mapped } else { nil }
    }

    @Test("A repeated first write of a term does not roll a voter back")
    func repeatedRewrite() throws {
        var (world, leader, followers) = try self.cluster()
        let id = world.request(Self.request, at: leader)
        world.run(for: .seconds(1))
        let mapped = try #require(self.assigned(world.answers[id]))
        let rewrite = try #require(
            world.messages.first { sent in
                guard case .assignments(.write(_, let ballot, _)) = sent.message else { return false }
                return ballot.sequence == 0 && sent.to == followers[0]
            })
        let before = try #require(world.places[followers[0]].node?.stored)
        #expect(before.ballot > Ballot(term: before.term, sequence: 0))
        world.inject(rewrite.message, from: leader, to: followers[0])
        var blank = before.state
        blank.grants = [:]
        world.inject(
            .assignments(.install(ballot: Ballot(term: before.term, sequence: 0), blank)), from: leader, to: followers[0])
        world.run(for: .seconds(1))
        let after = try #require(world.places[followers[0]].node?.stored)
        #expect(after.ballot == before.ballot)
        #expect(after.state == before.state)
        #expect(world.grant(of: "worker", at: followers[0])?.port == mapped.port)
        #expect(world.violations.map(\.text) == [])
    }

    @Test("What a quorum has not acknowledged is told to nobody, not even to who asks a second time")
    func unacknowledged() throws {
        var (world, leader, followers) = try self.cluster()
        let cut = world.isolate(leader)
        let first = world.request(Self.request, at: leader)
        world.run(for: .milliseconds(200))
        #expect(world.grant(of: "worker", at: leader) != nil, "the leader has it written for itself")
        let second = world.request(Self.request, at: leader)
        world.run(for: .milliseconds(300))
        #expect(world.answers[first] == nil)
        #expect(world.answers[second] == nil)
        // The others go on without it, and give the first port to somebody else.
        let isReached2 = world.run(upTo: .seconds(20)) { $0.leader.map(followers.contains) ?? false }
        #expect(isReached2)
        let other = PortRequest(client: "other", installation: WireID(high: 8, low: 8), exposure: "kubelet")
        let third = world.request(other, at: try #require(world.leader))
        world.run(for: .seconds(1))
        let theirs = try #require(self.assigned(world.answers[third]))
        #expect(world.answers[first] == nil)
        world.mend(cut)
        let isReached3 = world.run(upTo: .seconds(30)) { $0.answers[first] != nil && $0.answers[second] != nil }
        #expect(isReached3)
        let ours = try #require(self.assigned(world.answers[first]))
        #expect(ours == self.assigned(world.answers[second]))
        #expect(ours.port != theirs.port)
        #expect(world.violations.map(\.text) == [])
    }

    @Test("A late release does not free the port of a client that is back")
    func lateRelease() throws {
        var (world, leader, followers) = try self.cluster(retention: .seconds(2))
        world.register("worker", Self.installation, at: followers[0])
        let first = world.request(Self.request, at: followers[0])
        world.run(for: .seconds(1))
        let before = try #require(self.assigned(world.answers[first]))
        // One server is away, so that the port is being taken back for long.
        let cut = world.isolate(followers[1])
        world.set(RegistryKey(.client, "worker"), nil, at: followers[0])
        let isReached4 = world.run(upTo: .seconds(20)) { $0.grant(of: "worker", at: leader)?.grant.isEnding ?? false }
        #expect(isReached4)
        world.register("worker", Self.installation, at: followers[0])
        let second = world.request(Self.request, at: followers[0])
        world.run(for: .seconds(1))
        let after = try #require(self.assigned(world.answers[second]))
        #expect(after.port == before.port)
        #expect(after.token > before.token)
        for place in followers {
            world.inject(.assignments(.unbound(before.port, token: before.token)), from: place, to: leader)
        }
        world.mend(cut)
        world.run(for: .seconds(10))
        for place in 0..<3 {
            #expect(world.grant(of: "worker", at: place)?.grant.token == after.token)
            #expect(world.grant(of: "worker", at: place)?.grant.isEnding == false)
        }
        #expect(world.violations.map(\.text) == [])
    }

    @Test("A voter that lost its disk does not vote again in the same term")
    func lostDisk() throws {
        var (world, leader, followers) = try self.cluster()
        let term = try #require(world.places[leader].node?.leadership.term)
        let (voter, rival) = (followers[0], followers[1])
        world.kill(voter, withMachine: false)
        world.wipe(voter)
        world.start(voter, .own)
        world.run(for: .seconds(3))
        #expect(world.places[voter].node?.leadership.role == .learner)
        world.messages = []
        let stored = try #require(world.places[rival].node?.stored)
        for isTransfer in [false, true] {
            let request = VoteRequest(
                term: term, candidate: world.places[rival].voter, cluster: stored.cluster, epoch: stored.voters.epoch,
                isPrevote: false, isTransfer: isTransfer)
            world.inject(.election(.voteRequest(request)), from: rival, to: voter)
            world.run(for: .milliseconds(100))
        }
        let replies = world.messages.compactMap { sent -> VoteReply? in
            guard case .election(.voteReply(let reply)) = sent.message, sent.from == voter else { return nil }
            return reply
        }
        #expect(replies.count == 2)
        // With its new id it is nobody whose vote the candidate counts, and it does not give the old one's.
        for reply in replies { #expect(!reply.isGranted || !stored.voters.contains(reply.voter)) }
        #expect(world.violations.map(\.text) == [])
    }
}
