import ChaosCore
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// What an operator does.
extension StageFaults {
    func beginOperation(_ action: FaultAction, _ victims: [String]) async throws -> Undo? {
        switch action {
        case .drain:
            for victim in victims { _ = try await self.stage.admin(victim, timeout: .seconds(5)).drain(wait: false) }
            return { for victim in victims { _ = try await self.stage.admin(victim, timeout: .seconds(5)).undrain() } }
        case .move:
            for victim in victims { try await self.move(victim) }
            return nil
        case .rotateToken:
            try await self.rotation.rotate()
            return nil
        case .replaceVoter:
            for victim in victims { try await self.replaceVoter(victim) }
            return nil
        case .dropFleet:
            await self.stage.helpers.kill(ChaosStage.fleet)
            return { try await self.stage.helpers.start(ChaosStage.fleet) }
        default: return nil
        }
    }

    /// New streams of a client go to another of its servers.
    private func move(_ client: String) async throws {
        guard let status = await self.stage.clientStatus(client),
            let active = status.links.first(where: { $0.state == .active })?.server,
            let standby = status.links.first(where: { $0.state == .standby })?.server
        else { return }
        _ = try await self.stage.admin(active, timeout: .seconds(5)).move(client: client, to: standby)
    }

    /// Ends a voter for good; a spare takes its vote.
    private func replaceVoter(_ name: String) async throws {
        guard let spare = await self.unusedSpare() else {
            throw StageError("there is no spare server left to take the place of \(name)")
        }
        self.gone.with { _ = $0.insert(name) }
        await self.stage.keeper.kill(name)
        let survivors = self.places.servers.filter { !$0.isSpare && !self.gone.with { $0 }.contains($0.name) }
        guard let asked = survivors.first else { throw StageError("nobody is left to ask") }
        let patient = self.stage.admin(asked.name, timeout: .seconds(30))
        _ = try await patient.administer(.remove(voter: name))
        try await self.stage.helpers.start(spare.apiserver)
        try await self.stage.keeper.start(spare.name)
        try await self.stage.waitReady(spare.name)
        _ = try await patient.administer(.add(voter: spare.name))
        self.joined.with { _ = $0.insert(spare.name) }
    }

    private func unusedSpare() async -> ChaosPlaces.Server? {
        for server in self.places.servers where server.isSpare {
            if await self.stage.keeper.pid(server.name) == nil { return server }
        }
        return nil
    }
}

/// Replaces the token of a stage step by step, as operators do: nobody loses its link by it.
final class TokenRotation: Sendable {
    private let stage: ChaosStage
    private let number = MutexBox(0)

    init(_ stage: ChaosStage) {
        self.stage = stage
    }

    func rotate() async throws {
        let number = self.number.with { number in
            number += 1
            return number
        }
        let (old, new) = (number == 1 ? "token" : "token-\(number - 1)", "token-\(number)")
        try self.stage.files.makeSecret(new)
        let voters = self.stage.files.firstVoters
        for server in self.stage.places.servers {
            try self.stage.files.write(server, tokens: [old, new], voters: voters)
            await self.stage.keeper.signal(server.name, SIGHUP)
        }
        try await Task.sleep(for: .seconds(1))
        for client in self.stage.places.clients {
            try self.stage.files.write(client, token: new)
            // The next process reads the new token; its connections go on.
            try await self.stage.upgrade(client.name)
        }
        for server in self.stage.places.servers {
            try self.stage.files.write(server, tokens: [new], voters: voters)
            await self.stage.keeper.signal(server.name, SIGHUP)
        }
    }
}
