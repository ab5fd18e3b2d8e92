import Crypto
import Foundation
import Identity
import NIOCore
import NIOPosix
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// Every test that uses sockets is in here: they run one after the other, because several count what the process holds.
@Suite(.serialized) enum Transport {}

/// A server, a proxy that can break links, and what is needed to make clients: all in this process, on loopback.
final class TunnelBed: Sendable {
    struct Options: Sendable {
        var loops = 2
        var server = SessionConfiguration()
        var client = SessionConfiguration()
        var serverBudget = 256 << 20
        var clientBudget = 256 << 20
        var handshakeLimit = TimeAmount.seconds(5)
        var gate = HandshakeGate(limit: 512)
        /// Client names that the token is bound to; nil: a shared one.
        var tokenNames: [String]?
        var tokenText = TunnelBed.tokenText
        var trust: CertificateTrust?
        var certificate: ServerCertificate?

        /// Both ends probe so often that a silent link is noticed soon.
        static var quickHeartbeat: Options {
            var options = Options()
            for path in [\Options.server, \Options.client] {
                options[keyPath: path].heartbeatInterval = .milliseconds(100)
                options[keyPath: path].idleHeartbeatInterval = .milliseconds(100)
                options[keyPath: path].heartbeatTimeout = .milliseconds(600)
            }
            return options
        }
    }

    static let tokenText = "gt1_0badcafe_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

    let options: Options
    let group: MultiThreadedEventLoopGroup
    let clientGroup: MultiThreadedEventLoopGroup
    let loops: [any EventLoop]
    let hosts: [NIOLoopBound<TestHost>]
    let server: LinkServer
    let observer = TestObserver()
    let hostEvents = Log<TestHost.Event>()
    let serverEvents = Log<TestDelegate.Event>()
    let serverBudget: MemoryBudget
    let clientBudget: MemoryBudget
    let instance: WireID
    let certificate: ServerCertificate
    /// Where services (at the server) and exposures (at the client) lead.
    let targets = Targets()
    let token: Token
    let metrics = TransportMetrics()
    let proxy: BreakableProxy
    let serverPort: Int
    private let channel: any Channel
    private let directory: TemporaryDirectory
    private let clients = Log<TestClient>()
    private let backends = Log<Backend>()

    /// Starts a bed, runs the test in it, and takes it down.
    static func with<Value: Sendable>(
        _ options: Options = Options(), _ body: (TunnelBed) async throws -> Value
    ) async throws -> Value {
        let bed = try await TunnelBed(options)
        do {
            let value = try await body(bed)
            try await bed.stop()
            return value
        } catch {
            try? await bed.stop()
            throw error
        }
    }

