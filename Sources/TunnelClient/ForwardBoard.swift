import Daemon
import Logging
import NIOCore
import Settings
import TunnelSession
import TunnelTransport
import TunnelWire

/// The client's forwards: listeners whose connections become streams to a service. Bound to its event loop.
final class ForwardBoard {
    /// One listener as it stands.
    struct Entry {
        let listen: HostPort
        let service: String
        fileprivate(set) var problem: String?
        fileprivate var listener: StreamListener?
    }

    private let environment: TransportEnvironment
    private let logger: Logger
    private let refusals: RefusalLog
    private let client: String
    private let opener: StreamOpener
    private var table: [HostPort: Entry] = [:]
    private var isClosed = false
    /// Listening sockets of the process before.
    private let inherited: InheritedSockets?

    /// - Parameter opener: finds the session for a new stream.
    init(
        client: String, environment: TransportEnvironment, logger: Logger, opener: StreamOpener, inherited: InheritedSockets?
    ) {
        self.inherited = inherited
        self.client = client
        self.environment = environment
        self.logger = logger
        self.refusals = RefusalLog(logger: logger)
        self.opener = opener
    }

    /// What there is, in the order of addresses.
    var entries: [Entry] {
        self.table.keys.sorted { $0.description < $1.description }.compactMap { self.table[$0] }
    }

    // MARK: Listening

    /// Listens on what `forwards` says and on nothing else. Completes with the problems, one line each.
    func apply(_ forwards: [ForwardSettings]) -> EventLoopFuture<[String]> {
        let wanted = Dictionary(
            forwards.flatMap { forward in forward.listen.map { ($0, forward.service) } }, uniquingKeysWith: { first, _ in first })
        for entry in self.entries where wanted[entry.listen] != entry.service {
            if let listener = entry.listener { _ = listener.close() }
            self.table[entry.listen] = nil
        }
        let loop = self.environment.eventLoop
        let missing = wanted.keys.sorted { $0.description < $1.description }.filter { self.table[$0]?.listener == nil }
        let attempts = missing.map { self.bind($0, service: wanted[$0] ?? "") }
        return EventLoopFuture.whenAllSucceed(attempts, on: loop).map { $0.compactMap { $0 } }
    }

    /// Stops listening, for good.
    func close() {
        self.isClosed = true
        for entry in self.entries {
            if let listener = entry.listener { _ = listener.close() }
        }
        self.table = [:]
    }

    /// Listens no more, but what comes now waits in the kernel for the next process.
    func freeze() -> [HandoffListener] {
        let listeners = self.entries.compactMap { entry in
            entry.listener?.duplicate().map { HandoffListener(.forward("\(entry.listen)"), $0) }
        }
        self.close()
        return listeners
    }

    /// A connection that another process had accepted and that is no stream yet.
    func thaw(_ socket: StreamSocket, _ open: Open) { self.accepted(socket, open) }

    private func bind(_ address: HostPort, service: String) -> EventLoopFuture<String?> {
        let loop = self.environment.eventLoop
        self.table[address] = Entry(listen: address, service: service)
        let place: SocketAddress
        do {
            place = try SocketAddress.makeAddressResolvingHost(address.host.description, port: address.port)
        } catch {
            return loop.makeSucceededFuture(self.failed(address, "the name cannot be resolved"))
        }
        let done = loop.makePromise(of: String?.self)
        let inherited = self.inherited?.take(.forward("\(address)"))?.descriptor
        let listening = StreamListener.bind(place, inherited: inherited, environment: self.environment) {
            [weak self] socket, source in
            guard let self else { return socket.abandon() }
            self.accepted(socket, Open(destination: .service(service), source: source))
        }
        listening.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let listener):
                guard !self.isClosed, self.table[address] != nil else {
                    _ = listener.close()
                    return done.succeed(nil)
                }
                self.table[address]?.listener = listener
                self.logger.info("forward is listening", metadata: ["listen": "\(address)", "service": "\(service)"])
                done.succeed(nil)
            case .failure(let error): done.succeed(self.failed(address, ConnectFailure(error).reason))
            }
        }
        return done.futureResult
    }

    private func failed(_ address: HostPort, _ reason: String) -> String {
        self.table[address]?.problem = reason
        return "client.forwards: cannot listen on \(address): \(reason); free the port or choose another"
    }

    // MARK: Connections

    private func accepted(_ socket: StreamSocket, _ open: Open) {
        self.opener.open(open, for: socket) { refusal in
            self.refusals.note(refusal, destination: open.destination, source: open.source, client: self.client)
        }
    }
}
