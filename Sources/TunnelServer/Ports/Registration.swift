import ClusterCore
import Identity
import Logging
import NIOCore
import TunnelTransport
import TunnelWire

/// What one client has registered at this server: judged, published to the cluster, and answered. Bound to the client's loop.
final class Registration {
    /// One exposure as it stands.
    struct Entry {
        var declaration: ExposureDeclaration
        /// Why it is not in force; nil when it is, or while its target is down.
        var problem: String?
        /// The port that leads to it, its own or an assigned one.
        var port: UInt16?
        /// When a port of its own was granted: milliseconds since 1970.
        fileprivate var claimedAt: UInt64?
        /// The leader was asked for a port.
        fileprivate var request: UInt64?
        /// What the leader said instead of giving it one; asked again with the next registration, or after a while.
        fileprivate var refusal: String?

        /// Whether a connection to it would reach the client.
        var isServed: Bool { self.problem == nil && self.declaration.isHealthy }
    }

    /// Whose it is.
    struct Client {
        var name: String
        var installation: WireID
        var instance: WireID
        var address: String
    }

    private let peer: Client
    private let since: UInt64
    private unowned let driver: SessionDriver
    private let context: ServerContext
    private unowned let loop: ServerLoop
    private var table: [String: Entry] = [:]
    private var version: UInt64 = 0
    private var isClosed = false
    private var hasRegistered = false
    /// What the client was told last.
    private var told: [ExposureResult]?
    /// The client's first answer waits for the leader, for a while.
    private var isPatient = false
    private var isPatienceOver = false

    private var client: String { self.peer.name }

    /// - Parameter since: when the session began, in milliseconds since 1970.
    init(of client: Client, since: UInt64, driver: SessionDriver, loop: ServerLoop) {
        self.peer = client
        self.since = since
        self.driver = driver
        self.context = loop.context
        self.loop = loop
        self.publish()
    }

    /// By name.
    var entries: [Entry] { self.table.keys.sorted().compactMap { self.table[$0] } }

    // MARK: Registering

    /// Takes a registration: it replaces the one before, and REGISTERED answers it when it is known what became of it.
    func apply(_ register: Register) {
        guard !self.isClosed, register.version >= self.version else { return }
        self.version = register.version
        self.hasRegistered = true
        let wanted = Dictionary(register.exposures.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, entry) in self.table where wanted[name].map({ !$0.asksTheSame(as: entry.declaration) }) ?? true {
            self.drop(entry)
            self.table[name] = nil
        }
        for declaration in register.exposures where wanted[declaration.name] == declaration { self.adopt(declaration) }
        self.publish()
        self.answerWhenSettled()
    }

    /// The version of the last registration, for the next process; nil: there was none.
    var frozenVersion: UInt64? { self.hasRegistered ? self.version : nil }

    var frozenExposures: [FrozenClient.Exposure] {
        self.entries.map { entry in
            FrozenClient.Exposure(
                name: entry.declaration.name, mappedPort: entry.declaration.mappedPort, isHealthy: entry.declaration.isHealthy,
                wantsPort: entry.declaration.wantsPort, claimedAt: entry.claimedAt)
        }
    }

    /// Takes what another process had registered. Who had a port first has it still.
    func thaw(_ exposures: [FrozenClient.Exposure], version: UInt64) {
        for exposure in exposures {
            let declaration = ExposureDeclaration(
                name: exposure.name, mappedPort: exposure.mappedPort, isHealthy: exposure.isHealthy, wantsPort: exposure.wantsPort
            )
            self.table[exposure.name] = Entry(declaration: declaration, claimedAt: exposure.claimedAt)
        }
        self.apply(Register(version: version, exposures: self.entries.map(\.declaration)))
    }

    /// The rules changed: what was refused may be allowed now, and the other way round.
    func applyAgain() {
        guard self.hasRegistered else { return }
        self.apply(Register(version: self.version, exposures: self.entries.map(\.declaration)))
    }

