import Identity
import Logging
import NIOCore
import TunnelSession
import TunnelTransport
import TunnelWire

/// The exposures that one client has registered, and the ports that this server listens on for them. Bound to its loop.
final class MappedPorts {
    /// One exposure as it stands.
    struct Entry {
        var declaration: ExposureDeclaration
        /// Why it is not in force; nil when it is, or while its target is down.
        var problem: String?
        fileprivate var listener: StreamListener?

        /// Whether a connection to it would reach the client.
        var isServed: Bool { self.problem == nil && self.declaration.isHealthy }
    }

    private let client: String
    private let installation: WireID
    private unowned let driver: SessionDriver
    private let context: ServerContext
    private var table: [String: Entry] = [:]
    private var version: UInt64 = 0
    private var isClosed = false
    private var areListenersClosed = false

    init(client: String, installation: WireID, driver: SessionDriver, context: ServerContext) {
        self.client = client
        self.installation = installation
        self.driver = driver
        self.context = context
    }

    /// What is registered, by name.
    var entries: [Entry] { self.table.keys.sorted().compactMap { self.table[$0] } }

    /// Takes a registration: it replaces the one before, and REGISTERED answers it when every port is bound or is not.
    func apply(_ register: Register) {
        guard !self.isClosed, register.version >= self.version else { return }
        self.version = register.version
        let wanted = Dictionary(register.exposures.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, entry) in self.table where wanted[name]?.mappedPort != entry.declaration.mappedPort {
            self.close(entry, releasing: true)
            self.table[name] = nil
        }
        for declaration in register.exposures where wanted[declaration.name] == declaration { self.adopt(declaration) }
        self.bindMissing()
    }

    /// The rules changed: what was refused may be allowed now, and the other way round.
    func applyAgain() {
        self.apply(Register(version: self.version, exposures: self.entries.map(\.declaration)))
    }

    /// Listens again after a drain.
    func openListeners() {
        self.areListenersClosed = false
        self.applyAgain()
    }

    /// Stops listening, for a drain; the registrations stay.
    func closeListeners() {
        self.areListenersClosed = true
        for name in self.table.keys.sorted() {
            if let entry = self.table[name] { self.close(entry, releasing: false) }
            self.table[name]?.listener = nil
        }
    }

    /// The session is over.
    func closeAll() {
        self.isClosed = true
        for entry in self.entries { self.close(entry, releasing: true) }
        self.table = [:]
    }

    private func owner(of name: String) -> PortReservations.Owner {
        PortReservations.Owner(client: self.client, installation: self.installation, exposure: name)
    }

    private func adopt(_ declaration: ExposureDeclaration) {
        var entry = self.table[declaration.name] ?? Entry(declaration: declaration)
        entry.declaration = declaration
        entry.problem = self.problem(with: declaration)
        if entry.listener != nil, !entry.isServed {
            self.close(entry, releasing: entry.problem != nil)
            entry.listener = nil
        }
        self.table[declaration.name] = entry
    }

    /// Why the exposure may not be; nil when it may. Reserves its port.
    private func problem(with declaration: ExposureDeclaration) -> String? {
        let port = declaration.mappedPort.map { RequestedPort.fixed($0) } ?? .none
        let policy = self.context.currentRules.policy
        if case .refused(let reason) = policy.mayExpose(name: declaration.name, port: port, client: self.client) { return reason }
        guard let port = declaration.mappedPort else { return nil }
        guard let holder = self.context.ports.reserve(port, for: self.owner(of: declaration.name)) else { return nil }
        return "port \(port) belongs to exposure \(holder.exposure) of client \(holder.client)"
    }

    private func close(_ entry: Entry, releasing: Bool) {
        if let listener = entry.listener { _ = listener.close() }
        if releasing, let port = entry.declaration.mappedPort {
            self.context.ports.release(port, by: self.owner(of: entry.declaration.name))
        }
    }

    // MARK: Binding

    private func bindMissing() {
        let missing = self.entries.filter { entry in
            entry.isServed && entry.listener == nil && entry.declaration.mappedPort != nil && !self.areListenersClosed
        }
        let attempts = missing.map { self.bind($0.declaration) }
        let version = self.version
        EventLoopFuture.andAllComplete(attempts, on: self.driver.environment.eventLoop)
            .assumeIsolated().whenComplete { _ in self.answer(version) }
    }

    private func bind(_ declaration: ExposureDeclaration) -> EventLoopFuture<Void> {
        let loop = self.driver.environment.eventLoop
        let address = self.context.currentRules.mappedPortAddress
        guard let port = declaration.mappedPort, let place = try? SocketAddress(ipAddress: address, port: Int(port)) else {
            return loop.makeSucceededVoidFuture()
        }
        let done = loop.makePromise(of: Void.self)
        let destination = Destination.exposure(client: self.client, name: declaration.name)
        StreamListener.bind(place, environment: self.driver.environment) { [weak driver] socket, source in
            guard let driver else { return socket.abandon() }
            driver.open(Open(destination: destination, source: source), for: socket) { self.opened($0, declaration, source) }
        }.assumeIsolated().whenComplete { result in
            self.bound(result, declaration)
            done.succeed()
        }
        return done.futureResult
    }

    private func bound(_ result: Result<StreamListener, any Error>, _ declaration: ExposureDeclaration) {
        switch result {
        case .success(let listener):
            // Meanwhile the client may have registered something else, or be gone.
            guard !self.isClosed, !self.areListenersClosed, let entry = self.table[declaration.name], entry.listener == nil,
                entry.isServed, entry.declaration.mappedPort == declaration.mappedPort
            else {
                _ = listener.close()
                return
            }
            self.table[declaration.name]?.listener = listener
            self.context.logger.info("mapped port is listening", metadata: self.metadata(declaration))
        case .failure(let error):
            let reason = "the server cannot listen on port \(declaration.mappedPort ?? 0): \(ConnectFailure(error).reason)"
            self.table[declaration.name]?.problem = reason
            self.context.logger.warning(
                "mapped port cannot be bound", metadata: self.metadata(declaration).merging(["reason": "\(reason)"]) { $1 })
        }
    }

    private func opened(_ outcome: OpenOutcome, _ declaration: ExposureDeclaration, _ source: String) {
        guard case .refused(let refusal) = outcome else { return }
        let destination = Destination.exposure(client: self.client, name: declaration.name)
        self.context.refusals.note(refusal, destination: destination, source: source, client: self.client)
    }

    private func answer(_ version: UInt64) {
        guard !self.isClosed, version == self.version else { return }
        let results = self.entries.map {
            ExposureResult(name: $0.declaration.name, mappedPort: $0.declaration.mappedPort, problem: $0.problem)
        }
        self.driver.send(.registered(Registered(version: version, results: results)))
    }

    private func metadata(_ declaration: ExposureDeclaration) -> Logger.Metadata {
        ["client": "\(self.client)", "exposure": "\(declaration.name)", "port": "\(declaration.mappedPort ?? 0)"]
    }
}
