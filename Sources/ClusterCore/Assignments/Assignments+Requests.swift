import Timing
import TunnelWire

extension Assignments {
    // MARK: Requests

    mutating func ask(
        _ id: UInt64, _ request: LeaderRequest, from name: ServerName, _ context: AssignmentsContext, _ now: Moment
    ) -> [AssignmentsAction] {
        guard self.leading != nil else { return [] }
        self.leading?.add(LeadingAssignments.Waiter(asker: name, id: id, request: request, round: nil))
        return self.proceed(context, now)
    }

    /// A quorum has answered this round of heartbeats: this server still leads.
    package mutating func confirmed(round: UInt64, _ context: AssignmentsContext, now: Moment) -> [AssignmentsAction] {
        self.leading?.confirmedRound = round
        return self.proceed(context, now)
    }

    /// Answers what can be answered from what a quorum has, and puts the rest into the next write.
    mutating func proceed(_ context: AssignmentsContext, _ now: Moment) -> [AssignmentsAction] {
        guard var leading = self.leading, leading.isServing, case .idle = leading.phase,
            !leading.waiters.isEmpty || !leading.chores.isEmpty
        else { return [] }
        var work = Batch(state: self.state, ballot: Ballot(term: leading.term, sequence: self.ballot.sequence + 1))
        work.mutation = self.mutation
        for chore in leading.chores.prefix(AssignmentsMessage.changeLimit) { work.add(chore) }
        leading.chores.removeFirst(min(AssignmentsMessage.changeLimit, leading.chores.count))
        var waiting: [LeadingAssignments.Waiter] = []
        for var waiter in leading.waiters {
            if work.isFull || !self.handle(&waiter, leading.confirmedRound, context, &work) { waiting.append(waiter) }
        }
        leading.waiters = waiting
        for port in work.used { leading.unusedSince[port] = nil }
        self.leading = leading
        let actions = work.answers + (work.wantsRound ? [.wantRound] : [])
        guard !work.changes.isEmpty else { return actions }
        return actions + self.beginBatch(work)
    }

    /// False when the request has to wait.
    private func handle(
        _ waiter: inout LeadingAssignments.Waiter, _ confirmed: UInt64, _ context: AssignmentsContext, _ work: inout Batch
    ) -> Bool {
        switch waiter.request {
        case .port(let request): return self.assign(request, &waiter, confirmed, context, &work)
        case .command(let command): return self.administer(command, &waiter, confirmed, context, &work)
        case .drain: return true
        }
    }

    private func assign(
        _ request: PortRequest, _ waiter: inout LeadingAssignments.Waiter, _ confirmed: UInt64,
        _ context: AssignmentsContext, _ work: inout Batch
    ) -> Bool {
        if let (port, grant) = work.grant(of: request) {
            guard work.isUntouched(port) else { return false }
            if !grant.isEnding, grant.installation == request.installation {
                work.used.insert(port)
                return self.tell(.assigned(grant.mapped(to: port)), &waiter, confirmed, context, &work)
            }
            work.grant(port, request, to: waiter)
            return true
        }
        guard let port = self.freePort(for: request, context, work) else {
            let reason = "no mapped port is free in the range that \(request.client) may have"
            return self.tell(.refused(reason), &waiter, confirmed, context, &work)
        }
        work.grant(port, request, to: waiter)
        return true
    }

    /// What is there may be told only by a leader that a quorum still followed after it was asked.
    private func tell(
        _ outcome: RequestOutcome, _ waiter: inout LeadingAssignments.Waiter, _ confirmed: UInt64, _ context: AssignmentsContext,
        _ work: inout Batch
    ) -> Bool {
        if self.mutation(.answerWithoutRound) || waiter.round.map({ $0 <= confirmed }) ?? false {
            work.answer(waiter, outcome)
            return true
        }
        if waiter.round == nil { waiter.round = context.nextRound }
        work.wantsRound = true
        return false
    }

