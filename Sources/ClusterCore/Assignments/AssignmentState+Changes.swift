import TunnelWire

extension AssignmentState {
    /// One step further. `ballot` is that of the write that the change belongs to.
    mutating func apply(_ change: AssignmentChange, ballot: Ballot, mutation: Mutation) {
        switch change {
        case .grant(let port, let grant):
            self.grants[port] = grant
            self.rested[port] = nil
        case .end(let port, let token):
            guard self.grants[port]?.token == token || mutation(.releaseWithoutToken) else { return }
            self.grants[port]?.isEnding = true
        case .free(let port, let token):
            guard self.grants[port]?.token == token || mutation(.releaseWithoutToken) else { return }
            self.grants[port] = nil
            self.rested[port] = ballot
        case .voters(let voters):
            self.retired.formUnion(self.voters.voters.map(\.name))
            self.retired.subtract(voters.voters.map(\.name))
            self.voters = voters
        case .forget(let name): self.retired.remove(name)
        case .found(let cluster, let voters):
            self.cluster = cluster
            self.voters = voters
        }
    }
}
