import ChaosCore
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Keeps programs as services of the systemd that runs here, each with a unit made from the project's own. Everything else
/// (apiservers, traffic) is left to another keeper.
final class ServiceKeeper: Keeper {
    private struct State: Sendable {
        var services: Set<String> = []
        /// By service: the process that was seen last.
        var lives: [ProcessLife] = []
        /// The services whose next end is ordered.
        var isMeant: Set<String> = []
    }

    private let others: PlainKeeper
    private let log: @Sendable (String) -> String
    private let state = MutexBox(State())
    private let watch = MutexBox<Task<Void, Never>?>(nil)
    let isSupervising = true

    /// - Parameter log: where the log of a service is to be kept.
    init(others: PlainKeeper, log: @escaping @Sendable (String) -> String) {
        self.others = others
        self.log = log
    }

    /// Makes a unit from that which `make install` installs.
    func define(_ name: String, from unit: ServiceStage.Service, configuration: String, socket: String) throws {
        let path = "/etc/systemd/system/gotunnel-\(unit.rawValue).service"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw StageError("\(path) is not there: run this inside scripts/in-systemd", isOfMachine: true)
        }
        let own = Self.unit(text, of: unit, name: name, configuration: configuration, socket: socket)
        try Data(own.utf8).write(to: URL(filePath: "/run/systemd/system/\(Self.unitName(name))"))
        self.state.with { _ = $0.services.insert(name) }
    }

    /// The project's unit with a configuration, a state and a socket of its own. Pure.
    static func unit(
        _ text: String, of unit: ServiceStage.Service, name: String, configuration: String, socket: String
    ) -> String {
        text
            .replacing("/etc/gotunnel/\(unit.rawValue).yaml", with: configuration)
            .replacing("/run/gotunnel/\(unit.rawValue).sock", with: socket)
            .replacing("StateDirectory=gotunnel/\(unit.rawValue)\n", with: "StateDirectory=gotunnel/\(name)\n")
            .replacing("RuntimeDirectory=gotunnel\n", with: "RuntimeDirectory=gotunnel-\(name)\n")
    }

    static func unitName(_ name: String) -> String { "gotunnel-chaos-\(name).service" }

    private func isService(_ name: String) -> Bool { self.state.with { $0.services.contains(name) } }

    func start(_ name: String) async throws {
        guard self.isService(name) else { return try await self.others.start(name) }
        try Shell.run(["systemctl", "start", Self.unitName(name)])
        await self.look()
        self.startWatch()
    }

    func kill(_ name: String) async {
        guard self.isService(name) else { return await self.others.kill(name) }
        await self.expectEnd(of: name)
        await self.signal(name, SIGKILL)
    }

    func signal(_ name: String, _ number: Int32) async {
        guard self.isService(name) else { return await self.others.signal(name, number) }
        guard let pid = await self.pid(name) else { return }
        Glibc.kill(pid, number)
    }

    func stop(_ name: String) async throws {
        guard self.isService(name) else { return try await self.others.stop(name) }
        await self.expectEnd(of: name)
        try Shell.run(["systemctl", "stop", Self.unitName(name)])
    }

    /// `systemctl restart`: connections are handed over.
    func restart(_ name: String) async throws {
        await self.expectEnd(of: name)
        try Shell.run(["systemctl", "restart", Self.unitName(name)])
    }

    func pid(_ name: String) async -> pid_t? {
        guard self.isService(name) else { return await self.others.pid(name) }
        let text = (try? Shell.run(["systemctl", "show", "--property", "MainPID", "--value", Self.unitName(name)])) ?? ""
        guard let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)), pid > 0 else { return nil }
        return pid
    }

    func expectEnd(of name: String) async {
        await self.look()
        self.state.with { state in
            if let index = state.lives.lastIndex(where: { $0.name == name && $0.ended == nil }) {
                state.lives[index].wasMeant = true
            }
        }
    }

    func lives() async -> [ProcessLife] {
        await self.look()
        return (self.state.with { $0.lives } + (await self.others.lives())).sorted { $0.started < $1.started }
    }

    // MARK: Watching

    private func startWatch() {
        self.watch.with { watch in
            guard watch == nil else { return }
            watch = Task { [self] in
                while !Task.isCancelled {
                    await self.look()
                    try? await Task.sleep(for: .milliseconds(200))
                }
            }
        }
    }

    /// Notes which processes there are now; what lives shorter than this is called is not seen.
    private func look() async {
        for name in self.state.with({ $0.services.sorted() }) {
            let pid = await self.pid(name)
            let now = TrafficClock.now() / 1_000
            self.state.with { state in
                let last = state.lives.lastIndex { $0.name == name && $0.ended == nil }
                if let last, state.lives[last].pid != pid {
                    state.lives[last].ended = now
                    state.lives[last].end = state.lives[last].wasMeant ? "ended as ordered" : "ended; see the journal"
                }
                if let pid, last == nil || state.lives[last ?? 0].pid != pid {
                    state.lives.append(ProcessLife(name: name, pid: pid, started: now))
                }
            }
        }
    }

    /// The journal ends with its systemd: what a service has said is kept beside the other logs.
    func saveLog(of name: String) {
        // Its own words alone, without those of systemd about it.
        let said = try? Shell.run(["journalctl", "--no-pager", "--output", "cat", "_SYSTEMD_UNIT=\(Self.unitName(name))"])
        try? Data((said ?? "").utf8).write(to: URL(filePath: self.log(name)))
    }

    func endAll() async {
        self.watch.with { $0?.cancel() }
        let names = self.state.with { $0.services.sorted() }.map(Self.unitName)
        for name in names { _ = try? Shell.run(["systemctl", "kill", "-s", "KILL", name]) }
        for name in names { _ = try? Shell.run(["systemctl", "stop", name]) }
        for name in self.state.with({ $0.services.sorted() }) { self.saveLog(of: name) }
        await self.others.endAll()
    }
}
