import Admin
import ChaosCore

/// Asks every server and client of a running cluster again and again how it is, each by itself.
package final class RunningWatch: Sendable {
    /// What somebody answered, and when it was asked.
    struct Answer<Status: Sendable>: Sendable {
        var at: Double
        var status: Status
        var ports: [String: Int] = [:]
    }

    private struct Book: Sendable {
        var servers: [String: Answer<ServerStatus>] = [:]
        var clients: [String: Answer<ClientStatus>] = [:]
        /// Why the last question to somebody was not answered.
        var failures: [String: String] = [:]
        var views: [ClusterView] = []
        var usage: [ProcessSample] = []
        var lives: [ProcessLife] = []
        /// Until when an end of somebody's process is meant: while they are struck, and until it must have been noticed.
        var meant: [String: Double] = [:]
        var strikes = 0
    }

    private let cluster: RunningCluster
    private let caller: any CommandCaller
    private let sockets: String?
    private let interval: Duration
    private let book = MutexBox(Book())
    private let task = MutexBox<Task<Void, Never>?>(nil)

    /// An answer that is older than so many intervals is none.
    private static let fresh = 4.0
    /// Seconds within which the end of a process is noticed.
    private static let notice = 5.0

    init(cluster: RunningCluster, caller: any CommandCaller, sockets: String?, interval: Duration = .milliseconds(500)) {
        self.cluster = cluster
        self.caller = caller
        self.sockets = sockets
        self.interval = interval
    }

    func start() {
        let task = Task { [self] in
            await withTaskGroup(of: Void.self) { group in
                for member in self.cluster.members { group.addTask { await self.repeatedly { await self.ask(member) } } }
                group.addTask { await self.repeatedly { self.takeView() } }
            }
        }
        self.task.with { $0 = task }
    }

    /// Returns when nobody is being asked any more.
    func stop() async {
        let task = self.task.with { $0 }
        task?.cancel()
        await task?.value
    }

    package var views: [ClusterView] { self.book.with { $0.views } }
    package var latest: ClusterView? { self.book.with { $0.views.last } }
    var usage: [ProcessSample] { self.book.with { $0.usage } }
    var lives: [ProcessLife] { self.book.with { $0.lives } }

    /// How many faults there have been.
    var strikes: Int { self.book.with { $0.strikes } }

    func note(struck names: [String]) {
        self.book.with { book in
            book.strikes += 1
            for name in names { book.meant[name] = .infinity }
        }
    }

    func note(healed names: [String]) {
        let until = TrafficClock.now() / 1_000 + Self.notice
        self.book.with { book in for name in names { book.meant[name] = until } }
    }

    /// How everybody is now, asked anew; `latest` is of the same moment afterwards.
    func look() async -> RunningView {
        await withTaskGroup(of: Void.self) { group in
            for member in self.cluster.members { group.addTask { await self.ask(member) } }
        }
        self.takeView()
        return self.book.with { book in
            func member<Status>(_ name: String, _ answers: [String: Answer<Status>]) -> RunningView.Member<Status> {
                let failure = book.failures[name]
                return RunningView.Member(name: name, status: failure == nil ? answers[name]?.status : nil, failure: failure)
            }
            return RunningView(
                servers: self.cluster.servers.map { member($0.name, book.servers) },
                clients: self.cluster.clients.map { member($0.name, book.clients) })
        }
    }

    /// False when somebody is not ready by then.
    func waitReady(_ name: String, within limit: Duration) async -> Bool {
        guard let member = self.cluster.member(name) else { return false }
        let end = ContinuousClock.now + limit
        while !Task.isCancelled {
            let answer = await self.status(of: member)
            if case .success(let status) = answer, status.isReady { return true }
            if ContinuousClock.now >= end { return false }
            try? await Task.sleep(for: .milliseconds(200))
        }
        return false
    }

    // MARK: Asking

    private func repeatedly(_ body: () async -> Void) async {
        while !Task.isCancelled {
            await body()
            try? await Task.sleep(for: self.interval)
        }
    }

    /// What `gotunnelctl` prints as JSON.
    func ask<Value: Decodable>(
        _ member: RunningMember, _ what: String, as type: Value.Type = Value.self
    ) async -> Result<Value, StageError> {
        let command = HostCommand(member, [self.cluster.control, what, "--json", "--socket", member.socket])
        let outcome = await self.caller.call(command.onThisMachine(sockets: self.sockets), within: .seconds(5))
        if let failure = outcome.failure { return .failure(StageError("\(command.text): \(failure)")) }
        do { return .success(try AdminJSON.decode(from: outcome.output)) } catch {
            return .failure(
                StageError("\(command.text): it is not the answer of a gotunnel-\(member.role.rawValue) of this version"))
        }
    }

    private func status(of member: RunningMember) async -> Result<DaemonStatus, StageError> {
        await self.ask(member, "status").flatMap { (status: DaemonStatus) in
            guard status.role == member.role else {
                return .failure(StageError("\(member.socket) of \(member.place) belongs to a \(status.role.rawValue)"))
            }
            guard status.name == member.name else {
                return .failure(
                    StageError(
                        "\(member.socket) of \(member.place) belongs to \(SafeText.line(status.name)), not to \(member.name)"))
            }
            return .success(status)
        }
    }

    private func ask(_ member: RunningMember) async {
        let asked = TrafficClock.now() / 1_000
        switch await self.status(of: member) {
        case .failure(let error): self.book.with { $0.failures[member.name] = error.description }
        case .success(.client(let status)):
            self.take(status.process, of: member.name, at: asked)
            self.book.with { $0.clients[member.name] = Answer(at: asked, status: status) }
        case .success(.server(let status)):
            self.take(status.process, of: member.name, at: asked)
            let rows: [ExposureRow] = (try? await self.ask(member, "exposures").get()) ?? []
            var ports: [String: Int] = [:]
            for row in rows { if let port = row.port { ports["\(row.client)/\(row.name)"] = port } }
            let answer = Answer(at: asked, status: status, ports: ports)
            self.book.with { $0.servers[member.name] = answer }
        }
    }

    /// What a status tells of the process.
    private func take(_ process: ProcessStatus, of name: String, at t: Double) {
        self.book.with { book in
            book.failures[name] = nil
            // Of what it used since its start a status tells nothing.
            book.usage.append(ProcessSample(t: t, name: name, memory: process.residentBytes, openFiles: process.openFds, cpu: 0))
            let last = book.lives.lastIndex { $0.name == name && $0.ended == nil }
            if let last, book.lives[last].pid == process.pid { return }
            if let last {
                book.lives[last].ended = t
                book.lives[last].wasMeant = t <= book.meant[name] ?? 0
                book.lives[last].end = "ended; see the journal of its host"
            }
            book.lives.append(ProcessLife(name: name, pid: process.pid, started: t))
        }
    }

    private func takeView() {
        self.book.with { book in
            // Within the lock, so that the views are in the order of their times.
            let now = TrafficClock.now() / 1_000
            let oldest = now - self.interval.inSeconds * Self.fresh
            let servers = self.cluster.servers.compactMap { book.servers[$0.name] }.filter { $0.at >= oldest }.map { $0.view }
            let clients = self.cluster.clients.compactMap { book.clients[$0.name] }.filter { $0.at >= oldest }.map { $0.view }
            book.views.append(ClusterView(t: now, servers: servers, clients: clients))
        }
    }
}

extension RunningWatch.Answer<ServerStatus> {
    var view: ClusterView.Server {
        ClusterView.Server(
            name: self.status.name, role: self.status.role.rawValue, term: self.status.term, leader: self.status.leader,
            alive: self.status.peers.filter { $0.state == .alive }.map(\.name).sorted(), clients: self.status.clients,
            streams: self.status.streams, ports: self.ports)
    }
}

extension RunningWatch.Answer<ClientStatus> {
    var view: ClusterView.Client {
        let up = self.status.links.filter { $0.state == .active || $0.state == .standby }
        return ClusterView.Client(
            name: self.status.name, linked: up.compactMap(\.server).sorted(),
            active: self.status.links.first { $0.state == .active }?.server, streams: self.status.streams)
    }
}

extension DaemonStatus {
    fileprivate var role: RunningMember.Role {
        switch self {
        case .server: .server
        case .client: .client
        }
    }

    fileprivate var name: String {
        switch self {
        case .server(let status): status.name
        case .client(let status): status.name
        }
    }

    fileprivate var isReady: Bool {
        switch self {
        case .server(let status): status.ready
        case .client(let status): status.ready
        }
    }
}
