import ClusterCore
import TunnelWire

/// Who votes by which set: two sets by which leaders can be elected always share a voter, and what a leader takes for committed
/// has been on the disks of a quorum.
struct VoterSetCheck: Sendable {
    private struct Holding: Sendable {
        var voter: Voter
        var voters: VoterSet
        var ballot: Ballot
    }

    /// By place.
    private var held: [Holding?]
    /// The highest ballot that was ever on the disk of a voter.
    private var ballots: [Voter: Ballot] = [:]

    init(count: Int) { self.held = Array(repeating: nil, count: count) }

    /// True when the place had another set before.
    mutating func holds(_ place: Int, _ voter: Voter, _ state: StoredState) -> Bool {
        let known = self.held[place]
        self.held[place] = Holding(voter: voter, voters: state.voters, ballot: state.ballot)
        return known?.voter != voter || known?.voters != state.voters
    }

    mutating func durable(_ voter: Voter, _ state: StoredState) {
        self.ballots[voter] = max(self.ballots[voter] ?? .zero, state.ballot)
    }

    /// Whether anybody takes it for a voter, or it does not know yet itself.
    func isVoter(_ voter: Voter) -> Bool { self.held.contains { $0?.voters.contains(voter) ?? false } }

    /// The different sets that are held.
    var sets: [VoterSet] {
        self.held.compactMap { $0?.voters }.reduce(into: []) { sets, set in
            if set.epoch > 0, !sets.contains(set) { sets.append(set) }
        }
    }

    // MARK: Disjoint quorums

    /// Whether the servers could fall apart into two groups of which each elects a leader that commits by itself. Every group is
    /// tried: with more places than in `most`, none is.
    func disjoint() -> String? {
        guard self.held.count <= Self.most, self.sets.count > 1 else { return nil }
        var able: [(group: UInt16, set: VoterSet)] = []
        for group in 1..<UInt16(1) << UInt16(self.held.count) {
            guard let set = self.leads(group) else { continue }
            if let other = able.first(where: { $0.group & group == 0 }) {
                return "\(Self.text(set)) and \(Self.text(other.set)) are both in force and have quorums without a common voter"
            }
            able.append((group, set))
        }
        return nil
    }

    private static let most = 9

    /// The set by which this group elects a leader; nil: it cannot, or the leader could not commit in it.
    private func leads(_ group: UInt16) -> VoterSet? {
        let members = self.held.indices.compactMap { group >> UInt16($0) & 1 == 1 ? self.held[$0] : nil }
        for candidate in members where candidate.voters.contains(candidate.voter) {
            let set = candidate.voters
            let grants = members.filter { set.contains($0.voter) && $0.voters.epoch <= set.epoch }
            guard grants.count >= set.quorum, let latest = grants.max(by: { $0.ballot < $1.ballot })?.voters else { continue }
            // It goes on with the latest state of those who voted, and with that state's voters.
            if members.count(where: { latest.contains($0.voter) }) >= latest.quorum { return set }
        }
        return nil
    }

    private static func text(_ set: VoterSet) -> String {
        "the voters of epoch \(set.epoch) (\(set.voters.map { "\($0.name)#\($0.id.low & 0xffff)" }.joined(separator: ", ")))"
    }

    // MARK: Quorums

    /// A leader has just counted a quorum.
    func hasQuorum(_ ballot: Ballot, _ voters: VoterSet, leader: String) -> String? {
        let holders = voters.voters.count { self.ballots[$0].map { $0 >= ballot } ?? false }
        guard holders < voters.quorum else { return nil }
        return
            "\(leader) takes ballot \(ballot.text) for committed, which \(holders) of \(voters.voters.count) voters have on disk"
    }
}
