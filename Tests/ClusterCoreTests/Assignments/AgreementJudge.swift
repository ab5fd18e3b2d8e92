import Timing
import TunnelWire

@testable import ClusterCore

/// Watches a world and says what must never happen.
struct AgreementJudge {
    private struct Promise: Hashable {
        var voter: Voter
        var term: UInt64
    }

    private(set) var violations: [String] = []
    /// How many assignments were told, and how many terms had a leader: a run in which nothing happens proves nothing.
    private(set) var told: [UInt16: [MappedPort]] = [:]
    private(set) var leaders: [UInt64: (name: ServerName, life: Int)] = [:]
    private var votes: [Promise: ServerName] = [:]
    private var settled: [Ballot: AssignmentState] = [:]
    /// With what a life of a server began: not all that was settled was known to be.
    private var begun: [ServerName: (life: Int, settled: Ballot)] = [:]
    /// Ports are taken back in this run.
    let isReusing: Bool

    init(isReusing: Bool) { self.isReusing = isReusing }

    private mutating func complain(_ text: String) {
        if self.violations.count < 10 { self.violations.append(text) }
    }

    /// To be called after each step.
    mutating func look(at world: inout AgreementWorld) {
        for (name, action) in world.seen {
            switch action {
            case .leadershipChanged(let leadership) where leadership.role == .leader: self.led(name, leadership.term, world)
            case .send(.election(.voteReply(let reply)), let candidate) where reply.isGranted && !reply.isPrevote:
                self.voted(reply, for: candidate)
            case .answered(_, .assigned(let mapped)): self.heard(mapped, at: name, world)
            case .portsChanged: self.settled(name, world)
            default: break
            }
        }
        world.seen.removeAll(keepingCapacity: true)
    }

    private mutating func led(_ name: ServerName, _ term: UInt64, _ world: AgreementWorld) {
        let life = world.places[name]?.lives ?? 0
        if let other = self.leaders[term], other != (name, life) {
            self.complain("\(other.name) and \(name) both led term \(term)")
        }
        self.leaders[term] = (name, life)
    }

    private mutating func voted(_ reply: VoteReply, for candidate: ServerName) {
        let promise = Promise(voter: reply.voter, term: reply.term)
        if let other = self.votes[promise], other != candidate {
            self.complain("\(reply.voter.name) voted for \(other) and \(candidate) in term \(reply.term)")
        }
        self.votes[promise] = candidate
    }

    // MARK: Assignments

    private mutating func heard(_ mapped: MappedPort, at name: ServerName, _ world: AgreementWorld) {
        for known in self.told.values.joined() where known != mapped {
            let isSameHolder = known.client == mapped.client
            if known.port == mapped.port, known.token == mapped.token {
                self.complain("port \(mapped.port) #\(mapped.token.inWords) is \(known.client)'s and \(mapped.client)'s")
            } else if !self.isReusing, isSameHolder || known.port == mapped.port {
                self.complain("first \(known.inWords), then \(mapped.inWords)")
            }
        }
        if self.told[mapped.port]?.contains(mapped) != true { self.told[mapped.port, default: []].append(mapped) }
    }

    private mutating func settled(_ name: ServerName, _ world: AgreementWorld) {
        self.compareListeners(name, world)
        guard let assignments = world.node(name)?.assignments, let life = world.places[name]?.lives else { return }
        let ballot = assignments.settledBallot
        if self.begun[name]?.life != life { self.begun[name] = (life, ballot) }
        guard self.begun[name]?.settled != ballot else { return }
        if let known = self.settled[ballot] {
            if known != assignments.settled { self.complain("\(name) settled another state of \(ballot.inWords) than others") }
            return
        }
        self.settled[ballot] = assignments.settled
        for known in self.told.values.joined() where known.token <= ballot {
            let grant = assignments.settled.grants[known.port]
            if let grant, grant.token > known.token || (grant.token == known.token && grant.client == known.client) { continue }
            if grant == nil, self.isReusing, let rested = assignments.settled.rested[known.port], rested >= known.token {
                continue
            }
            self.complain("\(known.client) was told \(known.port) #\(known.token.inWords), which \(ballot.inWords) has not")
        }
    }

    /// A port is never open for two clients at once.
    private mutating func compareListeners(_ name: ServerName, _ world: AgreementWorld) {
        guard let own = world.places[name]?.listening else { return }
        for other in world.names where other != name && world.isUp(other) {
            for (port, mapped) in world.places[other]?.listening ?? [:] {
                guard let mine = own[port], mine.client != mapped.client else { continue }
                self.complain(
                    "\(port) is \(mine.client)'s #\(mine.token.inWords) at \(name) and "
                        + "\(mapped.client)'s #\(mapped.token.inWords) at \(other)")
            }
        }
    }
}

extension MappedPort {
    fileprivate var inWords: String { "\(self.client) was told \(self.port) #\(self.token.inWords)" }
}