    /// The free port that has rested longest; those never given come first.
    private func freePort(for request: PortRequest, _ context: AssignmentsContext, _ work: Batch) -> UInt16? {
        var best: (rested: Ballot, port: UInt16)?
        for range in self.configuration.ports {
            for port in range where work.state.grants[port] == nil && context.claimed[port] == nil {
                guard request.allowed.isEmpty || request.allowed.contains(where: { $0.contains(port) }) else { continue }
                let rested = work.state.rested[port] ?? .zero
                if rested == .zero { return port }
                if best.map({ (rested, port) < ($0.rested, $0.port) }) ?? true { best = (rested, port) }
            }
        }
        return best?.port
    }

    // MARK: Voters

    private func administer(
        _ command: ClusterCommand, _ waiter: inout LeadingAssignments.Waiter, _ confirmed: UInt64,
        _ context: AssignmentsContext, _ work: inout Batch
    ) -> Bool {
        // One voter in each write, so that the quorums of the old and the new set always share a server.
        guard !work.changesVoters else { return false }
        let voters = self.state.voters
        switch command {
        case .addVoter(let name):
            guard let id = context.voter(at: name) else {
                work.answer(waiter, .refused("no server called \(name) is linked with the leader: start it, then add it"))
                return true
            }
            if let known = voters.voter(named: name) {
                if known.id == id { return self.tell(.done, &waiter, confirmed, context, &work) }
                // It lost its disk: the voter that it was goes first. The request stays and adds it with the next write.
                work.add(.voters(VoterSet(epoch: voters.epoch + 1, voters: voters.voters.filter { $0 != known })))
                return false
            }
            work.add(.voters(VoterSet(epoch: voters.epoch + 1, voters: voters.voters + [Voter(name: name, id: id)])))
            work.answerLater(waiter, .done)
        case .removeVoter(let name):
            guard let known = voters.voter(named: name) else {
                let isKnown = work.state.retired.contains(name) || context.servers[name] != nil
                return self.tell(isKnown ? .done : Self.stranger(name), &waiter, confirmed, context, &work)
            }
            guard voters.voters.count > 1 else {
                let reason = "\(name) is the only voter: add another before you remove it"
                return self.tell(.refused(reason), &waiter, confirmed, context, &work)
            }
            let rest = VoterSet(epoch: voters.epoch + 1, voters: voters.voters.filter { $0 != known })
            let up = rest.voters.count { context.voter(at: $0.name) == $0.id }
            guard up >= rest.quorum else {
                let reason =
                    "without \(name) only \(up) of \(rest.voters.count) voters would be up: start or remove the others first"
                return self.tell(.refused(reason), &waiter, confirmed, context, &work)
            }
            work.add(.voters(rest))
            work.answerLater(waiter, .done)
        case .forgetVoter(let name): return self.forget(name, &waiter, confirmed, context, &work)
        case .found: work.answer(waiter, .refused("this server belongs to a cluster already"))
        case .transfer: work.answer(waiter, .refused("a transfer is no matter of the assignments"))
        }
        return true
    }

    /// Nobody waits any longer for a server that was removed before. One that is up may listen on ports yet.
    private func forget(
        _ name: ServerName, _ waiter: inout LeadingAssignments.Waiter, _ confirmed: UInt64, _ context: AssignmentsContext,
        _ work: inout Batch
    ) -> Bool {
        guard self.state.voters.voter(named: name) == nil else {
            let reason = "\(name) has a vote again: say it once more to remove it"
            return self.tell(.refused(reason), &waiter, confirmed, context, &work)
        }
        guard work.state.retired.contains(name), context.reachable?.contains(name) != true else {
            let isKnown = work.state.retired.contains(name) || context.servers[name] != nil
            return self.tell(isKnown ? .done : Self.stranger(name), &waiter, confirmed, context, &work)
        }
        work.add(.forget(name))
        work.answerLater(waiter, .done)
        return true
    }

    private static func stranger(_ name: ServerName) -> RequestOutcome { .refused("no server called \(name) has or had a vote") }

    // MARK: Ports that are taken back

