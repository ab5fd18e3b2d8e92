import Daemon
import Logging
import NIOCore
import TunnelTransport
import TunnelWire

/// The mapped ports that one event loop listens on: those of the clients that live on it, whether they are linked here or with
/// another server. Bound to the loop.
final class LoopPorts {
    private enum Stage {
        case binding
        case bound(StreamListener)
        /// Tried again later.
        case failed(String)
    }

    private struct Listening {
        let holder: PortHolder
        var stage = Stage.binding
    }

    private let context: ServerContext
    private let environment: TransportEnvironment
    /// Whether a client lives on this loop.
    private let isHome: (_ client: String) -> Bool
    /// A connection to a mapped port.
    private let accept: (PortHolder, StreamSocket, _ source: String) -> Void
    private var table: [UInt16: Listening] = [:]
    private var attempts: [UInt16: Int] = [:]
    private var retries: [UInt16: Scheduled<Void>] = [:]
    private var waiting: [UInt16: [() -> Void]] = [:]
    private var isClosed = false
    /// It is known now whether a port could be bound for its holder.
    var onVerdict: ((PortHolder) -> Void)?

    init(
        context: ServerContext, environment: TransportEnvironment, isHome: @escaping (_ client: String) -> Bool,
        accept: @escaping (PortHolder, StreamSocket, _ source: String) -> Void
    ) {
        self.context = context
        self.environment = environment
        self.isHome = isHome
        self.accept = accept
    }

    /// Why this server does not listen on a port, as far as it tried; nil: it does, or need not.
    func problem(with port: UInt16) -> String? {
        if case .failed(let reason)? = self.table[port]?.stage { reason } else { nil }
    }

    /// Why this server does not listen on ports that it should listen on.
    var problems: [UInt16: String] {
        self.table.compactMapValues { if case .failed(let reason) = $0.stage { reason } else { nil } }
    }

    func isListening(on port: UInt16) -> Bool {
        if case .bound? = self.table[port]?.stage { true } else { false }
    }

    /// Listens where that is wanted now, for whom it is wanted, and nowhere else. The future succeeds when the kernel listens
    /// for nobody else any longer.
    @discardableResult
    func review(_ port: UInt16) -> EventLoopFuture<Void> {
        let wanted =
            self.isClosed ? nil : self.context.directory.wantedHolder(of: port).flatMap { self.isHome($0.client) ? $0 : nil }
        if self.table[port]?.holder == wanted, wanted != nil { return self.environment.eventLoop.makeSucceededVoidFuture() }
        let closed = self.close(port)
        if let wanted { self.bind(port, for: wanted) } else { self.attempts[port] = nil }
        return closed
    }

    func reviewAll() {
        for port in Set(self.table.keys).union(self.context.directory.allPorts).sorted() { self.review(port) }
    }

    /// Calls `body` when it is known whether the port could be bound: at once if nothing is under way.
    func whenSettled(_ port: UInt16, _ body: @escaping () -> Void) {
        guard case .binding? = self.table[port]?.stage else { return body() }
        self.waiting[port, default: []].append(body)
    }

    /// Listens nowhere, for a drain or for good.
    func closeAll() {
        self.isClosed = true
        for port in self.table.keys.sorted() {
            _ = self.close(port)
            self.attempts[port] = nil
        }
    }

    func openAll() {
        self.isClosed = false
        self.reviewAll()
    }

    /// Listens nowhere, but what comes now waits in the kernel for the next process.
    func freeze() -> [HandoffListener] {
        var listeners: [HandoffListener] = []
        for (port, listening) in self.table.sorted(by: { $0.key < $1.key }) {
            guard case .bound(let listener) = listening.stage, let descriptor = listener.duplicate() else { continue }
            listeners.append(HandoffListener(.port(port), descriptor))
        }
        self.closeAll()
        return listeners
    }

    private func close(_ port: UInt16) -> EventLoopFuture<Void> {
        self.retries.removeValue(forKey: port)?.cancel()
        defer { self.settle(port) }
        guard let old = self.table.removeValue(forKey: port), case .bound(let listener) = old.stage else {
            return self.environment.eventLoop.makeSucceededVoidFuture()
        }
        return listener.close()
    }

    // MARK: Binding

    private func bind(_ port: UInt16, for holder: PortHolder) {
        self.table[port] = Listening(holder: holder)
        let address = self.context.currentRules.mappedPortAddress
        guard let place = try? SocketAddress(ipAddress: address, port: Int(port)) else {
            return self.failed(port, holder, "\(address) is no address to listen on")
        }
        let inherited = self.context.inherited?.sockets.take(.port(port))?.descriptor
        StreamListener.bind(place, inherited: inherited, environment: self.environment) { [weak self] socket, source in
            guard let self else { return socket.abandon() }
            self.accept(holder, socket, source)
        }.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let listener): self.bound(port, holder, listener)
            case .failure(let error):
                self.failed(port, holder, "the server cannot listen on port \(port): \(ConnectFailure(error).reason)")
            }
        }
    }

    private func bound(_ port: UInt16, _ holder: PortHolder, _ listener: StreamListener) {
        // Meanwhile it may be wanted for somebody else, or not at all.
        guard let current = self.table[port], current.holder == holder, case .binding = current.stage else {
            _ = listener.close()
            return
        }
        self.table[port]?.stage = .bound(listener)
        self.attempts[port] = nil
        self.context.logger.info("mapped port is listening", metadata: self.metadata(port, holder))
        self.settle(port)
        self.onVerdict?(holder)
    }

    private func failed(_ port: UInt16, _ holder: PortHolder, _ reason: String) {
        guard self.table[port]?.holder == holder else { return }
        self.table[port]?.stage = .failed(reason)
        let attempt = self.attempts[port] ?? 0
        self.attempts[port] = attempt + 1
        // The first time, another event loop may be about to give the port up.
        if attempt == 1 {
            self.context.logger.warning(
                "mapped port cannot be bound", metadata: self.metadata(port, holder).merging(["reason": "\(reason)"]) { $1 })
        }
        let wait = min(Int64(100) << min(attempt, 8), 15_000)
        self.retries[port] = self.environment.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(wait)) { [weak self] in
            guard let self, case .failed? = self.table[port]?.stage else { return }
            self.table[port] = nil
            self.review(port)
        }
        self.settle(port)
        self.onVerdict?(holder)
    }

    private func settle(_ port: UInt16) {
        for body in self.waiting.removeValue(forKey: port) ?? [] { body() }
    }

    private func metadata(_ port: UInt16, _ holder: PortHolder) -> Logger.Metadata {
        ["client": "\(holder.client)", "exposure": "\(holder.exposure)", "port": "\(port)"]
    }
}
