import ClusterCore
import Testing
import TunnelWire

@testable import Simulation

/// A check that never fires proves nothing.
@Suite("The checks")
struct CheckTests {
    private static func voter(_ number: UInt64) -> Voter { Voter(name: "s\(number)", id: WireID(high: 0, low: number)) }
    private static func voters(_ epoch: UInt64, _ numbers: ClosedRange<UInt64>) -> VoterSet {
        VoterSet(epoch: epoch, voters: numbers.map(Self.voter))
    }

    private static func grant(_ client: String, _ token: Ballot, isEnding: Bool = false) -> PortGrant {
        PortGrant(client: client, installation: WireID(high: 1, low: 1), exposure: "kubelet", token: token, isEnding: isEnding)
    }

    private static func state(_ grants: [UInt16: PortGrant]) -> AssignmentState {
        var state = AssignmentState()
        state.voters = Self.voters(1, 1...3)
        state.grants = grants
        return state
    }

    @Test("Two leaders of one term are noticed; one that says it twice is not")
    func leaders() {
        var check = LeaderCheck()
        #expect(check.leads(0, life: 1, name: "s0", term: 4) == nil)
        #expect(check.leads(0, life: 1, name: "s0", term: 4) == nil)
        #expect(check.leads(1, life: 1, name: "s1", term: 5) == nil)
        #expect(check.leads(1, life: 1, name: "s1", term: 4) != nil)
        #expect(check.leads(1, life: 2, name: "s1", term: 5) != nil)
    }

    @Test("Two votes in one term are noticed, its own vote included")
    func votes() {
        func vote(_ term: UInt64, isPrevote: Bool = false) -> ElectionMessage {
            .voteReply(VoteReply(term: term, voter: Self.voter(1), isPrevote: isPrevote, isGranted: true, ballot: .zero))
        }
        var check = VoteCheck()
        #expect(check.sent(vote(1), by: Self.voter(1), to: "s2") == nil)
        #expect(check.sent(vote(1), by: Self.voter(1), to: "s2") == nil)
        #expect(check.sent(vote(2), by: Self.voter(1), to: "s3") == nil)
        #expect(check.sent(vote(2, isPrevote: true), by: Self.voter(1), to: "s2") == nil)
        #expect(check.sent(vote(2), by: Self.voter(1), to: "s2") != nil)
        let own = VoteRequest(term: 3, candidate: Self.voter(1), cluster: nil, epoch: 1, isPrevote: false)
        #expect(check.sent(.voteRequest(own), by: Self.voter(1), to: "s2") == nil)
        #expect(check.sent(vote(3), by: Self.voter(1), to: "s3") != nil)
    }

    @Test("Different states of one ballot are noticed")
    func ballots() {
        var check = BallotCheck(count: 2)
        let ballot = Ballot(term: 1, sequence: 1)
        let one = StoredState(state: Self.state([20_000: Self.grant("a", ballot)]), ballot: ballot)
        let other = StoredState(state: Self.state([20_000: Self.grant("b", ballot)]), ballot: ballot)
        #expect(check.holds(0, one) == nil)
        #expect(check.holds(1, one) == nil)
        check.started(1)
        #expect(check.holds(1, other) != nil)
    }

    @Test("A port that disappears or changes hands is noticed, one that is taken back in order is not")
    func commits() {
        let old = Ballot(term: 1, sequence: 1)
        func next(_ state: AssignmentState, after first: AssignmentState) -> String? {
            var check = CommitCheck()
            #expect(check.committed(old, first, at: 0) == nil)
            return check.committed(Ballot(term: 2, sequence: 0), state, at: 1)
        }
        let given = Self.state([20_000: Self.grant("a", old)])
        let ending = Self.state([20_000: Self.grant("a", old, isEnding: true)])
        let later = Ballot(term: 2, sequence: 0)
        #expect(next(given, after: given) == nil)
        #expect(next(ending, after: given) == nil)
        #expect(next(Self.state([:]), after: ending) == nil)
        #expect(next(Self.state([20_000: Self.grant("a", later)]), after: ending) == nil)
        #expect(next(Self.state([:]), after: given) != nil)
        #expect(next(Self.state([20_000: Self.grant("b", later)]), after: given) != nil)
        #expect(next(Self.state([20_000: Self.grant("b", later)]), after: ending) == nil)
        #expect(next(Self.state([20_000: Self.grant("a", old), 20_001: Self.grant("a", later)]), after: given) != nil)
        var other = given
        other.voters = Self.voters(2, 3...5)
        #expect(next(other, after: given) != nil)
    }

    @Test("A commit that is noticed late is compared with what came before and after it")
    func lateCommit() {
        var check = CommitCheck()
        let given = Self.state([20_000: Self.grant("a", Ballot(term: 1, sequence: 1))])
        #expect(check.committed(Ballot(term: 2, sequence: 0), given, at: 1) == nil)
        #expect(check.committed(Ballot(term: 1, sequence: 1), given, at: 2) == nil)
        let lost = Self.state([20_001: Self.grant("b", Ballot(term: 1, sequence: 2))])
        #expect(check.committed(Ballot(term: 1, sequence: 2), lost, at: 3) != nil)
        #expect(check.isKnown(Ballot(term: 2, sequence: 0), by: "s1") == nil)
        #expect(check.isKnown(Ballot(term: 2, sequence: 1), by: "s1") != nil)
    }

