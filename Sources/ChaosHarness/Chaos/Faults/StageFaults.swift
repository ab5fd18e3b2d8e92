import ChaosCore
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Makes faults on a stage, and undoes them.
struct StageFaults: Sendable {
    let stage: ChaosStage
    let rotation: TokenRotation
    /// The servers that were ended for good.
    let gone = MutexBox<Set<String>>([])
    /// The spares that took another's place.
    let joined = MutexBox<Set<String>>([])

    /// How a fault is undone; returns when what it met is back.
    typealias Undo = @Sendable () async throws -> Void

    init(_ stage: ChaosStage) {
        self.stage = stage
        self.rotation = TokenRotation(stage)
    }

    var places: ChaosPlaces { self.stage.places }

    /// - Parameters:
    ///   - others: the other side, of what happens between two.
    ///   - isThere: told when the fault is there.
    /// - Returns: nil: it is over, or can never be undone.
    func begin(
        _ action: FaultAction, _ victims: [String], others: [String], isThere: @escaping @Sendable () -> Void
    ) async throws -> Undo? {
        switch action {
        case .kill, .killWithDisk, .stop, .restart, .upgrade, .reboot, .starve, .exhaustFiles, .fillDisk, .clock, .hang:
            var undos: [Undo] = []
            for victim in victims { if let undo = try await self.begin(action, victim) { undos.append(undo) } }
            isThere()
            let all = undos
            guard !all.isEmpty else { return nil }
            return { for undo in all { try await undo() } }
        case .cut, .cutOneWay, .ring, .flap, .loss, .rate, .delay, .reset:
            let undo = try await self.beginLinkFault(action, victims, others: others)
            isThere()
            return undo
        case .drain, .move, .rotateToken, .replaceVoter, .dropFleet:
            isThere()
            return try await self.beginOperation(action, victims)
        }
    }

    // MARK: What happens to a process

    private func begin(_ action: FaultAction, _ victim: String) async throws -> Undo? {
        let keeper = self.stage.keeper
        switch action {
        case .kill:
            await keeper.kill(victim)
            return { try await self.bringBack(victim) }
        case .reboot:
            // Unreachable first: a machine without power sends no farewell, and no reset.
            let silence = try self.places.hostIndex(victim).flatMap { try self.stage.lab?.begin(.isolate($0)) }
            await keeper.kill(victim)
            return {
                if let silence { try self.stage.lab?.end(silence) }
                try await self.bringBack(victim)
            }
        case .killWithDisk:
            await keeper.kill(victim)
            self.stage.disks[victim]?.empty()
            if self.stage.disks[victim] == nil { try? FileManager.default.removeItem(atPath: self.stage.files.state(victim)) }
            return { try await self.bringBack(victim) }
        case .stop:
            await keeper.signal(victim, SIGSTOP)
            return { await keeper.signal(victim, SIGCONT) }
        case .restart:
            try await self.restart(victim)
            return nil
        case .upgrade:
            try await self.stage.upgrade(victim)
            return nil
        case .starve(let share):
            let starvation = try await self.onProcess(victim) {
                try Starvation(of: $0, share: share, leftovers: self.stage.leftovers)
            }
            return { starvation.end() }
        case .exhaustFiles(let more):
            let limit = try await self.onProcess(victim) { try FileLimit(of: $0, more: more) }
            return { limit.end() }
        case .fillDisk:
            guard let disk = self.stage.disks[victim] else { throw StageError("\(victim) has no disk of its own") }
            try disk.fill()
            return { disk.free() }
        case .clock(let rate):
            try await self.restart(victim, environment: try ClockRate(rate).environment)
            return { try await self.restart(victim, environment: [:]) }
        case .hang(let part):
            await keeper.expectEnd(of: victim)
            _ = try? await self.stage.admin(victim, timeout: .seconds(1)).breakOnPurpose("block-\(part)")
            return { try await self.waitBack(victim) }
        default: return nil
        }
    }

    private func onProcess<Made: Sendable>(_ name: String, _ make: (pid_t) throws -> Made) async throws -> Made {
        guard let pid = await self.stage.keeper.pid(name) else { throw StageError("\(name) does not run") }
        return try make(pid)
    }

    private func restart(_ name: String) async throws {
        if let services = self.stage.keeper as? ServiceKeeper, self.places.isRehearsed(name) {
            try await services.restart(name)
        } else {
            try await self.stage.keeper.stop(name)
            try await self.stage.keeper.start(name)
        }
        try await self.waitBack(name)
    }

    private func restart(_ name: String, environment: [String: String]) async throws {
        try await self.stage.keeper.stop(name)
        self.stage.helpers.setEnvironment(
            name, self.stage.setting.environment.merging(environment) { $1 })
        try await self.stage.keeper.start(name)
        try await self.waitBack(name)
    }

    /// Starts what was killed, unless a supervisor has.
    func bringBack(_ name: String) async throws {
        if await self.stage.keeper.pid(name) == nil { try await self.stage.keeper.start(name) }
        try await self.waitBack(name)
    }

    /// An apiserver is back when it runs; the others when they are ready.
    func waitBack(_ name: String) async throws {
        guard self.places.isRehearsed(name) else { return }
        try await self.stage.waitReady(name, within: .seconds(40))
    }
}
