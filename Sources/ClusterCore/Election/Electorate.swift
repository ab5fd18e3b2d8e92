import TunnelWire

/// Whose votes count, as the server knows it at present.
package struct Electorate: Sendable {
    /// The latest voters; of epoch 0 while the cluster is not founded.
    package var voters: VoterSet
    /// The epoch of the latest voter set of which this server knows that it came into force; 0: it knows of none.
    package var settledEpoch: UInt64
    package var cluster: WireID?
    /// The ballot of the state that this server holds.
    package var ballot: Ballot
    /// Who has to agree to the founding; nil on a server that does not take part in it.
    package var founders: Founders?
    private let mutation: Mutation

    package init(
        voters: VoterSet, settledEpoch: UInt64, cluster: WireID?, ballot: Ballot, founders: Founders?,
        mutation: Mutation = Mutation(nil)
    ) {
        self.voters = voters
        self.settledEpoch = settledEpoch
        self.cluster = cluster
        self.ballot = ballot
        self.founders = founders
        self.mutation = mutation
    }

    /// The servers that found a cluster: before there is a voter set, each and every one has to agree, so that no two
    /// foundings succeed.
    package struct Founders: Equatable, Sendable {
        /// How many there are, this server included.
        package var count: Int
        /// The same on all servers whose configuration names the same peers; 0: an operator's wish.
        package var digest: UInt64

        package init(count: Int, digest: UInt64) {
            self.count = count
            self.digest = digest
        }
    }

    var isFounded: Bool { self.voters.epoch > 0 }

    /// Whether this voter has a voice.
    func includes(_ voter: Voter) -> Bool {
        guard self.isFounded else { return self.founders != nil }
        if self.mutation(.voteWithoutDisk) { return self.voters.voter(named: voter.name) != nil }
        return self.voters.contains(voter)
    }

    /// How many voters have to agree.
    var quorum: Int { self.mutation(.leadAlone) ? 1 : self.voters.quorum }

    /// Whether those are enough to lead.
    func isEnough(_ grants: some Collection<Voter>) -> Bool {
        guard self.isFounded else {
            // A founder that voted, lost its disk and voted again is still one.
            return self.founders.map { Set(grants.map(\.name)).count >= $0.count } ?? false
        }
        return grants.count { self.includes($0) } >= self.quorum
    }
}