    /// The session is over.
    func close() {
        self.isClosed = true
        for entry in self.table.values { self.drop(entry) }
        self.table = [:]
        self.context.directory.publish(client: self.client, nil)
    }

    private func drop(_ entry: Entry) {
        if let request = entry.request { self.context.directory.withdraw(request) }
        if let port = entry.declaration.mappedPort { self.loop.note(port, claimedBy: self.client, false) }
    }

    private func adopt(_ declaration: ExposureDeclaration) {
        var entry = self.table[declaration.name] ?? Entry(declaration: declaration)
        entry.declaration = declaration
        entry.refusal = nil
        if let port = declaration.mappedPort { self.loop.note(port, claimedBy: self.client, true) }
        self.judge(&entry)
        self.table[declaration.name] = entry
    }

    /// Whether the exposure may be, and which port it has.
    private func judge(_ entry: inout Entry) {
        let declaration = entry.declaration
        let holder = PortHolder(client: self.client, exposure: declaration.name)
        let wish: RequestedPort =
            if let port = declaration.mappedPort { .fixed(port) } else { declaration.wantsPort ? .picked : .none }
        entry.problem = nil
        entry.port = nil
        let policy = self.context.currentRules.policy
        if case .refused(let reason) = policy.mayExpose(name: declaration.name, port: wish, client: self.client) {
            entry.problem = reason
            entry.claimedAt = nil
        } else if let port = declaration.mappedPort {
            self.claim(port, for: holder, &entry)
        } else if declaration.wantsPort {
            entry.port = self.context.directory.assignedPort(of: holder)
            if let refusal = entry.refusal, entry.port == nil {
                entry.problem = refusal
            } else if entry.port == nil {
                entry.problem = "waiting for the leader of the servers to give it a port"
                if entry.request == nil { entry.request = self.request(holder, policy) }
            }
        }
    }

    private func claim(_ port: UInt16, for holder: PortHolder, _ entry: inout Entry) {
        let directory = self.context.directory
        if let other = directory.firmHolder(of: port), other != holder {
            entry.problem = "port \(port) belongs to exposure \(other.exposure) of client \(other.client)"
            entry.claimedAt = nil
            return
        }
        entry.port = port
        entry.claimedAt = entry.claimedAt ?? directory.claimedAt(port, by: holder) ?? WallClock.milliseconds
    }

    private func request(_ holder: PortHolder, _ policy: AccessPolicy) -> UInt64 {
        let bound = NIOLoopBound(WeakRegistration(self), eventLoop: self.driver.environment.eventLoop)
        let request = PortRequest(
            client: holder.client, installation: self.peer.installation, exposure: holder.exposure,
            allowed: policy.pickedPorts(client: holder.client))
        return self.context.directory.requestPort(request) { outcome in
            bound.eventLoop.execute { bound.value.registration?.answered(holder.exposure, outcome) }
        }
    }

    private final class WeakRegistration {
        weak var registration: Registration?
        init(_ registration: Registration) { self.registration = registration }
    }

    private func answered(_ exposure: String, _ outcome: RequestOutcome) {
        guard !self.isClosed, var entry = self.table[exposure], entry.request != nil else { return }
        entry.request = nil
        switch outcome {
        case .assigned(let port):
            entry.port = port.port
            entry.problem = nil
            self.context.logger.info(
                "mapped port was given out",
                metadata: [
                    "client": "\(self.client)", "exposure": "\(exposure)", "port": "\(port.port)",
                    "token": "\(port.token.term).\(port.token.sequence)",
                ])
        case .refused(let reason):
            entry.problem = reason
            entry.refusal = reason
            self.askAgainLater(exposure)
        case .done: break
        }
        self.table[exposure] = entry
        self.publish()
        self.answerWhenSettled()
    }