    mutating func unbound(
        _ port: UInt16, _ token: Ballot, by name: ServerName, _ context: AssignmentsContext, _ now: Moment
    ) -> [AssignmentsAction] {
        guard self.leading != nil, let grant = self.state.grants[port],
            (grant.isEnding && grant.token == token) || self.mutation(.releaseWithoutToken)
        else { return [] }
        self.leading?.left[port, default: []].insert(name)
        let everybody = Set(context.servers.keys).union(self.state.voters.voters.map(\.name)).union(self.state.retired)
        let hasEverybody = self.leading.map { everybody.isSubset(of: $0.left[port] ?? []) } ?? false
        guard hasEverybody || self.mutation(.reuseEarly) else { return [] }
        let change = AssignmentChange.free(port, token: token)
        self.leading?.left[port] = nil
        if self.leading?.chores.contains(change) == false { self.leading?.chores.append(change) }
        return self.proceed(context, now)
    }

    private mutating func beginBatch(_ batch: Batch) -> [AssignmentsAction] {
        for change in batch.changes {
            if case .grant(let port, _) = change {
                self.leading?.left[port] = nil
                self.leading?.unusedSince[port] = nil
            }
        }
        return self.begin(batch.changes, answers: batch.later, at: batch.ballot)
    }
}

/// The next write while it is put together.
struct Batch {
    /// With the changes so far.
    private(set) var state: AssignmentState
    let ballot: Ballot
    private(set) var changes: [AssignmentChange] = []
    /// What can be told at once.
    private(set) var answers: [AssignmentsAction] = []
    /// What is told when the write is committed.
    private(set) var later: [(ServerName, UInt64, RequestOutcome)] = []
    var wantsRound = false
    /// Ports that somebody asked for who has them: their registration is on its way here.
    var used: Set<UInt16> = []
    private(set) var changesVoters = false
    private var touched: Set<UInt16> = []
    var mutation = Mutation(nil)

    private var ports: [Holder: UInt16] = [:]

    /// Whose port it is: a client that lost its disk has the port that it had.
    private struct Holder: Hashable {
        var client: String
        var exposure: String
    }

    init(state: AssignmentState, ballot: Ballot) {
        self.state = state
        self.ballot = ballot
        for (port, grant) in state.grants { self.ports[Holder(client: grant.client, exposure: grant.exposure)] = port }
    }

    /// The port that a client's exposure has.
    func grant(of request: PortRequest) -> (port: UInt16, grant: PortGrant)? {
        guard let port = self.ports[Holder(client: request.client, exposure: request.exposure)],
            let grant = self.state.grants[port]
        else { return nil }
        return (port, grant)
    }

    var isFull: Bool { self.changes.count >= AssignmentsMessage.changeLimit }

    func isUntouched(_ port: UInt16) -> Bool { !self.touched.contains(port) }

    mutating func add(_ change: AssignmentChange) {
        self.state.apply(change, ballot: self.ballot, mutation: self.mutation)
        self.changes.append(change)
        switch change {
        case .grant(let port, let grant):
            self.touched.insert(port)
            self.ports[Holder(client: grant.client, exposure: grant.exposure)] = port
        case .end(let port, _), .free(let port, _): self.touched.insert(port)
        case .voters, .found: self.changesVoters = true
        case .forget: break
        }
    }

    mutating func grant(_ port: UInt16, _ request: PortRequest, to waiter: LeadingAssignments.Waiter) {
        let grant = PortGrant(
            client: request.client, installation: request.installation, exposure: request.exposure, token: self.ballot)
        self.add(.grant(port, grant))
        self.answerLater(waiter, .assigned(grant.mapped(to: port)))
    }

    mutating func answer(_ waiter: LeadingAssignments.Waiter, _ outcome: RequestOutcome) {
        self.answers.append(.send(.answer(id: waiter.id, outcome), to: waiter.asker))
    }

    mutating func answerLater(_ waiter: LeadingAssignments.Waiter, _ outcome: RequestOutcome) {
        self.later.append((waiter.asker, waiter.id, outcome))
    }
}
