import TunnelWire

/// Random messages of elections, assignments and duties; each kind is as likely as any other.
extension SeededRandom {
    mutating func agreementMessage() -> ClusterMessage {
        switch Int.random(in: 0..<15, using: &self) {
        case 0..<5: .election(self.electionMessage())
        case 5..<13: .assignments(self.assignmentsMessage())
        case 13: .duty(.challenge(client: self.name(), instance: self.wireID()))
        default: .duty(.spread(count: UInt32.random(in: 0...(.max), using: &self), to: self.name()))
        }
    }

    private mutating func number() -> UInt64 { UInt64.random(in: 0...(.max), using: &self) }
    private mutating func port() -> UInt16 { UInt16.random(in: 1...(.max), using: &self) }
    private mutating func ballot() -> Ballot { Ballot(term: self.number(), sequence: self.number()) }
    private mutating func voter() -> Voter { Voter(name: self.name(), id: self.wireID()) }
    private mutating func optionalID() -> WireID? { Bool.random(using: &self) ? self.wireID() : nil }

    private mutating func list<Element>(_ limit: Int, _ make: (inout SeededRandom) -> Element) -> [Element] {
        var list: [Element] = []
        for _ in 0..<Int.random(in: 0...limit, using: &self) { list.append(make(&self)) }
        return list
    }

    // MARK: Elections

    private mutating func electionMessage() -> ElectionMessage {
        switch Int.random(in: 0..<5, using: &self) {
        case 0:
            .voteRequest(
                VoteRequest(
                    term: self.number(), candidate: self.voter(), cluster: self.optionalID(), epoch: self.number(),
                    isPrevote: Bool.random(using: &self), isTransfer: Bool.random(using: &self), founders: self.number()))
        case 1:
            .voteReply(
                VoteReply(
                    term: self.number(), voter: self.voter(), isPrevote: Bool.random(using: &self),
                    isGranted: Bool.random(using: &self), ballot: self.ballot()))
        case 2:
            .heartbeat(
                LeaderHeartbeat(
                    term: self.number(), leader: self.voter(), cluster: self.optionalID(), round: self.number(),
                    committed: self.ballot()))
        case 3:
            .heartbeatReply(
                LeaderHeartbeatReply(term: self.number(), voter: self.voter(), round: self.number(), ballot: self.ballot()))
        default: .timeoutNow(term: self.number())
        }
    }

    // MARK: Assignments

    private mutating func assignmentsMessage() -> AssignmentsMessage {
        switch Int.random(in: 0..<8, using: &self) {
        case 0: .fetch(term: self.number())
        case 1: .fetched(term: self.number(), ballot: self.ballot(), self.state())
        case 2:
            .write(
                base: self.ballot(), ballot: self.ballot(),
                changes: self.list(AssignmentsMessage.changeLimit) { $0.change() })
        case 3: .install(ballot: self.ballot(), self.state())
        case 4: .written(term: self.number(), self.voter(), ballot: self.ballot())
        case 5: .request(id: self.number(), self.request())
        case 6: .answer(id: self.number(), self.outcome())
        default: .unbound(self.port(), token: self.ballot())
        }
    }

    private mutating func voters() -> VoterSet { VoterSet(epoch: self.number(), voters: self.list(7) { $0.voter() }) }

    private mutating func grant() -> PortGrant {
        PortGrant(
            client: self.name(), installation: self.wireID(), exposure: self.name(), token: self.ballot(),
            isEnding: Bool.random(using: &self))
    }

    private mutating func state() -> AssignmentState {
        var state = AssignmentState()
        state.cluster = self.optionalID()
        state.voters = self.voters()
        state.retired = Set(self.list(3) { $0.name() })
        for _ in 0..<Int.random(in: 0...5, using: &self) { state.grants[self.port()] = self.grant() }
        for _ in 0..<Int.random(in: 0...5, using: &self) { state.rested[self.port()] = self.ballot() }
        return state
    }

    private mutating func change() -> AssignmentChange {
        switch Int.random(in: 0..<6, using: &self) {
        case 0: .grant(self.port(), self.grant())
        case 1: .end(self.port(), token: self.ballot())
        case 2: .free(self.port(), token: self.ballot())
        case 3: .voters(self.voters())
        case 4: .found(self.wireID(), self.voters())
        default: .forget(self.name())
        }
    }

    private mutating func ports() -> ClosedRange<UInt16> {
        let (one, other) = (self.port(), self.port())
        return min(one, other)...max(one, other)
    }

    private mutating func request() -> LeaderRequest {
        switch Int.random(in: 0..<7, using: &self) {
        case 0:
            .port(
                PortRequest(
                    client: self.name(), installation: self.wireID(), exposure: self.name(),
                    allowed: self.list(64) { $0.ports() }))
        case 1: .command(.addVoter(self.name()))
        case 2: .command(.removeVoter(self.name()))
        case 3: .command(.transfer(self.name()))
        case 4: .command(.transfer(nil))
        case 5: .command(.found)
        default: .drain
        }
    }

    private mutating func outcome() -> RequestOutcome {
        switch Int.random(in: 0..<3, using: &self) {
        case 0:
            .assigned(
                MappedPort(
                    port: self.port(), client: self.name(), installation: self.wireID(), exposure: self.name(),
                    token: self.ballot()))
        case 1: .done
        default: .refused(self.text())
        }
    }
}
