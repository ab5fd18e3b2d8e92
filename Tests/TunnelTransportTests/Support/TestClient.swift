import Identity
import NIOCore
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// A client of the tests: one session, dialled again whenever its link breaks.
///
/// Its state is bound to its loop; every method that may be called from elsewhere hops there.
final class TestClient: @unchecked Sendable {
    let loop: any EventLoop
    let environment: TransportEnvironment
    let events = Log<TestDelegate.Event>()
    let outcomes = Log<OpenOutcome>()
    let failures = Log<HandshakeError>()
    private let dialer: LinkDialer
    private let configuration: SessionConfiguration
    private let delegate: TestDelegate
    private let port: Int
    private(set) var driver: SessionDriver?
    private(set) var ticket: ResumeTicket?
    private var isStopped = false
    /// Whether a lost link is dialled again by itself.
    var redials = true

    init(
        loop: any EventLoop, dialer: LinkDialer, port: Int, configuration: SessionConfiguration, targets: Targets,
        budget: MemoryBudget, metrics: TransportMetrics
    ) {
        self.loop = loop
        self.environment = TransportEnvironment(eventLoop: loop, budget: budget, metrics: metrics)
        self.dialer = dialer
        self.port = port
        self.configuration = configuration
        self.delegate = TestDelegate(targets: targets, environment: self.environment, events: self.events)
        self.delegate.onLostLink = { [unowned self] _ in if self.redials { self.redialSoon() } }
    }

    /// Dials until a session stands.
    func start() async throws {
        try await self.loop.run { self.dial() }
        do {
            try await eventually("the first link stands") { try await self.loop.run { self.driver?.isAttached == true } }
        } catch {
            throw Overdue(description: "\(error); handshakes failed with \(self.failures.entries.suffix(3))")
        }
    }

    func stop() async throws {
        try await self.loop.run {
            self.isStopped = true
            self.driver?.end(.closedHere(.shutdown, "the test is over"))
            self.driver = nil
        }
    }

    /// Dials once, for a new session or the one there is.
    func dial() {
        guard !self.isStopped else { return }
        self.dialer.dial(host: "127.0.0.1", port: self.port, ticket: self.ticket, received: self.driver?.received ?? 0) {
            result in
            self.dialled(result)
        }
    }

    /// Gives up the link and dials another, and waits until it stands.
    func relink() async throws {
        try await self.loop.run {
            self.driver?.detachLink()
            self.dial()
        }
        try await eventually("another link stands") { try await self.loop.run { self.driver?.isAttached == true } }
    }

    /// Dials without taking the link.
    func dialOnly(ticket: ResumeTicket?, received: UInt64, _ completion: @escaping (DialedLink) -> Void) {
        self.dialer.dial(host: "127.0.0.1", port: self.port, ticket: ticket, received: received) { result in
            switch result {
            case .success(let dialed): completion(dialed)
            case .failure(let error): self.failures.add(error)
            }
        }
    }

    private func dialled(_ result: Result<DialedLink, HandshakeError>) {
        switch result {
        case .success(let dialed):
            guard !self.isStopped else { return dialed.discard(Close(.shutdown, "the test is over")) }
            do {
                if self.driver == nil { self.begin(dialed) }
                try self.driver?.attach(dialed)
            } catch {
                self.driver?.end(.violation(error))
                dialed.discard(Close(.protocolViolation, error.description))
            }
        case .failure(let error):
            self.failures.add(error)
            if let heard = error.heard, heard.code == .unknownSession {
                self.driver?.end(.closedByPeer(heard))
            } else if !error.isRefusal {
                self.redialSoon()
            }
        }
    }

    private func begin(_ dialed: DialedLink) {
        let driver = SessionDriver(side: .dialer, configuration: self.configuration, environment: self.environment)
        driver.delegate = self.delegate
        self.driver = driver
        self.ticket = SessionSecret(dialed.welcome.secret).map {
            ResumeTicket(server: dialed.peer.instance, session: dialed.welcome.session, secret: $0)
        }
    }

    private func redialSoon() {
        guard !self.isStopped, self.driver?.isEnded != true else { return }
        self.loop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
            if self.driver?.isAttached != true, self.driver?.isEnded != true { self.dial() }
        }
    }

    /// For tests that change what the client believes.
    func setTicket(_ ticket: ResumeTicket?) { self.ticket = ticket }

    func snapshot() async throws -> SessionSnapshot? { try await self.loop.run { self.driver?.snapshot() } }

    /// Listens for local programs whose connections lead to `service` behind the server.
    func forward(to service: String) async throws -> StreamListener {
        try await self.listen(for: .service(service), on: self.loop, driver: { self.driver }).get()
    }

    private func listen(
        for destination: Destination, on loop: any EventLoop, driver: @escaping @Sendable () -> SessionDriver?
    ) -> EventLoopFuture<StreamListener> {
        let outcomes = self.outcomes
        return loop.flatSubmit {
            do {
                let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
                return StreamListener.bind(address, environment: self.environment) { socket, source in
                    guard let driver = driver() else { return socket.abort() }
                    driver.open(Open(destination: destination, source: source), for: socket) { outcomes.add($0) }
                }
            } catch {
                return loop.makeFailedFuture(error)
            }
        }
    }
}
