import TunnelWire

extension Digest {
    /// Of a state as a whole; the order of its ports does not matter.
    static func of(_ state: AssignmentState) -> UInt64 {
        var whole = Digest()
        whole.add(state.voters.epoch)
        whole.add(state.cluster?.low ?? 0)
        for voter in state.voters.voters { whole.add(voter.id.low) }
        var sum = UInt64(0)
        for (port, grant) in state.grants {
            var one = Digest()
            one.add(UInt64(port) << 1 | (grant.isEnding ? 1 : 0))
            one.add(grant.client)
            one.add(grant.exposure)
            one.add(grant.installation.low)
            one.add(grant.token.term)
            one.add(grant.token.sequence)
            sum &+= one.value
        }
        for (port, ballot) in state.rested {
            var one = Digest()
            one.add(UInt64(port) << 32)
            one.add(ballot.term)
            one.add(ballot.sequence)
            sum &+= one.value
        }
        whole.add(sum)
        return whole.value
    }
}

extension Ballot {
    var text: String { "\(self.term).\(self.sequence)" }
}