    /// A port may have become free by then.
    private func askAgainLater(_ exposure: String) {
        self.driver.environment.eventLoop.assumeIsolated().scheduleTask(in: .seconds(30)) { [weak self] in
            guard let self, !self.isClosed, var entry = self.table[exposure], entry.refusal != nil, entry.request == nil else {
                return
            }
            entry.refusal = nil
            self.judge(&entry)
            // Until there is an answer, the one before stands.
            self.table[exposure] = entry
        }
    }

    /// Who holds a port may be another now: a claim made elsewhere at the same time, or an assignment.
    func portChanged(_ port: UInt16) {
        guard !self.isClosed, self.hasRegistered else { return }
        let before = self.entries.map { ($0.problem, $0.port) }
        for name in self.table.keys.sorted() {
            guard var entry = self.table[name], entry.request == nil else { continue }
            self.judge(&entry)
            self.table[name] = entry
        }
        let after = self.entries.map { ($0.problem, $0.port) }
        guard !before.elementsEqual(after, by: { $0 == $1 }) else { return }
        self.publish()
        self.answerWhenSettled()
    }

    // MARK: Telling

    /// Tells the other servers.
    private func publish() {
        let exposures = self.entries.filter { $0.problem == nil || $0.request != nil }.map { entry in
            ExposureRecord(name: entry.declaration.name, port: entry.recordedPort, isHealthy: entry.declaration.isHealthy)
        }
        self.context.directory.publish(
            client: self.client,
            ClientRecord(
                installation: self.peer.installation, instance: self.peer.instance, address: self.peer.address,
                since: self.since, exposures: exposures))
    }

    /// Answers the client when every port is bound here, or is not.
    private func answerWhenSettled() {
        let version = self.version
        // The leader answers in a moment, as a rule; only if it does not, the client is told to wait.
        if self.table.values.contains(where: { $0.request != nil }), !self.isPatienceOver {
            guard !self.isPatient else { return }
            self.isPatient = true
            self.driver.environment.eventLoop.assumeIsolated().scheduleTask(in: .seconds(2)) { [weak self] in
                guard let self, !self.isClosed else { return }
                self.isPatienceOver = true
                self.answerWhenSettled()
            }
            return
        }
        let open = self.entries.filter { $0.isServed }.compactMap(\.port)
        guard !open.isEmpty else { return self.answer(version) }
        // The loop hears of its ports in a moment; what is asked behind that comes after it.
        self.driver.environment.eventLoop.assumeIsolated().execute {
            var left = open.count
            for port in open {
                self.loop.ports.whenSettled(port) {
                    left -= 1
                    if left == 0 { self.answer(version) }
                }
            }
        }
    }

    private func answer(_ version: UInt64) {
        guard !self.isClosed, version == self.version else { return }
        let results = self.results
        self.told = results
        self.driver.send(.registered(Registered(version: version, results: results)))
    }

    private var results: [ExposureResult] {
        self.entries.map { entry in
            ExposureResult(
                name: entry.declaration.name, mappedPort: entry.port ?? entry.declaration.mappedPort,
                problem: self.problem(of: entry))
        }
    }

    /// Whether a port is bound here is known, or has changed: the client is told if that is news.
    func portSettled() {
        guard let told = self.told, told != self.results else { return }
        self.answerWhenSettled()
    }

    /// Why an exposure is not in force at this server.
    func problem(of entry: Entry) -> String? {
        entry.problem ?? (entry.declaration.isHealthy ? entry.port.flatMap { self.loop.ports.problem(with: $0) } : nil)
    }
}

extension Registration.Entry {
    fileprivate var recordedPort: ExposureRecord.Port {
        if self.declaration.wantsPort { return .assigned }
        guard let port = self.port, let claimedAt = self.claimedAt else { return .none }
        return .fixed(port, claimedAt: claimedAt)
    }
}

extension ExposureDeclaration {
    fileprivate func asksTheSame(as other: ExposureDeclaration) -> Bool {
        self.mappedPort == other.mappedPort && self.wantsPort == other.wantsPort
    }
}