    @Test("An answer that no quorum has is noticed, and one that was over before it was asked")
    func answers() {
        var commits = CommitCheck()
        let token = Ballot(term: 1, sequence: 1)
        #expect(commits.committed(token, Self.state([20_000: Self.grant("a", token)]), at: 10) == nil)
        let ending = Self.state([20_000: Self.grant("a", token, isEnding: true)])
        #expect(commits.committed(Ballot(term: 1, sequence: 2), ending, at: 20) == nil)
        let request = PortRequest(client: "a", installation: WireID(high: 1, low: 1), exposure: "kubelet")
        func told(_ port: UInt16, _ token: Ballot, askedAt: Int64, client: String = "a") -> String? {
            var check = AnswerCheck()
            check.asked(1, AnswerCheck.Question(place: 0, request: .port(request), askedAt: askedAt))
            let mapped = MappedPort(
                port: port, client: client, installation: request.installation, exposure: "kubelet", token: token)
            return check.answered(1, .assigned(mapped), by: 0, commits)
        }
        #expect(told(20_000, token, askedAt: 5) == nil)
        #expect(told(20_000, token, askedAt: 15) == nil)
        #expect(told(20_000, token, askedAt: 25) != nil)
        #expect(told(20_001, token, askedAt: 5) != nil)
        #expect(told(20_000, Ballot(term: 1, sequence: 2), askedAt: 5) != nil)
        #expect(told(20_000, token, askedAt: 5, client: "b") != nil)
        var check = AnswerCheck()
        #expect(check.answered(9, .done, by: 0, commits) != nil)
    }

    @Test("Two sets whose quorums need not meet are noticed; neighbours are not")
    func voterSets() {
        func holds(_ sets: [(UInt64, VoterSet)]) -> String? {
            var check = VoterSetCheck(count: 6)
            for (number, set) in sets {
                var state = AssignmentState()
                state.voters = set
                let isNew = check.holds(Int(number), Self.voter(number), StoredState(state: state))
                #expect(isNew)
            }
            return check.disjoint()
        }
        let three = Self.voters(1, 1...3)
        #expect(holds([(1, three), (2, three), (3, three)]) == nil)
        #expect(holds([(1, three), (2, three), (3, Self.voters(2, 1...4)), (4, Self.voters(2, 1...4))]) == nil)
        #expect(
            holds([(1, three), (2, three), (3, Self.voters(3, 3...5)), (4, Self.voters(3, 3...5)), (5, Self.voters(3, 3...5))])
                != nil)
    }

    @Test("A commit without a quorum on disk is noticed")
    func quorum() {
        var check = VoterSetCheck(count: 3)
        let ballot = Ballot(term: 1, sequence: 1)
        check.durable(Self.voter(1), StoredState(ballot: ballot))
        #expect(check.hasQuorum(ballot, Self.voters(1, 1...3), leader: "s1") != nil)
        check.durable(Self.voter(2), StoredState(ballot: Ballot(term: 2, sequence: 0)))
        #expect(check.hasQuorum(ballot, Self.voters(1, 1...3), leader: "s1") == nil)
    }

    @Test("An entry that its owner never had is noticed, and one that comes back")
    func registry() {
        let key = RegistryKey(.client, "worker")
        func record(_ stamp: UInt64) -> RegistryRecord {
            .client(
                ClientRecord(
                    installation: WireID(high: 0, low: 1), instance: WireID(high: 0, low: 1), address: "", since: stamp,
                    exposures: []))
        }
        var check = RegistryCheck(count: 2)
        check.started(0, life: 1)
        check.started(1, life: 1)
        check.set(0, key, record(1))
        #expect(check.changed(0, key, record(1), seenBy: "s1", 1) == nil)
        #expect(check.changed(0, key, record(2), seenBy: "s1", 1) != nil)
        check.set(0, key, record(3))
        #expect(check.difference(0, seenBy: 1) != nil)
        #expect(check.changed(0, key, record(3), seenBy: "s1", 1) == nil)
        #expect(check.difference(0, seenBy: 1) == nil)
        #expect(check.changed(0, key, record(1), seenBy: "s1", 1) != nil)
        check.set(0, key, nil)
        #expect(check.changed(0, key, nil, seenBy: "s1", 1) == nil)
        #expect(check.changed(0, key, record(3), seenBy: "s1", 1) != nil)

        // Hidden while its owner is taken for dead, it may come back as it was.
        check.set(0, key, record(4))
        #expect(check.changed(0, key, record(4), seenBy: "s1", 1) == nil)
        check.member(.dead, 0, seenBy: 1)
        #expect(check.changed(0, key, nil, seenBy: "s1", 1) == nil)
        check.member(.alive, 0, seenBy: 1)
        #expect(check.changed(0, key, record(4), seenBy: "s1", 1) == nil)
    }

    @Test("Two targets behind one port are noticed")
    func listeners() {
        func mapped(_ client: String, _ sequence: UInt64) -> MappedPort {
            Self.grant(client, Ballot(term: 1, sequence: sequence)).mapped(to: 20_000)
        }
        #expect(ListenerCheck.conflict(mapped("a", 1), of: "s0", mapped("a", 2), of: "s1") == nil)
        #expect(ListenerCheck.conflict(mapped("a", 1), of: "s0", mapped("b", 2), of: "s1") != nil)
    }
}