    private init(_ options: Options) async throws {
        var rng = SeededGenerator()
        self.options = options
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: options.loops)
        self.clientGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loops = Array(self.group.makeIterator()).map { $0 as any EventLoop }
        self.loops = loops
        self.directory = try TemporaryDirectory()
        self.certificate =
            try options.certificate
            ?? ServerCertificate.loadOrCreate(directory: self.directory.path, name: "server-1", at: Date())
        self.token = try Token(options.tokenText, allowWeak: true)
        let instance = WireID.random(using: &rng)
        self.instance = instance
        let budget = MemoryBudget(limit: options.serverBudget)
        self.serverBudget = budget
        self.clientBudget = MemoryBudget(limit: options.clientBudget)
        let patterns = try options.tokenNames?.map { try NamePattern($0) }
        let ring = try TokenRing([TokenRing.Entry(self.token, clients: patterns)], for: .clientToken, using: &rng)
        let (metrics, targets, events, serverEvents) = (self.metrics, self.targets, self.hostEvents, self.serverEvents)
        var hosts: [NIOLoopBound<TestHost>] = []
        for loop in loops {
            hosts.append(
                try await loop.run {
                    let environment = TransportEnvironment(eventLoop: loop, budget: budget, metrics: metrics)
                    return NIOLoopBound(
                        TestHost(
                            environment: environment, instance: instance, configuration: options.server, targets: targets,
                            events: events, sessionEvents: serverEvents),
                        eventLoop: loop)
                })
        }
        self.hosts = hosts
        var bound: [NIOLoopBound<any LinkHost>] = []
        for host in hosts {
            bound.append(try await host.eventLoop.run { NIOLoopBound(host.value as any LinkHost, eventLoop: host.eventLoop) })
        }
        self.server = LinkServer(
            party: LocalParty(
                role: .server, name: "server-1", installation: .random(using: &rng), instance: instance, software: "tests"),
            credentials: LinkCredentials(
                tls: try .acceptor(self.certificate, trust: options.trust), certificate: self.certificate.fingerprint,
                authenticator: Authenticator(tokens: ring)),
            gate: options.gate, loops: loops, hosts: bound, observer: self.observer, metrics: metrics,
            handshakeLimit: options.handshakeLimit)
        self.channel = try await self.server.bind(host: "127.0.0.1", port: 0, group: self.group).get()
        self.serverPort = self.channel.localAddress?.port ?? 0
        self.proxy = try await BreakableProxy.start(target: self.serverPort, group: self.clientGroup)
    }

    func stop() async throws {
        for client in self.clients.entries { try await client.stop() }
        for backend in self.backends.entries { backend.stop() }
        for host in self.hosts { try await host.eventLoop.run { host.value.endAll() } }
        try await self.channel.close()
        try await self.proxy.stop()
        try await self.group.shutdownGracefully()
        try await self.clientGroup.shutdownGracefully()
    }

    func keep(_ backend: Backend) { self.backends.add(backend) }

    // MARK: Clients

    func party(name: String = "worker-1") -> LocalParty {
        var rng = SeededGenerator()
        return LocalParty(
            role: .client, name: name, installation: .random(using: &rng), instance: .random(using: &rng), software: "tests")
    }

    func credential(_ text: String = tokenText) throws -> DialerCredential {
        .token(AuthenticationKey(try Token(text, allowWeak: true), for: .clientToken))
    }

    func dialer(
        name: String = "worker-1", credential: DialerCredential? = nil, tls: TLSContext? = nil,
        pins: [CertificateFingerprint] = [],
        party: LocalParty? = nil
    ) throws -> LinkDialer {
        LinkDialer(
            eventLoop: self.clientGroup.next(), tls: try tls ?? .dialer(), party: party ?? self.party(name: name),
            credential: try credential ?? self.credential(), pins: CertificatePins(pins),
            handshakeLimit: self.options.handshakeLimit)
    }

    /// A client that keeps a session to the server, through the proxy unless it is given another port.
    func client(name: String = "worker-1", port: Int? = nil, dialer: LinkDialer? = nil) async throws -> TestClient {
        let client = try await self.idleClient(name: name, port: port, dialer: dialer)
        try await client.start()
        return client
    }

    func idleClient(name: String = "worker-1", port: Int? = nil, dialer: LinkDialer? = nil) async throws -> TestClient {
        let loop = self.clientGroup.next()
        let dialer = UncheckedBox(try dialer ?? self.dialer(name: name))
        let (options, targets, budget, metrics) = (self.options, self.targets, self.clientBudget, self.metrics)
        let port = port ?? self.proxy.port
        let client = try await loop.run {
            TestClient(
                loop: loop, dialer: dialer.value, port: port, configuration: options.client, targets: targets, budget: budget,
                metrics: metrics)
        }
        self.clients.add(client)
        return client
    }

    /// What a dialler was told, as far as it can leave the loop.
    struct Answer: Sendable {
        var peer: Hello
        var welcome: Welcome
    }

    /// Dials once; a link that stands is closed again.
    func dial(
        _ dialer: LinkDialer, port: Int? = nil, host: String = "127.0.0.1", ticket: ResumeTicket? = nil, received: UInt64 = 0
    ) async throws -> Result<Answer, HandshakeError> {
        let loop = self.clientGroup.next()
        let dialer = UncheckedBox(dialer)
        let port = port ?? self.serverPort
        let promise = loop.makePromise(of: Result<Answer, HandshakeError>.self)
        loop.execute {
            dialer.value.dial(host: host, port: port, ticket: ticket, received: received) { result in
                promise.succeed(
                    result.map { dialed in
                        dialed.discard(Close(.shutdown, "the test has seen enough"))
                        return Answer(peer: dialed.peer, welcome: dialed.welcome)
                    })
            }
        }
        return try await promise.futureResult.get()
    }

    /// Listens at the server for connections that lead to `exposure` of the client.
    func expose(_ exposure: String, of client: String = "worker-1") async throws -> StreamListener {
        let index = Placement.loop(key: Placement.key(client: client), count: self.loops.count)
        let (loop, host) = (self.loops[index], self.hosts[index])
        return try await loop.flatSubmit {
            do {
                let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
                return StreamListener.bind(address, environment: host.value.environment) { socket, source in
                    guard let entry = host.value.sessions.values.first(where: { $0.name == client }) else {
                        return socket.abort()
                    }
                    let open = Open(destination: .exposure(client: client, name: exposure), source: source)
                    entry.driver.open(open, for: socket) { _ in }
                }
            } catch {
                return loop.makeFailedFuture(error)
            }
        }.get()
    }

    /// A backend behind the server, under a service name.
    func service(_ name: String, _ backend: Backend) { self.targets.add(name, Targets.Target(port: backend.port)) }

    /// Waits until neither end of `client`'s session knows any stream.
    func streamsAreForgotten(by client: TestClient) async throws {
        try await eventually("both ends forgot their streams") {
            let here = try await client.snapshot()?.streams
            let there = try await self.serverSnapshots().map(\.streams)
            return here == 0 && there.allSatisfy { $0 == 0 }
        }
    }

    /// What all sessions at the server look like.
    func serverSnapshots() async throws -> [SessionSnapshot] {
        var snapshots: [SessionSnapshot] = []
        for host in self.hosts {
            snapshots += try await host.eventLoop.run { host.value.sessions.values.map { $0.driver.snapshot() } }
        }
        return snapshots
    }
}

/// Carries a value that is not Sendable to the one loop that uses it.
struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

extension StreamListener {
    var port: Int { self.localAddress?.port ?? 0 }
}
