import ClusterCore
import Timing
import TunnelWire

/// The operators of a run.
struct OperatorPlan: Sendable {
    var lastCommandAt: Int64 = .min / 2
    var wipedAt: Int64 = .min / 2
    /// Who finds an older copy of its disk at the next start.
    var staleAtNextStart: Set<Int> = []
    var isOver = false
}

/// What operators do: they change voters one at a time, and only so that enough of those who remain have their disks.
extension World {
    mutating func nextOperatorDeed() {
        guard !self.operators.isOver else { return }
        self.plan(.operators, after: self.clientRandom.span(.seconds(4) ... .seconds(40)))
        let running = self.places.indices.filter {
            self.places[$0].isRunning && !self.places[$0].isPaused && !self.places[$0].isLeaving
        }
        guard let place = self.clientRandom.pick(running), let voters = self.checks.commits.latest?.voters else { return }
        let strangers = self.places.filter { $0.isRunning && !voters.contains($0.voter) }
        let draw = self.clientRandom.below(10)
        var command: ClusterCommand?
        if draw < 6, let stranger = self.clientRandom.pick(strangers), self.isSafe(voters, adding: stranger) {
            command = .addVoter(stranger.name)
        } else if draw < 8, let voter = self.clientRandom.pick(voters.voters), self.isSafe(voters, removing: voter) {
            command = .removeVoter(voter.name)
        } else if draw >= 8 {
            command = .transfer(self.clientRandom.chance(0.5) ? nil : self.clientRandom.pick(voters.voters)?.name)
        }
        guard let command else { return }
        self.note { "OPERATOR at \($0.places[place].name): \(command)" }
        self.operators.lastCommandAt = self.now
        self.withdrawOldCommands()
        self.administer(command, at: place)
    }

    /// A command that was not answered is not left lying about until it does harm.
    private mutating func withdrawOldCommands() {
        for (id, question) in self.checks.answers.open.sorted(by: { $0.key < $1.key }) {
            guard case .command = question.request, !self.places[question.place].isPaused else { continue }
            self.withdraw(id, at: question.place)
        }
    }

    private func isSafe(_ voters: VoterSet, adding place: Place) -> Bool {
        let kept = voters.voters.filter { $0.name != place.name } + [place.voter]
        return self.hasEnough(kept)
    }

    private func isSafe(_ voters: VoterSet, removing voter: Voter) -> Bool {
        voters.voters.count > 3 && self.hasEnough(voters.voters.filter { $0 != voter })
    }

    private func hasEnough(_ voters: [Voter]) -> Bool {
        guard self.now - self.operators.wipedAt > 30_000_000_000 else { return false }
        let intact = Set(self.places.map(\.voter))
        return voters.count { intact.contains($0) } >= voters.count / 2 + 1
    }
}
